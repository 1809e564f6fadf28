//! `jobs move`, between a SQLite file and a gateway in this process.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where its premise fails")]

use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

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

use fake::{Fake, Fault, Version};
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
        self.command(command, engine).output().unwrap()
    }

    fn command(&self, command: &str, engine: &str) -> Command {
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
        let mut program = Command::new(env!("CARGO_BIN_EXE_portal-admin"));
        program.args(command.split(' ')).arg("--json").arg("--config").arg(config).env("LOGNAME", "olga");
        program
    }

    /// Kills the command as soon as it waits for the answer to a call that `fault` holds.
    async fn kill_at(&self, command: &str, method: &'static str, calls: usize) {
        drop(self.fake.calls());
        let (release, held) = tokio::sync::oneshot::channel();
        for _ in 1..calls {
            self.fake.fail(method, Fault::After(Box::new(|_| ())));
        }
        self.fake.fail(method, Fault::Hold(held));
        let engine = if command.contains("--back") { "embedded" } else { "openclaw" };
        let mut child = self.command(command, engine).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while self.fake.count(method) < calls {
            assert!(begun.elapsed() < Duration::from_secs(20), "{command} does not call {method}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // The gateway does what it was asked for, and nobody hears of it.
        drop(release);
    }

    /// Returns name, switch and message of each of the friend's jobs in the portal.
    async fn here(&self, friend: &str) -> Vec<(String, bool, String)> {
        let jobs = self.db.jobs().list(&owner(friend)).await.unwrap();
        jobs.into_iter().map(|job| (job.spec.name.to_string(), job.enabled, job.spec.message)).collect()
    }

    /// Waits until the gateway's only job is enabled or not.
    async fn until_enabled_there(&self, enabled: bool) {
        let begun = Instant::now();
        while self.there().iter().any(|(_, is_enabled)| *is_enabled != enabled) {
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", self.there());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Moves the jobs; returns what became of each.
    fn move_jobs(&self, command: &str) -> Value {
        let engine = if command.contains("--back") { "embedded" } else { "openclaw" };
        let output = self.run(command, engine);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["jobs"].take()
    }

    async fn insert(&self, friend: &str, name: &str, enabled: bool) -> Job {
        let owner = owner(friend);
        let now: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        // Before the gateway's clock began, as a job is older that is moved there later.
        let created_at = DateTime::from_timestamp(1_600_000_000, 0).unwrap();
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
        let job = Job { id: RandomIds.id(), owner, spec, enabled, read_only: false, created_at, revision: 1, state };
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

const MESSAGE: &str = "Water the roses";

fn outcomes(moved: &Value) -> Vec<(String, String)> {
    let text = |row: &Value, member: &str| row[member].as_str().unwrap().to_owned();
    moved.as_array().unwrap().iter().map(|row| (text(row, "name"), text(row, "outcome"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_moved_back_with_what_was_changed_there() {
    let fixture = Fixture::new().await;
    fixture.insert("alice", "daily", true).await;
    fixture.insert("alice", "paused", false).await;
    fixture.move_jobs("jobs move main");
    // The friend changes the one, and the agent makes some of its own.
    let ids = fixture.fake.with(|gateway| {
        let id = gateway.jobs[0]["id"].as_str().unwrap().to_owned();
        gateway.edit(&id, |job| job["payload"]["message"] = "Mow the lawn".into());
        let own = gateway.insert(json!({"name": "of the agent"}));
        let event = gateway.insert(json!({"name": "tea", "payload": {"kind": "systemEvent", "text": "Tea"}}));
        let stream = gateway.insert(json!({"name": "watch", "schedule": {"kind": "stream", "command": ["true"]}}));
        [own, event, stream]
    });
    let expected = |moved: &str| {
        let stays = |name: &str, why: &str| (name.to_owned(), format!("stays in the gateway: {why}"));
        vec![
            ("daily".to_owned(), moved.to_owned()),
            stays("of the agent", "the agent made it"),
            ("paused".to_owned(), moved.to_owned()),
            stays("tea", "it is a reminder of the agent's own kind"),
            stays("watch", "it has a schedule of a kind that the portal does not know"),
        ]
    };
    assert_eq!(outcomes(&fixture.move_jobs("jobs move main --back --dry-run")), expected("would be moved"));
    assert_eq!(fixture.enabled_here().await, 0);
    for _ in 0..2 {
        assert_eq!(outcomes(&fixture.move_jobs("jobs move main --back")), expected("moved"));
        let here = [("daily", true, "Mow the lawn"), ("paused", false, MESSAGE)];
        assert_eq!(fixture.here("alice").await, here.map(|(name, on, text)| (name.to_owned(), on, text.to_owned())));
        let there: Vec<_> = fixture.there().into_iter().map(|(_, enabled)| enabled).collect();
        assert_eq!(there, [false, false, true, true, true], "the agent's own go on: {ids:?}");
    }
    let sessions: Vec<_> = fixture.db.jobs().list(&owner("alice")).await.unwrap();
    assert!(sessions.iter().all(|job| job.spec.session == "isolated"), "{sessions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_the_portals_own_is_not_overwritten_by_one_that_comes_back() {
    let fixture = Fixture::new().await;
    fixture.insert("alice", "daily", true).await;
    fixture.move_jobs("jobs move main");
    let job = fixture.db.jobs().list(&owner("alice")).await.unwrap().remove(0);
    let audit = AuditEntry::new(job.created_at, Actor::Operator("test".to_owned()), Action::JobDelete);
    assert!(fixture.db.jobs().remove(&owner("alice"), "daily", audit).await.unwrap());
    // Made later than the one of the gateway, and another one.
    let mut other = job.clone();
    other.id = RandomIds.id();
    other.created_at = DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    other.spec.message = "Mow the lawn".to_owned();
    let audit = AuditEntry::new(job.created_at, Actor::Operator("test".to_owned()), Action::JobCreate);
    fixture.db.jobs().create(other, 50, audit).await.unwrap();
    let moved = fixture.move_jobs("jobs move main --back");
    assert!(outcomes(&moved)[0].1.contains("the portal has another job of this name"), "{moved}");
    assert_eq!(fixture.here("alice").await, [("daily".to_owned(), false, "Mow the lawn".to_owned())]);
    assert!(fixture.there()[0].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_was_killed_between_two_steps_goes_on() {
    // Into the gateway: it is disabled here, and not yet enabled there. The second list is that of the last step.
    let fixture = Fixture::new().await;
    fixture.insert("alice", "daily", true).await;
    fixture.kill_at("jobs move main", "cron.list", 2).await;
    assert_eq!((fixture.enabled_here().await, fixture.there()[0].1), (0, false));
    fixture.kill_at("jobs move main", "cron.list", 2).await;
    assert_eq!(outcomes(&fixture.move_jobs("jobs move main")), [("daily".to_owned(), "moved".to_owned())]);
    assert_eq!((fixture.enabled_here().await, fixture.there()[0].1), (0, true));

    // Back again: it is made here, and the answer to the change there is never heard.
    fixture.kill_at("jobs move main --back", "cron.update", 1).await;
    fixture.until_enabled_there(false).await;
    assert_eq!(fixture.enabled_here().await, 0);
    assert_eq!(outcomes(&fixture.move_jobs("jobs move main --back")), [("daily".to_owned(), "moved".to_owned())]);
    assert_eq!((fixture.enabled_here().await, fixture.there()[0].1), (1, false));
    // Whoever disables it afterwards is not overruled by a command that is repeated.
    let job = fixture.db.jobs().list(&owner("alice")).await.unwrap().remove(0);
    let seen_next_run = job.state.next_run;
    let update = portal_cron::JobUpdate {
        job: Job { enabled: false, revision: job.revision + 1, state: JobState::default(), ..job.clone() },
        seen_revision: job.revision,
        seen_next_run,
        missed: None,
    };
    let audit = AuditEntry::new(job.created_at, Actor::Friend(owner("alice").friend), Action::JobToggle)
        .with_friend(owner("alice").friend)
        .with_subject("daily")
        .with_detail("agent main, disabled");
    fixture.db.jobs().update(update, audit).await.unwrap();
    fixture.move_jobs("jobs move main --back");
    assert_eq!((fixture.enabled_here().await, fixture.there()[0].1), (0, false));
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
