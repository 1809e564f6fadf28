use std::sync::Arc;

use parking_lot::Mutex;
use portal_core::{AgentId, BackendErrorKind, FriendId, FriendshipKey};
use portal_workspace::{DocumentFiles, DocumentName, DocumentPath, Entry, FileInfo, InstallMode, Installed, Tag};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::GatewayFiles;
use crate::files::{AgentRoots, DiskFiles};
use crate::openclaw::GatewayClient;
use crate::openclaw::scripted::{Gateway, HELLO, NEW, OLD, captured, payload};

/// The heartbeat job of a gateway and its scratch, with the rules that were seen.
struct Scratch {
    id: String,
    agent: String,
    text: Option<String>,
    revision: u64,
    /// Written by the agent just before the next write of the portal.
    agent_writes: Option<String>,
    writes: usize,
}

impl Scratch {
    fn answer_to(&mut self, call: &Value) -> Value {
        let params = &call["params"];
        match call["method"].as_str().unwrap() {
            "cron.list" => payload(&self.page(params)),
            _ if params["id"] != self.id.as_str() => captured(NEW, "remove unknown"),
            "cron.scratch.get" => payload(&self.show()),
            "cron.scratch.set" => payload(&self.set(params)),
            method => panic!("called {method}"),
        }
    }

    /// The job is on the second page, behind another agent's.
    fn page(&self, params: &Value) -> Value {
        assert_eq!(params["includeDisabled"], true);
        let job = |id: &str, agent: &str| json!({"id": id, "agentId": agent, "payload": {"kind": "heartbeat"}});
        if params["offset"] == 0 {
            return json!({"jobs": [{"id": "x", "payload": {"kind": "agentTurn"}}, job("y", "other")], "hasMore": true});
        }
        json!({"jobs": [job(&self.id, &self.agent)], "hasMore": false})
    }

    fn show(&self) -> Value {
        let scratch = self
            .text
            .as_ref()
            .map(|text| json!({"content": text, "revision": self.revision, "updatedAtMs": 1_795_631_311_736_i64}));
        json!({"scratch": scratch, "currentRevision": self.revision, "maxBytes": 262_144})
    }

    fn set(&mut self, params: &Value) -> Value {
        if let Some(text) = self.agent_writes.take() {
            self.text = Some(text);
            self.revision += 1;
        }
        if params["expectedRevision"] != self.revision {
            return json!({"ok": false, "reason": "revision-conflict", "currentRevision": self.revision});
        }
        self.text = params["content"].as_str().map(str::to_owned);
        self.revision += 1;
        self.writes += 1;
        let mut shown = self.show();
        shown["ok"] = true.into();
        shown
    }
}

struct Fixture {
    files: GatewayFiles,
    scratch: Arc<Mutex<Scratch>>,
    folder: tempfile::TempDir,
    server: JoinHandle<()>,
}

impl Fixture {
    /// A gateway that says this hello.
    async fn new(hello: Value) -> Self {
        let scratch = Scratch {
            id: "d2413537".into(),
            agent: "main".into(),
            text: None,
            revision: 0,
            agent_writes: None,
            writes: 0,
        };
        let scratch = Arc::new(Mutex::new(scratch));
        let (gateway, shared) = (Gateway::new().await, scratch.clone());
        let client = Arc::new(GatewayClient::start(gateway.settings()));
        let server = tokio::spawn(async move {
            let mut peer = gateway.accept().await;
            peer.greet(&hello).await;
            loop {
                let call = peer.call().await;
                let answer = shared.lock().answer_to(&call);
                peer.respond(&call, &answer).await;
            }
        });
        let folder = tempfile::tempdir().unwrap();
        // An empty folder is taken for a volume that is not mounted.
        std::fs::write(folder.path().join("AGENTS.md"), "").unwrap();
        let disk = Arc::new(DiskFiles::new(AgentRoots::default().with(main(), folder.path())));
        let files = GatewayFiles::new(disk, Arc::new(move |agent| (*agent == main()).then(|| client.clone())));
        Self { files, scratch, folder, server }
    }

    async fn put(&self, write: &str, text: &str, mode: InstallMode) -> Installed {
        self.files.stage(&heartbeat(), write, text.as_bytes().to_vec()).await.unwrap();
        self.files.install(&heartbeat(), write, mode).await.unwrap()
    }

    async fn staged(&self) -> Vec<String> {
        let staged = self.files.staged(&heartbeat()).await.unwrap();
        staged.into_iter().map(|file| file.write).collect()
    }

    fn text(&self) -> Option<String> {
        self.scratch.lock().text.clone()
    }
}

fn main() -> AgentId {
    AgentId::parse("main").unwrap()
}

fn path(name: DocumentName) -> DocumentPath {
    DocumentPath::of(&FriendshipKey::new(FriendId::parse("alice").unwrap(), main()), name)
}

