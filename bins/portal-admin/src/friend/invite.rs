//! `friend invite`, and the list of what a friend still lacks, which `friend show` prints too.

use std::path::PathBuf;

use clap::Args;
use portal_core::{
    Action, AgentId, AuditFilter, Contact, FriendCreated, FriendId, Friendship, FriendshipKey, FriendshipStatus,
    Session, code,
};

use crate::context::AdminContext;
use crate::failure::Failure;
use crate::friend::{self, Given};
use crate::output::{Fields, plain};
use crate::{contact, session};

#[derive(Args)]
pub(crate) struct Invitation {
    /// The friend; registered unless they are already
    #[arg(value_parser = FriendId::parse)]
    friend: FriendId,
    /// The agent that works for them
    #[arg(long, value_parser = AgentId::parse)]
    agent: AgentId,
    #[command(flatten)]
    given: Given,
    /// Their address on a channel, such as discord:4711; may be repeated
    #[arg(long = "contact", value_name = "CHANNEL:ADDRESS")]
    contacts: Vec<String>,
    /// Their number on Signal, short for --contact signal:NUMBER
    #[arg(long, value_name = "NUMBER")]
    signal: Option<String>,
    /// Make their namespace too, as `friend provision` does
    #[arg(long)]
    provision: bool,
    /// Kubeconfig with the rights to make it; the usual one by default
    #[arg(long, value_name = "FILE", requires = "provision")]
    kubeconfig: Option<PathBuf>,
}

/// Brings a friend from nothing to a link. Each step finds what an earlier call did, so a call that failed half-way is
/// simply repeated.
///
/// 1. Everything that can be refused is looked at: addresses, the agent, a friendship that somebody ended.
/// 2. Friend, contacts, friendship, and the namespace if it is asked for.
/// 3. The link, if the configuration says what links begin with; the rest is said as left to do.
pub(crate) async fn invite(invitation: Invitation, context: &AdminContext) -> Result<Fields, Failure> {
    let Invitation { friend: id, agent, given, contacts, signal, provision, kubeconfig } = invitation;
    let contacts = parse_contacts(&id, &contacts, signal.as_deref())?;
    let public_url = context.settings()?.server.public_url.as_deref();
    let no_agent =
        || Failure::coded("--agent", code::AGENT_NOT_FOUND, format!("there is no agent {agent}; see agent add"));
    if !context.has_agent(&agent).await? {
        return Err(no_agent());
    }
    let key = FriendshipKey::new(id.clone(), agent.clone());
    let friendship = context.friendships.find(&key).await?;
    // Whoever ended it had a reason that an invitation does not know.
    if let Some(ended) = friendship.as_ref().filter(|friendship| friendship.status != FriendshipStatus::Active) {
        let refusal = format!("{id}'s friendship with {agent} is {}; see friendship set", ended.status);
        return Err(Failure::refused("--agent", refusal));
    }

    register(&id, given, context).await?;
    for contact in contacts {
        contact::add(&contact, "--contact", context).await?;
    }
    if friendship.is_none() {
        let audit = context.audit(Action::FriendshipSet, Some(&id), agent.as_str()).with_detail("active");
        if !context.friendships.set(Friendship::new(key, context.clock.now()), audit).await? {
            return Err(no_agent());
        }
    }
    if provision {
        friend::provision(&id, kubeconfig.as_deref(), context).await?;
    }

    let link = match public_url {
        Some(public_url) => Some(session::make_link(&id, &agent, public_url, context).await?),
        None => None,
    };
    let mut shown = vec![("friend", plain(id.as_str())), ("agent", plain(agent.as_str()))];
    // Read now, so that the list names only what the steps above left.
    let rows = FriendRows::of(&id, context).await?;
    shown.push(("left_to_do", plain(rows.left_to_do(context).await?)));
    shown.push(("link", plain(link.as_ref().map(|link| &link.url))));
    shown.push(("link_expires_at", plain(link.map(|link| link.expires_at))));
    Ok(shown)
}

