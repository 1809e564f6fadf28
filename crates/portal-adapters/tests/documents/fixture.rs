//! Agent's folder and database that several processes share, and the roles of these processes.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use portal_adapters::db::{Db, DbSettings};
use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{Action, Actor, Agent, AgentId, AuditEntry, Clock, Friend, FriendId, FriendshipKey, Ids, Token};
use portal_workspace::{
    Content, DocumentFiles, DocumentName, DocumentPath, DocumentPorts, DocumentStore, Documents, NextLook,
    Precondition, VersionStore, WorkspaceError, WriteOutcome, Writer,
};
use tokio::time::Instant;

/// Variable with the role of a process: `<role> <agent's folder> <database url>`.
const ROLE: &str = "PORTAL_TEST_ROLE";

/// Folder and database.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) folder: PathBuf,
    pub(crate) url: String,
    pub(crate) rows: Arc<dyn DocumentStore>,
    pub(crate) versions: Arc<dyn VersionStore>,
    pub(crate) files: DiskFiles,
    pub(crate) documents: Documents,
}

impl Fixture {
    /// Opens what exists already.
    pub(crate) fn open(folder: &Path, url: &str) -> Self {
        let db = Db::open(&DbSettings::new(url), tokio::runtime::Handle::current()).unwrap();
        let files = DiskFiles::new(AgentRoots::default().with(agent(), folder));
        let ports = DocumentPorts {
            files: Arc::new(files.clone()),
            store: db.documents(),
            versions: db.versions(),
            friendships: db.friendships(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
        };
        let (folder, url) = (folder.to_owned(), url.to_owned());
        let (rows, versions) = (ports.store.clone(), ports.versions.clone());
        Self { folder, url, rows, versions, files, documents: Documents::new(ports) }
    }

    /// Creates an agent with so many friends.
    pub(crate) async fn found(folder: &Path, url: &str, friends: usize) -> Self {
        std::fs::write(folder.join("AGENTS.md"), "an agent lives here").unwrap();
        let db = Db::open(&DbSettings::new(url), tokio::runtime::Handle::current()).unwrap();
        db.migrate().await.unwrap();
        let created_at = SystemClock.now();
        let token = Token::presented("agent").hash();
        let agents = db.agents();
        agents.create(Agent { id: agent(), created_at }, token, audit(Action::AgentCreate)).await.unwrap();
        let register = db.friends();
        for number in 0..friends {
            let id = friend(number);
            let friend = Friend::new(id, created_at);
            register.create(friend, audit(Action::FriendCreate)).await.unwrap();
        }
        Self::open(folder, url)
    }

    /// Starts a process of this very program that does what `role` says.
    pub(crate) fn start(&self, role: &str) -> Role {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fixture::a_process_plays_the_role_it_was_given", "--nocapture", "--test-threads=1"])
            .env(ROLE, format!("{role} {} {}", self.folder.display(), self.url))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        Role { process, said: Box::new(said.map_while(Result::ok)) }
    }

    /// Recovers until nothing is claimed or staged any more, which a lease may delay.
    pub(crate) async fn recover(&self, friends: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            self.documents.recover().await.unwrap();
            let mut open = 0;
            for number in 0..friends {
                let path = memory(number);
                open += self.files.staged(&path).await.unwrap().len();
                // Claimed for no time and given back: free unless another has it.
                match self.rows.claim(&path, "looking", chrono::TimeDelta::zero()).await.unwrap() {
                    Some(state) if !state.taken_over && state.pending.is_none() => {
                        assert!(
                            self.rows
                                .finish(&path, "looking", WriteOutcome::Aborted, NextLook::Unchanged)
                                .await
                                .unwrap()
                        );
                    }
                    _ => open += 1,
                }
            }
            if open == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{open} writes are not recovered");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Returns every text that is not lost: the memory of that friend and its versions.
    pub(crate) async fn safe(&self, number: usize) -> Vec<String> {
        let path = memory(number);
        let mut texts: Vec<_> = std::fs::read_to_string(self.file(number)).into_iter().collect();
        for version in self.versions.list(&path, None).await.unwrap() {
            let (_, bytes) = self.versions.find(&path, None, &version.id).await.unwrap().unwrap();
            texts.push(String::from_utf8(bytes).unwrap());
        }
        texts
    }

    pub(crate) fn file(&self, number: usize) -> PathBuf {
        self.folder.join(memory(number).to_string())
    }

    /// Writes a text that nobody else writes into the memory of that friend, in a session of its own; says what was
    /// acknowledged.
    pub(crate) async fn write(&self, number: usize, say: &mut impl Write) {
        let reader = FriendshipKey { friend: friend(number), agent: agent() };
        let text = format!("portal {}", RandomIds.id());
        let seen = self.documents.read(&reader, DocumentName::Memory).await.unwrap();
        let precondition = match seen {
            Some(document) if text.ends_with(['0', '2', '4', '6', '8', 'a', 'c', 'e']) => {
                Precondition::OneOf(vec![document.tag])
            }
            _ => Precondition::None,
        };
        let writer = Writer { reader, session: RandomIds.id() };
        let content = Content::parse(text.clone()).unwrap();
        match self.documents.replace(writer, DocumentName::Memory, content, precondition).await {
            Ok(_) => writeln!(say, "acknowledged {number} {text}").unwrap(),
            Err(WorkspaceError::Changed { .. }) => {}
            Err(error) => writeln!(say, "failed {number} {error:?}").unwrap(),
        }
    }
}

/// A process at work.
pub(crate) struct Role {
    process: Child,
    said: Box<dyn Iterator<Item = String> + Send>,
}

impl Role {
    /// Waits until it has said `until` things, then kills it; everything that it has said.
    pub(crate) fn kill_after(mut self, until: usize) -> Vec<Said> {
        let mut said: Vec<_> = self.said.by_ref().filter_map(|line| Said::parse(&line)).take(until).collect();
        self.process.kill().unwrap();
        said.extend(self.said.filter_map(|line| Said::parse(&line)));
        self.process.wait().unwrap();
        said
    }

    /// Everything that it says until it ends by itself.
    pub(crate) fn hear(mut self) -> Vec<Said> {
        let said = self.said.filter_map(|line| Said::parse(&line)).collect();
        assert!(self.process.wait().unwrap().success());
        said
    }
}

/// A line that a process said of a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) what: String,
    pub(crate) number: usize,
    pub(crate) text: String,
}

impl Said {
    fn parse(line: &str) -> Option<Self> {
        // The first line may follow what the test harness says of the test.
        let begins = ["acknowledged ", "failed ", "put ", "took "].iter().filter_map(|what| line.find(what)).min()?;
        let mut parts = line.get(begins..)?.splitn(3, ' ');
        let (what, number, text) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?.to_owned());
        Some(Self { what, number, text })
    }
}