fn heartbeat() -> DocumentPath {
    path(DocumentName::Heartbeat)
}

fn overwrite(expected: &str) -> InstallMode {
    InstallMode::Overwrite { expected: Tag::of(expected.as_bytes()) }
}

#[tokio::test]
async fn a_heartbeat_is_read_and_written_in_the_gateway() {
    let fixture = Fixture::new(captured(NEW, HELLO)).await;
    // The file is not what the agent reads.
    std::fs::write(fixture.folder.path().join("HEARTBEAT.md"), "ignored").unwrap();
    assert_eq!(fixture.files.read(&heartbeat()).await.unwrap(), Entry::Absent);
    assert_eq!(fixture.files.inspect(&heartbeat()).await.unwrap(), FileInfo::Absent);
    assert_eq!(fixture.put("a", "# Alice\n", InstallMode::Create).await, Installed::Done);
    let Entry::File { bytes, updated_at } = fixture.files.read(&heartbeat()).await.unwrap() else { panic!("no text") };
    assert_eq!((bytes.as_slice(), updated_at.timestamp_millis()), (&b"# Alice\n"[..], 1_795_631_311_736));
    let tag = Some(Tag::of(b"# Alice\n"));
    assert_eq!(fixture.files.inspect(&heartbeat()).await.unwrap(), FileInfo::File { size: 8, updated_at, tag });
    assert_eq!(fixture.put("b", "two", InstallMode::Exchange).await, Installed::MountPoint);
    let overwritten = fixture.files.install(&heartbeat(), "b", overwrite("# Alice\n")).await.unwrap();
    assert_eq!(overwritten, Installed::Done);
    assert_eq!((fixture.text().as_deref(), fixture.staged().await), (Some("two"), vec!["b".to_owned()]));
    assert_eq!(std::fs::read_to_string(fixture.folder.path().join("HEARTBEAT.md")).unwrap(), "ignored");
    fixture.server.abort();
}

#[tokio::test]
async fn what_the_agent_wrote_meanwhile_stays() {
    let fixture = Fixture::new(captured(NEW, HELLO)).await;
    assert_eq!(fixture.put("a", "one", InstallMode::Exchange).await, Installed::Conflict);
    fixture.scratch.lock().agent_writes = Some("the agent's".to_owned());
    assert_eq!(fixture.put("b", "one", InstallMode::Create).await, Installed::Conflict);
    assert_eq!(fixture.put("c", "one", InstallMode::Create).await, Installed::Conflict);
    assert_eq!(fixture.put("d", "one", overwrite("another")).await, Installed::Conflict);
    fixture.scratch.lock().agent_writes = Some("the agent's second".to_owned());
    assert_eq!(fixture.put("e", "one", overwrite("the agent's")).await, Installed::Conflict);
    assert_eq!((fixture.text().as_deref(), fixture.scratch.lock().writes), (Some("the agent's second"), 0));
    assert!(fixture.files.discard(&heartbeat(), "e", Some(b"one")).await.unwrap());
    let late = fixture.files.install(&heartbeat(), "e", overwrite("the agent's second")).await.unwrap();
    assert_eq!(late, Installed::Discarded);
}

#[tokio::test]
async fn a_job_that_was_made_anew_is_found_and_a_missing_one_is_no_absence() {
    let fixture = Fixture::new(captured(NEW, HELLO)).await;
    assert_eq!(fixture.put("a", "one", InstallMode::Create).await, Installed::Done);
    fixture.scratch.lock().id = "another".to_owned();
    assert!(matches!(fixture.files.read(&heartbeat()).await.unwrap(), Entry::File { bytes, .. } if bytes == b"one"));
    {
        let mut scratch = fixture.scratch.lock();
        (scratch.id, scratch.agent) = ("third".to_owned(), "other".to_owned());
    }
    let error = fixture.files.read(&heartbeat()).await.unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Unavailable);
}

#[tokio::test]
async fn a_gateway_that_is_down_is_no_absence_and_other_documents_go_on() {
    let fixture = Fixture::new(captured(NEW, "wrong token")).await;
    std::fs::write(fixture.folder.path().join("HEARTBEAT.md"), "ignored").unwrap();
    assert_eq!(fixture.files.read(&heartbeat()).await.unwrap_err().kind, BackendErrorKind::Unavailable);
    assert_eq!(fixture.files.read(&path(DocumentName::Memory)).await.unwrap(), Entry::Absent);
}

#[tokio::test]
async fn an_older_gateway_reads_the_file() {
    let fixture = Fixture::new(captured(OLD, HELLO)).await;
    assert_eq!(fixture.put("a", "one", InstallMode::Create).await, Installed::Done);
    assert_eq!(std::fs::read_to_string(fixture.folder.path().join("HEARTBEAT.md")).unwrap(), "one");
    assert_eq!(fixture.text(), None);
}
