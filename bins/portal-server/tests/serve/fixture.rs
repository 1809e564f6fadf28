//! A database with friends and jobs, and the configuration of servers on it.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::ensure;
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, Clock as _, Friend, FriendId, Friendship, FriendshipKey,
    FriendshipStatus, Ids as _, Sessions, Token,
};
use portal_cron::{AnswerTo, Interval, Job, JobCreated, JobName, JobSpec, JobState, Timing, TimingKind};
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::receiver::Receiver;
use crate::replica;

/// Kubernetes at a port on which nobody listens: jobs do not need it.
const KUBECONFIG: &str = "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: \
                          'http://127.0.0.1:9'}}], users: [{name: u, user: {token: none}}], contexts: [{name: c, context: \
                          {cluster: c, user: u}}]}";
const AGENT: &str = "main";

/// A portal without servers.
pub(crate) struct Fixture {
    pub(crate) db: Db,
    /// Session tokens of the friends.
    pub(crate) tokens: Vec<String>,
    /// The servers' configuration.
    pub(crate) config: PathBuf,
    friends: Vec<FriendshipKey>,
    _folder: TempDir,
    _ground: Box<dyn Any>,
}

impl Fixture {
    /// On SQLite.
    pub(crate) async fn on_sqlite(receiver: &Receiver, friends: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite:{}", folder.path().join("portal.db").display());
        Self::new(folder, url, Box::new(()), receiver, friends).await
    }

    /// In a database at `url`, which stays as long as `ground`.
    pub(crate) async fn on_postgres(
        url: String,
        ground: Box<dyn Any>,
        receiver: &Receiver,
        friends: usize,
    ) -> anyhow::Result<Self> {
        Self::new(tempfile::tempdir()?, url, ground, receiver, friends).await
    }

    async fn new(
        folder: TempDir,
        url: String,
        ground: Box<dyn Any>,
        receiver: &Receiver,
        friends: usize,
    ) -> anyhow::Result<Self> {
        let config = folder.path().join("portal.toml");
        std::fs::create_dir(folder.path().join(AGENT))?;
        std::fs::write(folder.path().join("kubeconfig"), KUBECONFIG)?;
        std::fs::write(&config, configuration(&folder, &url, receiver))?;
        let migrated = replica::server("migrate", &config).output()?;
        ensure!(migrated.status.success(), "the database was not made: {migrated:?}");
        let db = Db::open(&DbSettings::new(url), Handle::current())?;
        let agent = Agent { id: AgentId::parse(AGENT)?, created_at: SystemClock.now() };
        ensure!(db.agents().create(agent, Token::presented("jobs-agent").hash(), entry(Action::AgentCreate)).await?);
        let mut fixture =
            Self { db, tokens: Vec::new(), config, friends: Vec::new(), _folder: folder, _ground: ground };
        for number in 0..friends {
            fixture.befriend(&format!("f{number}")).await?;
        }
        Ok(fixture)
    }

    async fn befriend(&mut self, friend: &str) -> anyhow::Result<()> {
        let (friend, agent, created_at) = (FriendId::parse(friend)?, AgentId::parse(AGENT)?, SystemClock.now());
        self.db.friends().create(Friend::new(friend.clone(), created_at), entry(Action::FriendCreate)).await?;
        let key = FriendshipKey { friend: friend.clone(), agent: agent.clone() };
        self.befriend_as(&key, FriendshipStatus::Active).await?;
        let sessions = Sessions::new(self.db.sessions(), Arc::new(SystemClock), Arc::new(RandomIds));
        let issued = sessions.issue(friend, agent, operator()).await?;
        self.tokens.extend(issued.map(|issued| issued.token.reveal().to_owned()));
        self.friends.push(key);
        Ok(())
    }

    async fn befriend_as(&self, key: &FriendshipKey, status: FriendshipStatus) -> anyhow::Result<()> {
        let friendship = Friendship { status, ..Friendship::new(key.clone(), SystemClock.now()) };
        ensure!(self.db.friendships().set(friendship, entry(Action::FriendshipSet)).await?, "nobody to befriend");
        Ok(())
    }

    /// Changes the friendship of the friend of that number.
    pub(crate) async fn set_status(&self, friend: usize, status: FriendshipStatus) -> anyhow::Result<()> {
        let key = self.friends.get(friend).ok_or_else(|| anyhow::anyhow!("no friend {friend}"))?;
        self.befriend_as(key, status).await
    }

    /// Stores a daily job of the friend of that number, which is due in so many milliseconds; returns its id.
    pub(crate) async fn due_in(&self, friend: usize, milliseconds: i64) -> anyhow::Result<String> {
        let day = Interval::parse("1d")?;
        let due = self.db.now().await? + chrono::TimeDelta::milliseconds(milliseconds);
        let id = RandomIds.id();
        let spec = JobSpec {
            name: JobName::parse(&id)?,
            description: None,
            message: "Hello".to_owned(),
            timing: Timing { kind: TimingKind::Every(day), tz: "UTC".to_owned() },
            session: "isolated".to_owned(),
            thinking: None,
            timeout_seconds: None,
            answer_to: AnswerTo::Nowhere,
        };
        let owner = self.friends.get(friend).cloned().ok_or_else(|| anyhow::anyhow!("no friend {friend}"))?;
        // An interval is counted from the job's creation.
        let (created_at, state) = (due - day.length(), JobState { next_run: Some(due), ..JobState::default() });
        let job = Job { id: id.clone(), owner, spec, enabled: true, read_only: false, created_at, revision: 1, state };
        let created = self.db.jobs().create(job, 1_000, entry(Action::JobCreate)).await?;
        ensure!(matches!(created, JobCreated::New(_)), "{created:?}");
        Ok(id)
    }

    /// All jobs, as they are now.
    pub(crate) async fn jobs(&self) -> anyhow::Result<Vec<Job>> {
        let mut jobs = Vec::new();
        for owner in &self.friends {
            jobs.extend(self.db.jobs().list(owner).await?);
        }
        Ok(jobs)
    }
}

fn operator() -> Actor {
    Actor::Operator("root".to_owned())
}

fn entry(action: Action) -> AuditEntry {
    AuditEntry::new(SystemClock.now(), operator(), action)
}

fn configuration(folder: &TempDir, url: &str, receiver: &Receiver) -> String {
    let folder = folder.path().display();
    format!(
        r#"
        server = {{ listen = "127.0.0.1:0", operations_listen = "127.0.0.1:0", drain_seconds = 2 }}
        log = {{ format = "json", filter = "info" }}
        page = {{ enabled = false }}
        database = {{ url = "{url}" }}
        cluster = {{ kubeconfig = "{folder}/kubeconfig" }}
        agents = [{{ id = "{AGENT}", workspace = "{folder}/{AGENT}", engine = "embedded" }}]
        delivery = {{ webhook_url = "http://{receiver}/", signature = "legacy", webhook_secret = "{secret}", timeout_seconds = 30 }}

        [[domains]]
        name = "example.org"
        target = {{ cname = "ingress.example.org" }}
        ttl = 300
        entry_points = ["websecure"]
        cloudflare = {{ token = "not asked", proxied = false, api_url = "http://127.0.0.1:9/" }}
        "#,
        receiver = receiver.address,
        secret = "jobs-secret-".repeat(4),
    )
}
