//! The friends who use the portal.

use std::sync::Arc;

use anyhow::ensure;
use portal_adapters::db::Db;
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, Clock, Friend, FriendId, Friendship, FriendshipStatus, Sessions, Token,
};

/// The agent of the configuration.
pub(crate) const AGENT: &str = "main";

/// A friend who is logged in.
pub(crate) struct Person {
    pub(crate) id: FriendId,
    pub(crate) token: String,
}

/// Registers the agent.
pub(crate) async fn register_agent(db: &Db) -> anyhow::Result<()> {
    let agent = Agent { id: AgentId::parse(AGENT)?, created_at: SystemClock.now() };
    let token = Token::presented("survival-agent").hash();
    ensure!(db.agents().create(agent, token, line(Action::AgentCreate, None)).await?);
    Ok(())
}

/// Registers a friend and logs them in.
pub(crate) async fn register(db: &Db, id: &str) -> anyhow::Result<Person> {
    let (id, agent, created_at) = (FriendId::parse(id)?, AgentId::parse(AGENT)?, SystemClock.now());
    let friend = Friend::new(id.clone(), created_at);
    db.friends().create(friend, line(Action::FriendCreate, Some(&id))).await?;
    let friendship = Friendship {
        agent: agent.clone(),
        friend: id.clone(),
        status: FriendshipStatus::Active,
        heartbeat_writable: Some(true),
        created_at,
    };
    ensure!(db.friendships().set(friendship, line(Action::FriendshipSet, Some(&id))).await?);
    let sessions = Sessions::new(db.sessions(), Arc::new(SystemClock), Arc::new(RandomIds));
    let issued = sessions.issue(id.clone(), agent, operator()).await?;
    let token = issued.ok_or_else(|| anyhow::anyhow!("no session for {id}"))?.token;
    Ok(Person { id, token: token.reveal().to_owned() })
}

fn operator() -> Actor {
    Actor::Operator("root".to_owned())
}

fn line(action: Action, friend: Option<&FriendId>) -> AuditEntry {
    AuditEntry::new(SystemClock.now(), operator(), action)
        .with_friend(friend.cloned())
        .with_subject(friend.map_or_else(|| AGENT.to_owned(), ToString::to_string))
}
