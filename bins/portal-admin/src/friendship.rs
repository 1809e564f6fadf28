//! `friendship set|list`.

use clap::{ArgGroup, Args, Subcommand};
use portal_core::{Action, AgentId, FriendId, Friendship, FriendshipKey, FriendshipStatus};

use crate::context::AdminContext;
use crate::failure::Failure;
use crate::output::{Fields, Output, plain, time};

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
    /// Let the friend write the agent's HEARTBEAT.md, which all its friends share; `auto`, the default, while the agent
    /// has no other active friend
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

pub(crate) async fn run(verb: Verb, context: &AdminContext) -> Result<Output, Failure> {
    match verb {
        Verb::Set(wanted) => set(wanted, context).await,
        Verb::List { friend, agent } => list(friend, agent, context).await,
    }
}

async fn set(wanted: Wanted, context: &AdminContext) -> Result<Output, Failure> {
    // An update keeps what it does not name.
    let before = context.friendships.find(&FriendshipKey::new(wanted.friend.clone(), wanted.agent.clone())).await?;
    let right_before = before.as_ref().and_then(|friendship| friendship.heartbeat_writable);
    let friendship = Friendship {
        agent: wanted.agent,
        friend: wanted.friend,
        status: wanted.status,
        heartbeat_writable: wanted.heartbeat_writable.map_or(right_before, |right| right.0),
        created_at: before.map_or_else(|| context.clock.now(), |friendship| friendship.created_at),
    };
    let mut audit = context.audit(Action::FriendshipSet, Some(&friendship.friend), friendship.agent.as_str());
    let right = friendship.heartbeat_writable.map_or_else(|| "auto".to_owned(), |right| right.to_string());
    audit.detail = format!("{}, heartbeat writable: {right}", friendship.status);
    if context.friendships.set(friendship.clone(), audit).await? {
        return Ok(Output::Record(fields(&friendship)));
    }
    // The store says only that one of the two is unknown.
    context.known(&friendship.friend).await?;
    Err(Failure::unknown_agent(&friendship.agent))
}

async fn list(friend: Option<FriendId>, agent: Option<AgentId>, context: &AdminContext) -> Result<Output, Failure> {
    let friendships = match (friend, agent) {
        (Some(friend), _) => {
            context.known(&friend).await?;
            context.friendships.of_friend(&friend).await?
        }
        (None, Some(agent)) => {
            if !context.has_agent(&agent).await? {
                return Err(Failure::unknown_agent(&agent));
            }
            context.friendships.of_agent(&agent).await?
        }
        (None, None) => Vec::new(),
    };
    let row = |friendship: &Friendship| fields(friendship).into_iter().map(|(_, value)| value).collect();
    Ok(Output::list("friendships", COLUMNS, friendships.iter().map(row).collect()))
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
