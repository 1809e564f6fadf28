//! `friendship set|list`.

use clap::{ArgGroup, Args, Subcommand};
use portal_core::{Action, AgentId, FriendId, Friendship, FriendshipKey, FriendshipStatus};

use crate::answer::{Answer, Fields, plain, time};
use crate::desk::Desk;
use crate::failure::Failure;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make or change a relationship; one that is not active ends sessions and pauses jobs within a second
    Set(Wanted),
    /// The relationships of a friend or of an agent
    #[command(group(ArgGroup::new("whose").required(true)))]
    List {
        /// All of this friend's
        #[arg(long, group = "whose", value_parser = FriendId::parse)]
        friend: Option<FriendId>,
        /// All of this agent's
        #[arg(long, group = "whose", value_parser = AgentId::parse)]
        agent: Option<AgentId>,
    },
}

#[derive(Args)]
pub(crate) struct Wanted {
    #[arg(value_parser = AgentId::parse)]
    agent: AgentId,
    #[arg(value_parser = FriendId::parse)]
    friend: FriendId,
    /// active, inactive or blocked
    #[arg(value_parser = FriendshipStatus::parse)]
    status: FriendshipStatus,
    /// Whether the friend may write the agent's HEARTBEAT.md, which all its friends share; yes unless said otherwise
    #[arg(long, value_name = "true|false")]
    heartbeat_writable: Option<bool>,
}

pub(crate) async fn run(verb: Verb, desk: &Desk) -> Result<Answer, Failure> {
    match verb {
        Verb::Set(wanted) => set(wanted, desk).await,
        Verb::List { friend, agent } => list(friend, agent, desk).await,
    }
}

async fn set(wanted: Wanted, desk: &Desk) -> Result<Answer, Failure> {
    let before = desk.friendships.find(&FriendshipKey::new(wanted.friend.clone(), wanted.agent.clone())).await?;
    let was_writable = before.as_ref().is_none_or(|friendship| friendship.heartbeat_writable);
    let friendship = Friendship {
        agent: wanted.agent,
        friend: wanted.friend,
        status: wanted.status,
        heartbeat_writable: wanted.heartbeat_writable.unwrap_or(was_writable),
        created_at: before.map_or_else(|| desk.clock.now(), |friendship| friendship.created_at),
    };
    let mut audit = desk.audit(Action::FriendshipSet, Some(&friendship.friend), friendship.agent.as_str());
    audit.detail = format!("{}, heartbeat writable: {}", friendship.status, friendship.heartbeat_writable);
    if desk.friendships.set(friendship.clone(), audit).await? {
        return Ok(Answer::Record(fields(&friendship)));
    }
    desk.known(&friendship.friend).await?;
    Err(Failure::unknown_agent(&friendship.agent))
}

async fn list(friend: Option<FriendId>, agent: Option<AgentId>, desk: &Desk) -> Result<Answer, Failure> {
    let friendships = match (friend, agent) {
        (Some(friend), _) => {
            desk.known(&friend).await?;
            desk.friendships.of_friend(&friend).await?
        }
        (None, Some(agent)) => {
            let known = desk.agents.list().await?.iter().any(|known| known.id == agent);
            known.then_some(()).ok_or_else(|| Failure::unknown_agent(&agent))?;
            desk.friendships.of_agent(&agent).await?
        }
        (None, None) => Vec::new(),
    };
    let row = |friendship: &Friendship| fields(friendship).into_iter().map(|(_, value)| value).collect();
    Ok(Answer::list("friendships", COLUMNS, friendships.iter().map(row).collect()))
}

const COLUMNS: &[&str] = &["agent", "friend", "status", "heartbeat_writable", "created_at"];

fn fields(friendship: &Friendship) -> Fields {
    let values = [
        plain(friendship.agent.as_str()),
        plain(friendship.friend.as_str()),
        plain(friendship.status.as_str()),
        plain(friendship.heartbeat_writable),
        time(friendship.created_at),
    ];
    COLUMNS.iter().copied().zip(values).collect()
}
