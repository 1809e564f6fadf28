//! `friendship set|list`.

use clap::{ArgGroup, Args, Subcommand};
use portal_core::{Action, AgentId, FriendId, Friendship, FriendshipStatus};

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
    /// Right to write the agent's HEARTBEAT.md, which all its friends share; `auto`, at first: while the agent has no
    /// other active friend
    #[arg(long, value_name = "true|false|auto", value_parser = parse_right)]
    heartbeat_writable: Option<Right>,
}

/// Right to write HEARTBEAT.md; `None` for `auto`.
#[derive(Debug, Clone, Copy)]
struct Right(Option<bool>);

fn parse_right(text: &str) -> Result<Right, &'static str> {
    match text {
        "true" => Ok(Right(Some(true))),
        "false" => Ok(Right(Some(false))),
        "auto" => Ok(Right(None)),
        _ => Err("must be true, false or auto"),
    }
}

fn right_text(right: Option<bool>) -> String {
    right.map_or_else(|| "auto".to_owned(), |right| right.to_string())
}

pub(crate) async fn run(verb: Verb, desk: &Desk) -> Result<Answer, Failure> {
    match verb {
        Verb::Set(wanted) => set(wanted, desk).await,
        Verb::List { friend, agent } => list(friend, agent, desk).await,
    }
}

async fn set(wanted: Wanted, desk: &Desk) -> Result<Answer, Failure> {
    let before = desk.friendships.find(&wanted.agent, &wanted.friend).await?;
    let before_right = before.as_ref().and_then(|friendship| friendship.heartbeat_writable);
    let friendship = Friendship {
        agent: wanted.agent,
        friend: wanted.friend,
        status: wanted.status,
        heartbeat_writable: wanted.heartbeat_writable.map_or(before_right, |right| right.0),
        created_at: before.map_or_else(|| desk.clock.now(), |friendship| friendship.created_at),
    };
    let mut audit = desk.audit(Action::FriendshipSet, Some(&friendship.friend), friendship.agent.as_str());
    audit.detail = format!("{}, heartbeat writable: {}", friendship.status, right_text(friendship.heartbeat_writable));
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