/// Registers the friend, or writes what was given into the row that there is.
async fn register(id: &FriendId, given: Given, context: &AdminContext) -> Result<(), Failure> {
    if context.friends.find(id).await?.is_some() {
        // Without anything given a repeated invitation undoes no later change.
        if given.is_any() {
            friend::update(id, given, context).await?;
        }
        return Ok(());
    }
    match friend::create(id.clone(), given, context).await?.1 {
        FriendCreated::New | FriendCreated::Exists => Ok(()),
        FriendCreated::IsContact => Err(friend::is_contact(id)),
    }
}

fn parse_contacts(id: &FriendId, contacts: &[String], signal: Option<&str>) -> Result<Vec<Contact>, Failure> {
    let mut parsed = Vec::new();
    for contact in contacts {
        // At the first colon: an address may hold others.
        let Some((channel, address)) = contact.split_once(':') else {
            return Err(Failure::refused("--contact", "must be CHANNEL:ADDRESS, such as signal:+15550100"));
        };
        let contact = Contact::parse(id.clone(), channel, address);
        parsed.push(contact.map_err(|invalid| Failure::invalid("--contact", invalid))?);
    }
    if let Some(number) = signal {
        let contact = Contact::parse(id.clone(), "signal", number);
        parsed.push(contact.map_err(|invalid| Failure::invalid("--signal", invalid))?);
    }
    Ok(parsed)
}

/// Rows that belong to a friend.
pub(crate) struct FriendRows<'a> {
    id: &'a FriendId,
    pub(crate) contacts: Vec<Contact>,
    pub(crate) friendships: Vec<Friendship>,
    pub(crate) sessions: Vec<Session>,
}

impl<'a> FriendRows<'a> {
    /// Reads the rows of a friend.
    pub(crate) async fn of(id: &'a FriendId, context: &AdminContext) -> Result<Self, Failure> {
        let contacts = context.contacts.list(id).await?;
        let friendships = context.friendships.of_friend(id).await?;
        Ok(Self { id, contacts, friendships, sessions: context.sessions.list(id).await? })
    }

    /// Returns what the friend lacks before they can use the portal, each with the command that mends it. Of the
    /// configuration it knows only while the command reads it.
    pub(crate) async fn left_to_do(&self, context: &AdminContext) -> Result<Vec<String>, Failure> {
        let id = self.id;
        let mut left = Vec::new();
        if self.contacts.is_empty() {
            left.push(format!("add an address, so that an agent can send a link: contact add {id} CHANNEL ADDRESS"));
        }
        let active: Vec<_> =
            self.friendships.iter().filter(|friendship| friendship.status == FriendshipStatus::Active).collect();
        if active.is_empty() {
            left.push(format!("give them an agent: friendship set AGENT {id} active"));
        }
        if let Some(settings) = context.loaded_settings() {
            for friendship in active {
                let agent = &friendship.agent;
                match settings.agents.iter().find(|configured| configured.id == *agent) {
                    None => left.push(format!("add agent {agent} to the configuration")),
                    Some(configured) if !configured.may_login => {
                        left.push(format!("set may_login = true for agent {agent}, unless operators send all links"));
                    }
                    Some(_) => {}
                }
            }
            if settings.server.public_url.is_none() {
                left.push("set server.public_url, with which links begin".to_owned());
            }
        }
        if !is_provisioned(id, context).await? {
            left.push(format!("make their namespace, unless it is made elsewhere: friend provision {id}"));
        }
        if self.sessions.is_empty() {
            left.push(format!("have them log in: session link {id}"));
        }
        Ok(left)
    }
}

/// Returns true if the last attempt to make the namespace was finished.
async fn is_provisioned(id: &FriendId, context: &AdminContext) -> Result<bool, Failure> {
    let action = Some(Action::FriendProvision.as_str().to_owned());
    let filter = AuditFilter { friend: Some(id.clone()), action, limit: 1, ..AuditFilter::default() };
    // An attempt that was not finished has a second line, with a detail.
    Ok(context.audit_log.list(filter).await?.first().is_some_and(|line| line.detail.is_empty()))
}