/// Entry of the operator for the audit log.
pub(crate) fn audit(action: Action) -> AuditEntry {
    AuditEntry::new(SystemClock.now(), Actor::Operator("root".to_owned()), action)
}

pub(crate) fn agent() -> AgentId {
    AgentId::parse("main").unwrap()
}

pub(crate) fn friend(number: usize) -> FriendId {
    FriendId::parse(&format!("f{number}")).unwrap()
}

pub(crate) fn memory(number: usize) -> DocumentPath {
    DocumentPath::of(&FriendshipKey::new(friend(number), agent()), DocumentName::Memory)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_plays_the_role_it_was_given() {
    let Some(role) = std::env::var_os(ROLE) else { return };
    let role = role.into_string().unwrap();
    let [role, folder, url] = *role.split(' ').collect::<Vec<_>>() else { panic!("no role: {role}") };
    let (fixture, mut say) = (Fixture::open(Path::new(folder), url), std::io::stdout());
    match role.split_once(':').unwrap() {
        ("portal", rounds) => crate::concurrent_writers::portal(&fixture, rounds.parse().unwrap(), &mut say).await,
        ("exchanging-agent", rounds) => {
            crate::concurrent_writers::exchanging_agent(&fixture, rounds.parse().unwrap(), &mut say);
        }
        ("writing-agent", rounds) => crate::concurrent_writers::writing_agent(&fixture, rounds.parse().unwrap()),
        (other, _) => panic!("no role: {other}"),
    }
}
