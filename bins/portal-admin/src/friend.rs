//! `friend add|invite|list|show|update|remove|provision`.

mod invite;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use portal_core::{Action, ChannelId, Friend, FriendCreated, FriendId, FriendRemoved, FriendshipStatus};
use portal_cron::TimeZones;
use portal_k8s::{AGENT_ROLE, Provisioned, ServiceAccountName};
use portal_runtime::admin;
use portal_runtime::config::AgentSettings;

use self::invite::{FriendRows, Invitation};
use crate::context::AdminContext;
use crate::failure::Failure;
use crate::output::{Fields, Output, plain, time};

/// Longest name, in characters: what pages have room for.
const NAME_MAX: usize = 80;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Register a friend
    Add {
        /// Lower-case letters, digits and hyphens, at most 40; part of hostnames, and never changed
        #[arg(value_parser = FriendId::parse)]
        friend: FriendId,
        #[command(flatten)]
        given: Given,
    },
    /// Bring a friend from nothing to a login link, and say what is left to do; may be repeated
    Invite(Invitation),
    /// All friends
    List,
    /// One friend, with contacts, friendships and what is left to do
    Show {
        #[arg(value_parser = FriendId::parse)]
        friend: FriendId,
    },
    /// Change name, channel or time zone; an empty value takes one away
    Update {
        #[arg(value_parser = FriendId::parse)]
        friend: FriendId,
        #[command(flatten)]
        given: Given,
    },
    /// Remove a friend with contacts, friendships, sessions, jobs and the portal's versions of documents
    Remove {
        #[arg(value_parser = FriendId::parse)]
        friend: FriendId,
    },
    /// Make a friend's namespace as the configuration's section `provisioning` says, or make it so again
    Provision {
        #[arg(value_parser = FriendId::parse)]
        friend: FriendId,
        /// Kubeconfig with the rights to use; the usual one by default
        #[arg(long, value_name = "FILE")]
        kubeconfig: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct Given {
    /// The name that pages show; without one, the id
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// The channel on which they would rather be written to
    #[arg(long)]
    channel: Option<String>,
    /// The IANA time zone in which their schedules are read; without one, UTC
    #[arg(long)]
    time_zone: Option<String>,
}

impl Given {
    /// Returns true if anything was given.
    pub(crate) fn is_any(&self) -> bool {
        self.name.is_some() || self.channel.is_some() || self.time_zone.is_some()
    }

    /// Puts what was given into a friend's row; an empty value takes away what is there.
    fn write(self, friend: &mut Friend) -> Result<(), Failure> {
        if let Some(name) = self.name {
            friend.display_name = Some(name).filter(|name| !name.is_empty());
        }
        if let Some(channel) = self.channel {
            let parsed = (!channel.is_empty()).then(|| ChannelId::parse(&channel)).transpose();
            friend.preferred_channel = parsed.map_err(|invalid| Failure::invalid("--channel", invalid))?;
        }
        if let Some(zone) = self.time_zone {
            let is_known = zone.is_empty() || TimeZones::bundled().check(&zone).is_ok();
            let refusal = || Failure::refused("--time-zone", "must be an IANA time zone such as Europe/Berlin");
            is_known.then_some(()).ok_or_else(refusal)?;
            friend.time_zone = Some(zone).filter(|zone| !zone.is_empty());
        }
        Ok(())
    }
}

/// Reads a name.
fn name(text: &str) -> Result<String, String> {
    if text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control) && text.trim() == text {
        return Ok(text.to_owned());
    }
    Err(format!("a name has at most {NAME_MAX} characters, no control characters, and no spaces around it"))
}

pub(crate) async fn run(verb: Verb, context: &AdminContext) -> Result<Output, Failure> {
    match verb {
        Verb::Add { friend, given } => add(friend, given, context).await,
        Verb::Invite(invitation) => invite::invite(invitation, context).await.map(Output::Record),
        Verb::List => list(context).await,
        Verb::Show { friend } => show(&friend, context).await,
        Verb::Update { friend, given } => update(&friend, given, context).await,
        Verb::Remove { friend } => remove(&friend, context).await,
        Verb::Provision { friend, kubeconfig } => provision(&friend, kubeconfig.as_deref(), context).await,
    }
}

async fn add(id: FriendId, given: Given, context: &AdminContext) -> Result<Output, Failure> {
    let (friend, created) = create(id, given, context).await?;
    match created {
        FriendCreated::New => Ok(Output::Record(fields(&friend))),
        FriendCreated::Exists => Err(Failure::refused("FRIEND", format!("there is a friend {} already", friend.id))),
        FriendCreated::IsContact => Err(is_contact(&friend.id)),
    }
}

/// Creates a friend with what was given.
pub(crate) async fn create(
    id: FriendId,
    given: Given,
    context: &AdminContext,
) -> Result<(Friend, FriendCreated), Failure> {
    let mut friend = Friend::new(id, context.clock.now());
    given.write(&mut friend)?;
    let audit = context.audit(Action::FriendCreate, Some(&friend.id), friend.id.as_str());
    let created = context.friends.create(friend.clone(), audit).await?;
    Ok((friend, created))
}

/// The refusal of an id that is an address already.
pub(crate) fn is_contact(id: &FriendId) -> Failure {
    Failure::refused("FRIEND", format!("{id} is somebody's contact, and a session key could mean either"))
}

