//! `session issue|list|revoke`.

use clap::{ArgGroup, Subcommand};
use portal_core::{AgentId, FriendId, FriendshipStatus, Session};

use crate::answer::{Answer, plain, time};
use crate::desk::Desk;
use crate::failure::Failure;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Log a friend in for 30 days; the token is shown now and never again
    Issue {
        #[arg(value_parser = FriendId::parse)]
        friend: FriendId,
        /// The agent they talk to; needed where they have several
        #[arg(long, value_parser = AgentId::parse)]
        agent: Option<AgentId>,
    },
    /// A friend's sessions that still count, newest first
    List {
        #[arg(value_parser = FriendId::parse)]
        friend: FriendId,
    },
    /// End a friend's sessions; they are refused within a second
    #[command(group(ArgGroup::new("which").required(true)))]
    Revoke {
        #[arg(value_parser = FriendId::parse)]
        friend: FriendId,
        /// The id of one of them
        #[arg(group = "which")]
        id: Option<String>,
        /// All of them
        #[arg(long, group = "which")]
        all: bool,
    },
}

pub(crate) async fn run(verb: Verb, desk: &Desk) -> Result<Answer, Failure> {
    match verb {
        Verb::Issue { friend, agent } => issue(friend, agent, desk).await,
        Verb::List { friend } => list(&friend, desk).await,
        Verb::Revoke { friend, id, .. } => revoke(&friend, id.as_deref(), desk).await,
    }
}

async fn issue(friend: FriendId, agent: Option<AgentId>, desk: &Desk) -> Result<Answer, Failure> {
    desk.known(&friend).await?;
    let agent = match agent {
        Some(agent) => agent,
        None => only_agent(&friend, desk).await?,
    };
    let issued = desk.sessions.issue(friend.clone(), agent.clone(), desk.operator.clone()).await?;
    let issued = issued.ok_or_else(|| {
        Failure::refused("--agent", format!("{friend} has no active friendship with {agent}; see friendship set"))
    })?;
    Ok(Answer::Record(vec![
        ("id", plain(&issued.session.id)),
        ("friend", plain(issued.session.friend.as_str())),
        ("agent", plain(issued.session.agent.as_str())),
        ("expires_at", time(issued.session.expires_at)),
        ("token", plain(issued.token.reveal())),
    ]))
}

/// The agent a friend talks to, if there is no doubt about it.
async fn only_agent(friend: &FriendId, desk: &Desk) -> Result<AgentId, Failure> {
    let friendships = desk.friendships.of_friend(friend).await?;
    let mut active =
        friendships.into_iter().filter(|known| known.status == FriendshipStatus::Active).map(|known| known.agent);
    match (active.next(), active.next()) {
        (Some(agent), None) => Ok(agent),
        (None, _) => Err(Failure::refused("FRIEND", format!("{friend} has no active friendship; see friendship set"))),
        (Some(first), Some(second)) => {
            let all: Vec<String> = [first, second].into_iter().chain(active).map(|agent| agent.to_string()).collect();
            Err(Failure::refused("--agent", format!("{friend} has several agents, name one: {}", all.join(", "))))
        }
    }
}

async fn list(friend: &FriendId, desk: &Desk) -> Result<Answer, Failure> {
    desk.known(friend).await?;
    let sessions = desk.sessions.list(friend).await?;
    let row = |session: &Session| {
        let Session { id, agent, created_at, expires_at, .. } = session;
        vec![plain(id), plain(agent.as_str()), time(*created_at), time(*expires_at)]
    };
    let rows = sessions.iter().map(row).collect();
    Ok(Answer::list("sessions", &["id", "agent", "created_at", "expires_at"], rows))
}

async fn revoke(friend: &FriendId, id: Option<&str>, desk: &Desk) -> Result<Answer, Failure> {
    desk.known(friend).await?;
    let revoked = match id {
        None => desk.sessions.revoke_all(friend, desk.operator.clone()).await?,
        Some(id) if desk.sessions.revoke(friend, id, desk.operator.clone()).await? => 1,
        Some(id) => return Err(Failure::refused("ID", format!("{friend} has no session {id} that still counts"))),
    };
    Ok(Answer::Record(vec![("revoked", plain(revoked))]))
}
