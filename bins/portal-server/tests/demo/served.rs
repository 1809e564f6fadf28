//! The database, the zone and the people of a configured portal.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use portal_adapters::cloudflare::ScriptedCloudflare;
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, Clock as _, Friend, FriendId, Friendship, FriendshipStatus, Sessions,
    Token,
};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::database::Database;

/// Everything that is there before the portal starts. The database is dropped with it.
pub(crate) struct Served {
    /// Folder for the configuration and the agent's files.
    pub(crate) folder: TempDir,
    pub(crate) zone: ScriptedCloudflare,
    /// Session token of the friend alice.
    pub(crate) token: String,
    database: Database,
}

impl Served {
    /// Makes a database with the agent `main` and the friend `alice`, and a zone `example.org`.
    pub(crate) async fn create() -> anyhow::Result<Self> {
        let database = Database::create().await?;
        let db = Db::open(&DbSettings::new(database.url()?), Handle::current())?;
        db.migrate().await?;
        let token = befriend(&db).await?;
        let zone = ScriptedCloudflare::start(&["example.org"]).await?;
        Ok(Self { folder: tempfile::tempdir()?, zone, token, database })
    }

    /// Returns the URL of the database.
    pub(crate) fn database(&self) -> anyhow::Result<String> {
        self.database.url()
    }
}

async fn befriend(db: &Db) -> anyhow::Result<String> {
    let (agent, friend, created_at) = (AgentId::parse("main")?, FriendId::parse("alice")?, SystemClock.now());
    let main = Agent { id: agent.clone(), created_at };
    ensure!(db.agents().create(main, Token::presented("an-agent").hash(), entry(Action::AgentCreate)).await?);
    db.friends().create(Friend::new(friend.clone(), created_at), entry(Action::FriendCreate)).await?;
    let friendship = Friendship {
        agent: agent.clone(),
        friend: friend.clone(),
        status: FriendshipStatus::Active,
        heartbeat_writable: Some(true),
        created_at,
    };
    db.friendships().set(friendship, entry(Action::FriendshipSet)).await?;
    let sessions = Sessions::new(db.sessions(), Arc::new(SystemClock), Arc::new(RandomIds));
    let issued = sessions.issue(friend, agent, Actor::Operator("root".to_owned())).await?;
    Ok(issued.context("no session was issued")?.token.reveal().to_owned())
}

fn entry(action: Action) -> AuditEntry {
    AuditEntry::new(SystemClock.now(), Actor::Operator("root".to_owned()), action)
}
