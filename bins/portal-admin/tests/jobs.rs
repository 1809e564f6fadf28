//! `jobs move`, between a SQLite file and a gateway in this process.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where its premise fails")]

use std::process::{Command, Output};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use portal_adapters::RandomIds;
use portal_adapters::db::{Db, DbSettings};
use portal_core::{Action, Actor, AgentId, AuditEntry, FriendId, FriendshipKey, Ids};
use portal_cron::{AnswerTo, Job, JobName, JobSpec, JobState, Timing, TimingKind};
use serde_json::{Value, json};

// This test needs a part of what the other tests of the gateway need.
#[expect(dead_code, unused_imports, reason = "the gateway can more than this test asks for")]
#[path = "../../../crates/portal-adapters/tests/openclaw/fake.rs"]
mod fake;

use fake::{Fake, Version};
// The included file needs them, and no line of this crate does.
use {futures as _, parking_lot as _, tokio_tungstenite as _};

struct Fixture {
    folder: tempfile::TempDir,
    db: Db,
    fake: Fake,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("portal.db").display());
        let db = Db::open(&DbSettings::new(url), tokio::runtime::Handle::current()).unwrap();
        db.migrate().await.unwrap();
        let fixture = Self { folder, db, fake: Fake::start(Version::New).await };
        for command in ["friend add alice", "friend add bob", "agent add main"] {
            assert!(fixture.run(command, "embedded").status.success(), "{command}");
        }
        for command in ["friendship set main alice active", "friendship set main bob active"] {
            assert!(fixture.run(command, "embedded").status.success(), "{command}");
        }
        fixture
    }

    fn run(&self, command: &str, engine: &str) -> Output {
        let [database, token] = ["portal.db", "token"].map(|file| self.folder.path().join(file));
        std::fs::write(&token, "gateway-token").unwrap();
        let text = format!(
            "[page]\nenabled = false\n[database]\nurl = \"sqlite:{}\"\n[delivery]\nwebhook_url = \"http://127.0.0.1:1/\"\n\
             webhook_secret = \"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n[[agents]]\nid = \"main\"\n\
             workspace = \"{}\"\nengine = \"{engine}\"\n[agents.gateway]\nurl = \"{}\"\ntoken_file = \"{}\"\n",
            database.display(),
            self.folder.path().display(),
            self.fake.address(),
            token.display(),
        );
        let config = self.folder.path().join("portal.toml");
        std::fs::write(&config, text).unwrap();
        Command::new(env!("CARGO_BIN_EXE_portal-admin"))
            .args(command.split(' '))
            .arg("--json")
            .arg("--config")
            .arg(config)
            .env("LOGNAME", "olga")
            .output()
            .unwrap()
    }

    /// Moves the jobs; returns what became of each.
    fn move_jobs(&self, command: &str) -> Value {
        let output = self.run(command, "openclaw");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["jobs"].take()
    }

    async fn insert(&self, friend: &str, name: &str, enabled: bool) -> Job {
        let owner = owner(friend);
        let now: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let spec = JobSpec {
            name: JobName::parse(name).unwrap(),
            description: None,
            message: "Water the roses".to_owned(),
            timing: Timing { kind: TimingKind::Cron("0 9 * * *".to_owned()), tz: "Europe/Berlin".to_owned() },
            session: "isolated".to_owned(),
            thinking: None,
            timeout_seconds: None,
            answer_to: AnswerTo::Nowhere,
        };
        let state = JobState { next_run: enabled.then_some(now), ..JobState::default() };
        let job =
            Job { id: RandomIds.id(), owner, spec, enabled, read_only: false, created_at: now, revision: 1, state };
        let audit = AuditEntry::new(now, Actor::Operator("test".to_owned()), Action::JobCreate);
        self.db.jobs().create(job.clone(), 50, audit).await.unwrap();
        job
    }

    async fn enabled_here(&self) -> u64 {
        self.db.enabled_jobs(&owner("alice").agent).await.unwrap()
    }

    /// Returns target and switch of each job of the gateway.
    fn there(&self) -> Vec<(String, bool)> {
        self.fake.with(|gateway| {
            let job =
                |job: &Value| (job["sessionTarget"].as_str().unwrap().to_owned(), job["enabled"].as_bool().unwrap());
            gateway.jobs.iter().map(job).collect()
        })
    }
}

fn owner(friend: &str) -> FriendshipKey {
    FriendshipKey { friend: FriendId::parse(friend).unwrap(), agent: AgentId::parse("main").unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_moved_into_the_gateway_and_none_is_due_twice() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.insert("alice", "daily", true).await;
    fixture.insert("alice", "paused", false).await;
    fixture.insert("bob", "daily", true).await;
    let row = |friend: &str, name: &str, outcome: &str| json!({"friend": friend, "name": name, "outcome": outcome});
    let all = |outcome: &str| {
        json!([row("alice", "daily", outcome), row("alice", "paused", outcome), row("bob", "daily", outcome)])
    };
    assert_eq!(fixture.move_jobs("jobs move main --dry-run"), all("would be moved"));
    assert_eq!((fixture.enabled_here().await, fixture.there().len()), (2, 0));
    // Bob is blocked: his jobs are paused here, and stay so there.
    assert!(fixture.run("friendship set main bob blocked", "embedded").status.success());
    let moved = fixture.move_jobs("jobs move main");
    assert_eq!((&moved[0], &moved[1]), (&row("alice", "daily", "moved"), &row("alice", "paused", "moved")));
    assert!(moved[2]["outcome"].as_str().unwrap().contains("the friendship is not active"), "{moved}");
    assert_eq!(fixture.enabled_here().await, 0);
    let target = |friend: &str| format!("session:agent:main:direct:{friend}");
    let expected = [(target("alice"), true), (target("alice"), false), (target("bob"), false)];
    assert_eq!(fixture.there(), expected);
    // Again, as after an interruption: nothing is made twice.
    fixture.move_jobs("jobs move main");
    assert_eq!(fixture.there(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_moved_stays_where_it_is() {
    let fixture = Fixture::new().await;
    fixture.insert("alice", "daily", true).await;
    let refused = fixture.run("jobs move main", "embedded");
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    // The gateway has another job of this name.
    fixture.fake.with(|gateway| gateway.insert(json!({"name": "daily"})));
    let moved = fixture.move_jobs("jobs move main");
    assert!(moved[0]["outcome"].as_str().unwrap().contains("another job of this name"), "{moved}");
    assert_eq!((fixture.enabled_here().await, fixture.there().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_hears_which_conversation_and_which_file_nobody_reads() {
    let fixture = Fixture::new().await;
    std::fs::write(fixture.folder.path().join("HEARTBEAT.md"), "# Check the plants").unwrap();
    fixture.fake.with(|gateway| {
        gateway.sessions = vec![json!({"key": "agent:main:direct:alice", "updatedAt": 1_800_000_000_000_i64})];
    });
    let output = fixture.run("agent wiring main", "openclaw");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let notes: Vec<_> = said["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    let [heartbeat, bob] = notes[..] else { panic!("{notes:?}") };
    assert!(heartbeat.starts_with("HEARTBEAT.md of main: the gateway keeps it itself"), "{heartbeat}");
    assert!(bob.starts_with("conversation of bob with main: the gateway does not have it"), "{bob}");
}
