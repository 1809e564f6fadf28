//! `agent add|list|rotate|remove|contacts|wiring|device-key`.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use portal_core::{Action, Agent, AgentId, Contact, FriendshipStatus, Token, TokenKind};
use portal_runtime::admin::DeviceKey;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::context::AdminContext;
use crate::failure::Failure;
use crate::output::{Output, plain, time};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Register an agent; its token is shown now and never again
    Add {
        #[arg(value_parser = AgentId::parse)]
        agent: AgentId,
    },
    /// All agents
    List,
    /// Give an agent another token, shown now and never again; the one before is void at once
    Rotate {
        #[arg(value_parser = AgentId::parse)]
        agent: AgentId,
    },
    /// Remove an agent with its friendships, sessions and jobs
    Remove {
        #[arg(value_parser = AgentId::parse)]
        agent: AgentId,
    },
    /// The addresses of an agent's active friends, as the gateway's memory hook wants them
    Contacts {
        #[arg(value_parser = AgentId::parse)]
        agent: AgentId,
        /// Writes them to this file, readable by its owner alone; what is there is replaced
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
    },
    /// What openclaw.json of an agent's gateway has to say, and what it does not say yet
    Wiring {
        #[arg(value_parser = AgentId::parse)]
        agent: AgentId,
    },
    /// Make the key of the portal's device in a gateway; needs no portal
    DeviceKey {
        /// The file, readable by its owner alone; one that is there is left as it is
        file: PathBuf,
    },
}

pub(crate) async fn run(verb: Verb, context: &AdminContext) -> Result<Output, Failure> {
    match verb {
        Verb::Add { agent } => add(agent, context).await,
        Verb::List => list(context).await,
        Verb::Rotate { agent } => rotate(&agent, context).await,
        Verb::Remove { agent } => remove(&agent, context).await,
        Verb::Contacts { agent, write } => contacts(&agent, write.as_deref(), context).await,
        Verb::Wiring { agent } => wiring(&agent, context).await,
        Verb::DeviceKey { file } => device_key(&file),
    }
}

/// Returns the contacts of an agent's active friends.
async fn contacts_of(agent: &AgentId, context: &AdminContext) -> Result<Vec<Contact>, Failure> {
    if !context.has_agent(agent).await? {
        return Err(Failure::unknown_agent(agent));
    }
    let mut contacts = Vec::new();
    for friendship in context.friendships.of_agent(agent).await? {
        if friendship.status == FriendshipStatus::Active {
            contacts.extend(context.contacts.list(&friendship.friend).await?);
        }
    }
    Ok(contacts)
}

async fn wiring(agent: &AgentId, context: &AdminContext) -> Result<Output, Failure> {
    let mut links: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Contact { friend, channel, typed, .. } in contacts_of(agent, context).await? {
        // As typed: some channels tell upper from lower case.
        links.entry(friend.to_string()).or_default().push(format!("{channel}:{typed}"));
    }
    // The gateway refuses a configuration without the first one.
    let mut prefixes = vec!["hook:".to_owned(), format!("agent:{agent}:direct:")];
    let mut notes = Vec::new();
    if let Some(settings) = context.loaded_settings() {
        prefixes.extend(settings.jobs.channels.iter().map(|channel| format!("agent:{agent}:{channel}:direct:")));
        notes = context.gateway_problems(settings, agent).await;
    }
    let document = json!({
        "session": {"dmScope": "per-peer", "identityLinks": links},
        "hooks": {
            "enabled": true,
            "path": "/hooks",
            "token": "the text of agents.hook.token_file",
            "allowRequestSessionKey": true,
            "allowedSessionKeyPrefixes": prefixes,
            "internal": {"enabled": true, "entries": {"friend-memory": {"enabled": true}}},
        },
    });
    Ok(Output::Document { member: "openclaw_json", document, notes })
}

async fn contacts(agent: &AgentId, file: Option<&Path>, context: &AdminContext) -> Result<Output, Failure> {
    let contacts = contacts_of(agent, context).await?;
    if let Some(file) = file {
        let entry = |contact: &Contact| {
            let Contact { friend, channel, typed, .. } = contact;
            json!({"channel": channel.as_str(), "address": typed, "friend": friend.as_str()})
        };
        let text: serde_json::Value = contacts.iter().map(entry).collect();
        replace(file, &format!("{text:#}\n")).map_err(|error| unwritable("--write", file, &error))?;
    }
    let row = |contact: &Contact| {
        let Contact { friend, channel, typed, .. } = contact;
        vec![plain(friend.as_str()), plain(channel.as_str()), plain(typed)]
    };
    Ok(Output::list("contacts", &["friend", "channel", "address"], contacts.iter().map(row).collect()))
}

pub(crate) fn device_key(file: &Path) -> Result<Output, Failure> {
    let text = DeviceKey::generate();
    let key = DeviceKey::parse(&text).map_err(|invalid| Failure::invalid("FILE", invalid))?;
    // Never over a key: its device would have to be approved anew.
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    opened
        .and_then(|mut opened| {
            writeln!(opened, "{}", text.expose_secret())?;
            opened.sync_all()
        })
        .map_err(|error| unwritable("FILE", file, &error))?;
    Ok(Output::Record(vec![("file", plain(file.display().to_string())), ("device", plain(key.id()))]))
}

/// Puts another file in the place of `file`, so that nobody reads half of it.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let beside = file.with_extension("new");
    // What an interrupted command left behind may have other rights.
    fs::remove_file(&beside)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    fs::rename(beside, file)
}

fn unwritable(argument: &'static str, file: &Path, error: &io::Error) -> Failure {
    Failure::refused(argument, format!("{} cannot be written: {error}", file.display()))
}

async fn add(id: AgentId, context: &AdminContext) -> Result<Output, Failure> {
    let token = Token::generate(TokenKind::Agent, &*context.ids);
    let audit = context.audit(Action::AgentCreate, None, id.as_str());
    let agent = Agent { id: id.clone(), created_at: context.clock.now() };
    if !context.agents.create(agent, token.hash(), audit).await? {
        return Err(Failure::refused("AGENT", format!("there is an agent {id} already; see agent rotate")));
    }
    Ok(with_token(&id, &token))
}

async fn list(context: &AdminContext) -> Result<Output, Failure> {
    let agents = context.agents.list().await?;
    let rows = agents.iter().map(|agent| vec![plain(agent.id.as_str()), time(agent.created_at)]);
    Ok(Output::list("agents", &["id", "created_at"], rows.collect()))
}

async fn rotate(id: &AgentId, context: &AdminContext) -> Result<Output, Failure> {
    let token = Token::generate(TokenKind::Agent, &*context.ids);
    if !context.agents.rotate(id, token.hash(), context.audit(Action::AgentRotate, None, id.as_str())).await? {
        return Err(Failure::unknown_agent(id));
    }
    Ok(with_token(id, &token))
}

async fn remove(id: &AgentId, context: &AdminContext) -> Result<Output, Failure> {
    if !context.agents.remove(id, context.audit(Action::AgentRemove, None, id.as_str())).await? {
        return Err(Failure::unknown_agent(id));
    }
    Ok(Output::Record(vec![("removed", plain(id.as_str()))]))
}

fn with_token(id: &AgentId, token: &Token) -> Output {
    Output::Record(vec![("id", plain(id.as_str())), ("token", plain(token.reveal()))])
}
