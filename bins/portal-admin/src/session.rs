//! `session issue|link|list|revoke`.

use clap::{ArgGroup, Subcommand};
use portal_core::{AgentId, FriendId, FriendshipStatus, Recipient, Session, code};
use serde_json::Value;

use crate::context::AdminContext;
use crate::failure::Failure;
use crate::output::{Output, plain, time};

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
    /// Make a link that logs a friend in once, within 10 minutes; send it to nobody else
    Link {
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

pub(crate) async fn run(verb: Verb, context: &AdminContext) -> Result<Output, Failure> {
    match verb {
        Verb::Issue { friend, agent } => issue(friend, agent, context).await,
        Verb::Link { friend, agent } => link(friend, agent, context).await,
        Verb::List { friend } => list(&friend, context).await,
        Verb::Revoke { friend, id, .. } => revoke(&friend, id.as_deref(), context).await,
    }
}

async fn issue(friend: FriendId, agent: Option<AgentId>, context: &AdminContext) -> Result<Output, Failure> {
    context.known(&friend).await?;
    let agent = match agent {
        Some(agent) => agent,
        None => only_agent(&friend, context).await?,
    };
    let issued = context.sessions.issue(friend.clone(), agent.clone(), context.operator.clone()).await?;
    let issued = issued.ok_or_else(|| {
        Failure::refused("--agent", format!("{friend} has no active friendship with {agent}; see friendship set"))
    })?;
    Ok(Output::Record(vec![
        ("id", plain(&issued.session.id)),
        ("friend", plain(issued.session.friend.as_str())),
        ("agent", plain(issued.session.agent.as_str())),
        ("expires_at", time(issued.session.expires_at)),
        ("token", plain(issued.token.reveal())),
    ]))
}

async fn link(friend: FriendId, agent: Option<AgentId>, context: &AdminContext) -> Result<Output, Failure> {
    context.known(&friend).await?;
    let public_url = context.settings()?.server.public_url.clone();
    let public_url = public_url.ok_or_else(|| {
        Failure::refused("server.public_url", "is missing in the configuration: links begin with it".to_owned())
    })?;
    let agent = match agent {
        Some(agent) => agent,
        None => only_agent(&friend, context).await?,
    };
    let made = make_link(&friend, &agent, &public_url, context).await?;
    Ok(Output::Record(vec![
        ("friend", plain(friend.as_str())),
        ("agent", plain(agent.as_str())),
        ("expires_at", made.expires_at),
        ("link", plain(made.url)),
    ]))
}

/// A login link as it is printed.
pub(crate) struct PrintedLink {
    pub(crate) url: String,
    pub(crate) expires_at: Value,
}

/// Makes a login link that begins with the portal's public address.
pub(crate) async fn make_link(
    friend: &FriendId,
    agent: &AgentId,
    public_url: &str,
    context: &AdminContext,
) -> Result<PrintedLink, Failure> {
    let recipient = Recipient::Friend(friend.clone());
    let made = context.logins.create(recipient, agent, None, context.operator.clone()).await?;
    let made = made.ok_or_else(|| {
        Failure::refused("--agent", format!("{friend} has no active friendship with {agent}; see friendship set"))
    })?;
    Ok(PrintedLink { url: made.url(public_url), expires_at: time(made.expires_at) })
}

/// The agent a friend talks to, if there is no doubt about it.
async fn only_agent(friend: &FriendId, context: &AdminContext) -> Result<AgentId, Failure> {
    let friendships = context.friendships.of_friend(friend).await?;
    let mut active =
        friendships.into_iter().filter(|known| known.status == FriendshipStatus::Active).map(|known| known.agent);
    // Never guessed: a session speaks to one agent only.
    match (active.next(), active.next()) {
        (Some(agent), None) => Ok(agent),
        (None, _) => Err(Failure::refused("FRIEND", format!("{friend} has no active friendship; see friendship set"))),
        (Some(first), Some(second)) => {
            let all: Vec<String> = [first, second].into_iter().chain(active).map(|agent| agent.to_string()).collect();
            Err(Failure::refused("--agent", format!("{friend} has several agents, name one: {}", all.join(", "))))
        }
    }
}

async fn list(friend: &FriendId, context: &AdminContext) -> Result<Output, Failure> {
    context.known(friend).await?;
    let sessions = context.sessions.list(friend).await?;
    let row = |session: &Session| {
        let Session { id, agent, created_at, expires_at, .. } = session;
        vec![plain(id), plain(agent.as_str()), time(*created_at), time(*expires_at)]
    };
    let rows = sessions.iter().map(row).collect();
    Ok(Output::list("sessions", &["id", "agent", "created_at", "expires_at"], rows))
}

async fn revoke(friend: &FriendId, id: Option<&str>, context: &AdminContext) -> Result<Output, Failure> {
    context.known(friend).await?;
    let revoked = match id {
        None => context.sessions.revoke_all(friend, context.operator.clone()).await?,
        // A session that is not this friend's is refused like one that does not exist.
        Some(id) if context.sessions.revoke(friend, id, context.operator.clone()).await? => 1,
        Some(id) => {
            let sentence = format!("{friend} has no session {id} that still counts");
            return Err(Failure::coded("ID", code::SESSION_NOT_FOUND, sentence));
        }
    };
    Ok(Output::Record(vec![("revoked", plain(revoked))]))
}