async fn list(context: &AdminContext) -> Result<Output, Failure> {
    let friends = context.friends.list().await?;
    let row = |friend: &Friend| fields(friend).into_iter().map(|(_, value)| value).collect();
    Ok(Output::list("friends", COLUMNS, friends.iter().map(row).collect()))
}

async fn show(id: &FriendId, context: &AdminContext) -> Result<Output, Failure> {
    let friend = context.friends.find(id).await?.ok_or_else(|| Failure::unknown_friend(id))?;
    let rows = FriendRows::of(id, context).await?;
    // As typed, which is how `contact list` shows and `contact remove` takes them.
    let contacts: Vec<_> =
        rows.contacts.iter().map(|contact| format!("{}:{}", contact.channel, contact.typed)).collect();
    let friendships: Vec<_> =
        rows.friendships.iter().map(|friendship| format!("{} ({})", friendship.agent, friendship.status)).collect();
    let mut shown = fields(&friend);
    shown.extend([
        ("namespace", plain(id.namespace())),
        ("contacts", plain(contacts)),
        ("friendships", plain(friendships)),
        ("sessions", plain(rows.sessions.len())),
        ("left_to_do", plain(rows.left_to_do(context).await?)),
    ]);
    Ok(Output::Record(shown))
}

pub(crate) async fn update(id: &FriendId, given: Given, context: &AdminContext) -> Result<Output, Failure> {
    let mut friend = context.friends.find(id).await?.ok_or_else(|| Failure::unknown_friend(id))?;
    given.write(&mut friend)?;
    if !context.friends.update(friend.clone(), context.audit(Action::FriendUpdate, Some(id), id.as_str())).await? {
        return Err(Failure::unknown_friend(id));
    }
    Ok(Output::Record(fields(&friend)))
}

async fn remove(id: &FriendId, context: &AdminContext) -> Result<Output, Failure> {
    match context.friends.remove(id, context.audit(Action::FriendRemove, Some(id), id.as_str())).await? {
        FriendRemoved::Done => Ok(Output::Record(vec![("removed", plain(id.as_str()))])),
        FriendRemoved::Absent => Err(Failure::unknown_friend(id)),
        FriendRemoved::HasExposures => {
            Err(Failure::refused("FRIEND", format!("{id} still has exposures; see exposure list {id}")))
        }
    }
}

/// The line is written first, so that nothing is ever done to a cluster without one; what came of it otherwise than
/// meant is another line.
pub(crate) async fn provision(
    id: &FriendId,
    kubeconfig: Option<&Path>,
    context: &AdminContext,
) -> Result<Output, Failure> {
    context.known(id).await?;
    let accounts = agent_accounts(id, context).await?;
    let manifests = context.settings()?.provisioning.manifests(id, &accounts);
    let namespaces = admin::namespaces(kubeconfig).await.map_err(|error| Failure::Setup(Box::new(error)))?;
    let namespace = id.namespace();
    let line = |detail: &str| context.audit(Action::FriendProvision, Some(id), &namespace).with_detail(detail);
    context.audit_log.append(line("")).await?;
    let provisioned = namespaces.provision(&manifests).await;
    let came_of_it = match &provisioned {
        Ok(Provisioned::Done) => None,
        Ok(Provisioned::Foreign) => Some("withdrawn: the namespace was not made for the friend"),
        Ok(Provisioned::ForeignBinding) => Some("withdrawn: the binding of agents was not made for the friend"),
        Ok(Provisioned::Terminating) => Some("withdrawn: the namespace is being deleted"),
        Err(_) => Some("not finished: the cluster refused or could not be asked"),
    };
    if let Some(detail) = came_of_it {
        context.audit_log.append(line(detail)).await?;
    }
    match provisioned? {
        Provisioned::Done => Ok(Output::Record(vec![
            ("friend", plain(id.as_str())),
            ("namespace", plain(namespace)),
            ("may_deploy", plain(accounts.iter().map(ToString::to_string).collect::<Vec<_>>())),
        ])),
        Provisioned::Foreign => Err(Failure::refused(
            "FRIEND",
            format!("there is a namespace {namespace} that was not made for {id}; it was left as it is"),
        )),
        Provisioned::ForeignBinding => Err(Failure::refused(
            "FRIEND",
            format!(
                "{namespace} has a RoleBinding {AGENT_ROLE} that was not made for {id}; everything was left as it is"
            ),
        )),
        Provisioned::Terminating => Err(Failure::refused(
            "FRIEND",
            format!("the namespace {namespace} is being deleted; provision again once it is gone"),
        )),
    }
}

/// Returns the service accounts of the agents that work for a friend.
async fn agent_accounts(id: &FriendId, context: &AdminContext) -> Result<Vec<ServiceAccountName>, Failure> {
    let friendships = context.friendships.of_friend(id).await?;
    let works = |agent: &AgentSettings| {
        friendships.iter().any(|known| known.agent == agent.id && known.status == FriendshipStatus::Active)
    };
    let agents = context.settings()?.agents.iter().filter(|agent| works(agent));
    Ok(agents.filter_map(|agent| agent.service_account.clone()).collect())
}

// The order of the columns is that of the table; scripts read names.
const COLUMNS: &[&str] = &["id", "name", "channel", "time_zone", "created_at"];

fn fields(friend: &Friend) -> Fields {
    let channel = friend.preferred_channel.as_ref().map(ChannelId::as_str);
    let values = [
        plain(friend.id.as_str()),
        plain(&friend.display_name),
        plain(channel),
        plain(&friend.time_zone),
        time(friend.created_at),
    ];
    COLUMNS.iter().copied().zip(values).collect()
}
