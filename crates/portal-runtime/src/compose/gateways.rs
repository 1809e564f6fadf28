//! The agents' gateways: their clients, and how `portal-server check` asks them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use portal_adapters::db::Db;
use portal_adapters::openclaw::{
    Conversations, DmScope, GatewayClient, GatewayEngine, GatewayOf, GatewayScopes, GatewaySettings, Hello, last_use,
};
use portal_core::{AgentId, BackendError, Contact, FriendshipKey, FriendshipStatus, Invalid, Probe};
use portal_cron::SessionKeys;

use super::rotation::Rotating;
use crate::check::{CheckStatus, Finding, with_timeout};
use crate::config::{AgentSettings, EngineKind, GatewayTarget};

/// Warning of a conversation that a gateway does not have.
const NOBODY_READS: &str =
    "the gateway does not have it: nobody has written there yet, and nobody would read what a job says there";

/// Clients of the configured gateways, by agent. They connect by themselves, and anew when the token's file changes.
pub(super) struct Gateways(HashMap<AgentId, Rotating<GatewayClient>>);

impl Gateways {
    /// Begins to connect.
    ///
    /// # Errors
    /// Never in fact: a client takes all settings that the configuration accepts.
    pub(super) fn start(agents: &[AgentSettings]) -> Result<Self, Invalid> {
        let mut clients = HashMap::new();
        for agent in agents {
            if let Some(target) = agent.gateway.clone() {
                let secret = target.token.clone();
                let client = Rotating::new(&secret, move |token| {
                    let GatewayTarget { url, device_key, .. } = target.clone();
                    Ok(Arc::new(GatewayClient::start(GatewaySettings { url, token: token.clone(), device_key })))
                })?;
                clients.insert(agent.id.clone(), client);
            }
        }
        Ok(Self(clients))
    }

    /// Returns the client of an agent's gateway.
    pub(super) fn of(&self, agent: &AgentId) -> Option<Arc<GatewayClient>> {
        self.0.get(agent).map(Rotating::current)
    }
}

#[async_trait]
impl Probe for Gateways {
    fn name(&self) -> &'static str {
        "gateways"
    }

    fn required(&self) -> bool {
        // Whoever does not ask for the agent's jobs and heartbeat needs no gateway.
        false
    }

    async fn probe(&self) -> Result<(), BackendError> {
        for client in self.0.values() {
            client.current().hello().await?;
        }
        Ok(())
    }
}

/// Asks each agent's gateway who it is, and whose conversations it keeps apart.
pub(crate) async fn check(agents: &[AgentSettings], db: &Db) -> Vec<Finding> {
    let mut findings = Vec::new();
    for agent in agents {
        if let Some(target) = &agent.gateway {
            findings.extend(check_one(agent, target, db).await);
        }
    }
    findings
}

async fn check_one(agent: &AgentSettings, target: &GatewayTarget, db: &Db) -> Vec<Finding> {
    let GatewayTarget { url, token, device_key } = target;
    let settings = GatewaySettings { url: url.clone(), token: token.value.clone(), device_key: device_key.clone() };
    let name = format!("gateway of {}", agent.id);
    let hello = match GatewayClient::introduce(&settings).await {
        Ok(hello) => hello,
        Err(refused) => return vec![Finding { name, status: CheckStatus::Failed(refused.message) }],
    };
    let name = format!("{name} (OpenClaw {}, protocol {})", hello.version, hello.protocol);
    let mut findings = vec![Finding { name, status: jobs_status(agent.engine, &hello) }];
    let has_file = agent.reads_heartbeat || agent.workspace.join("HEARTBEAT.md").is_file();
    if hello.methods.contains("cron.scratch.set") && has_file {
        findings.push(heartbeat_file(agent));
    }
    let client = Arc::new(GatewayClient::start(settings));
    findings.push(with_timeout(format!("conversations of {}", agent.id), conversations(&client, agent, db)).await);
    if hello.methods.contains("sessions.list") {
        findings.extend(last_uses(&client, &agent.id, db).await);
    }
    findings
}

fn heartbeat_file(agent: &AgentSettings) -> Finding {
    let why = "the gateway keeps it itself (cron.scratch) and ignores the file in the workspace: write what is in it through \
               the portal, remove the file, and leave out agents.reads_heartbeat";
    Finding { name: format!("HEARTBEAT.md of {}", agent.id), status: CheckStatus::Warning(why.to_owned()) }
}

/// Says of each active friend when the conversation of their jobs was last used.
async fn last_uses(client: &Arc<GatewayClient>, agent: &AgentId, db: &Db) -> Vec<Finding> {
    let friendships = match db.friendships().of_agent(agent).await {
        Ok(friendships) => friendships,
        Err(error) => return vec![Finding::of(format!("conversations with {agent}"), Err(error))],
    };
    let gateway = client.clone();
    let gateway_of: GatewayOf = Arc::new(move |_| Some(gateway.clone()));
    // Of the default conversation alone, which no channel decides.
    let keys =
        SessionKeys::new(db.contacts(), db.friends(), Vec::new()).with_scopes(Arc::new(GatewayScopes::new(gateway_of)));
    let mut findings = Vec::new();
    for friendship in friendships.iter().filter(|friendship| friendship.status == FriendshipStatus::Active) {
        let owner = FriendshipKey { friend: friendship.friend.clone(), agent: agent.clone() };
        findings.push(last_use_of(client, &keys, &owner).await);
    }
    findings
}

async fn default_use(
    client: &GatewayClient,
    keys: &SessionKeys,
    owner: &FriendshipKey,
) -> Result<Option<DateTime<Utc>>, BackendError> {
    let contacts = keys.contacts(&owner.friend).await?;
    let Some(default) = keys.default_destination(owner, &contacts).await? else { return Ok(None) };
    Ok(last_use(client, default.session.as_str()).await?)
}

async fn last_use_of(client: &GatewayClient, keys: &SessionKeys, owner: &FriendshipKey) -> Finding {
    let FriendshipKey { friend, agent } = owner;
    let name = format!("conversation of {friend} with {agent}");
    let mut used = None;
    let finding = with_timeout(&name, async {
        let found = default_use(client, keys, owner).await;
        found.map(|at| {
            used = at;
            if at.is_some() { CheckStatus::Ok } else { CheckStatus::Warning(NOBODY_READS.to_owned()) }
        })
    });
    let finding = finding.await;
    match used {
        // A table has words for what is wrong only, so the time stands beside the name.
        Some(at) => {
            Finding { name: format!("{name}, last used {}", at.to_rfc3339_opts(SecondsFormat::Secs, true)), ..finding }
        }
        None => finding,
    }
}
/// Judges whether the gateway can keep the friends' jobs, by what it says it can do.
fn jobs_status(engine: EngineKind, hello: &Hello) -> CheckStatus {
    const METHODS: [&str; 6] = ["cron.list", "cron.add", "cron.update", "cron.remove", "cron.run", "cron.runs"];
    if engine == EngineKind::Embedded {
        return CheckStatus::Ok;
    }
    let missing: Vec<_> = METHODS.into_iter().filter(|method| !hello.methods.contains(*method)).collect();
    if !missing.is_empty() {
        return CheckStatus::Failed(format!("engine openclaw needs its methods {}", missing.join(", ")));
    }
    if !GatewayEngine::can_send_answers(hello) {
        return CheckStatus::Warning(
            "it is too old to send scheduled answers to a chat (OpenClaw before 2026.5.12): jobs get answer_to nowhere"
                .to_owned(),
        );
    }
    CheckStatus::Ok
}

async fn conversations(client: &GatewayClient, agent: &AgentSettings, db: &Db) -> Result<CheckStatus, BackendError> {
    let found = Conversations::read(client).await?;
    let mut friends = Vec::new();
    for friendship in db.friendships().of_agent(&agent.id).await? {
        if friendship.status == FriendshipStatus::Active {
            friends.push(db.contacts().list(&friendship.friend).await?);
        }
    }
    Ok(status(&found, &agent.id, agent.hook.is_some(), &friends))
}

/// Judges a gateway's configuration by the contacts of each active friend.
fn status(found: &Conversations, agent: &AgentId, uses_hooks: bool, friends: &[Vec<Contact>]) -> CheckStatus {
    if uses_hooks && !found.accepts(&format!("agent:{agent}:direct:")) {
        return CheckStatus::Failed(format!(
            "the hooks refuse the friends' conversations: set hooks.allowRequestSessionKey = true, and put \
             agent:{agent}:direct: into hooks.allowedSessionKeyPrefixes"
        ));
    }
    match found.scope {
        Some(DmScope::Main) if friends.len() > 1 => CheckStatus::Failed(format!(
            "session.dmScope is main, the default: {} friends share one conversation; set it to per-peer",
            friends.len()
        )),
        Some(DmScope::Main) => CheckStatus::Warning(
            "session.dmScope is main, the default: everybody shares one conversation, which is not the one of the \
             portal's messages; set it to per-peer"
                .to_owned(),
        ),
        Some(DmScope::PerPeer) => links(found, friends),
        Some(DmScope::PerChannelPeer) => on_channels(found, agent, uses_hooks, friends),
        Some(DmScope::PerAccountChannelPeer) => CheckStatus::Warning(
            "session.dmScope is per-account-channel-peer: a job without a session is said in a conversation that no \
             channel leads to; name the session of the channel in the job, or set per-peer"
                .to_owned(),
        ),
        None => CheckStatus::Warning("session.dmScope has a value that this portal does not know".to_owned()),
    }
}

/// Names the channels whose conversations the hooks refuse.
fn on_channels(found: &Conversations, agent: &AgentId, uses_hooks: bool, friends: &[Vec<Contact>]) -> CheckStatus {
    let prefixes = friends.iter().flatten().map(|contact| format!("agent:{agent}:{}:direct:", contact.channel));
    let refused: BTreeSet<_> = prefixes.filter(|prefix| uses_hooks && !found.accepts(prefix)).collect();
    if refused.is_empty() {
        return CheckStatus::Ok;
    }
    let listed = refused.into_iter().collect::<Vec<_>>().join(", ");
    CheckStatus::Failed(format!(
        "the hooks refuse the friends' conversations: put {listed} into hooks.allowedSessionKeyPrefixes"
    ))
}

/// Names the contacts whose messages go to another conversation than the portal's.
fn links(found: &Conversations, friends: &[Vec<Contact>]) -> CheckStatus {
    let unlinked: Vec<_> = friends
        .iter()
        .flatten()
        // A contact that is the friend's own id needs no link.
        .filter(|contact| contact.address != contact.friend.as_str() && !found.links(contact))
        .map(|contact| format!("session.identityLinks.{} lacks {}:{}", contact.friend, contact.channel, contact.typed))
        .collect();
    if unlinked.is_empty() {
        return CheckStatus::Ok;
    }
    CheckStatus::Warning(format!(
        "what these people write and what the portal says are two conversations: {}",
        unlinked.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use portal_core::{AgentId, Contact, FriendId};
    use serde_json::{Value, json};

    use super::{Conversations, status};
    use crate::check::CheckStatus;

    fn contact(friend: &str, address: &str) -> Contact {
        Contact::parse(FriendId::parse(friend).unwrap(), "signal", address).unwrap()
    }

    #[track_caller]
    fn check(config: &Value, uses_hooks: bool, friends: &[Vec<Contact>], failed: bool, part: &str) {
        let found = Conversations::parse(config);
        let (has_failed, why) = match status(&found, &AgentId::parse("main").unwrap(), uses_hooks, friends) {
            CheckStatus::Ok => (false, String::new()),
            CheckStatus::Warning(why) => (false, why),
            CheckStatus::Failed(why) => (true, why),
        };
        assert_eq!(has_failed, failed, "{config}: {why}");
        assert!(why.contains(part) && why.is_empty() == part.is_empty(), "{config}: {why}");
    }

    #[test]
    fn an_operator_hears_who_shares_a_conversation_and_what_to_set() {
        let both = [vec![contact("alice", "+1")], vec![contact("bob", "+2")]];
        check(&json!({}), false, &both, true, "2 friends share one conversation");
        check(&json!({}), false, &both[..1], false, "set it to per-peer");
        check(&json!({"session": {"dmScope": "per-channel-peer"}}), false, &both, false, "");
        check(&json!({"session": {"dmScope": "per-account-channel-peer"}}), false, &both, false, "no channel leads to");
        check(&json!({"session": {"dmScope": "per-planet"}}), false, &both, false, "does not know");
        let alone = json!({"session": {"dmScope": "per-peer", "identityLinks": {"alice": ["signal:+1"]}}});
        check(&alone, false, &both, false, "session.identityLinks.bob lacks signal:+2");
        check(&alone, false, &both[..1], false, "");
        check(&alone, true, &both[..1], true, "hooks.allowRequestSessionKey");
        let mut hooks = alone.clone();
        hooks["hooks"] = json!({"allowRequestSessionKey": true, "allowedSessionKeyPrefixes": ["hook:"]});
        check(&hooks, true, &both[..1], true, "agent:main:direct:");
        hooks["hooks"]["allowedSessionKeyPrefixes"] = json!(["hook:", "agent:main:direct:"]);
        check(&hooks, true, &both[..1], false, "");
        hooks["session"]["dmScope"] = "per-channel-peer".into();
        check(&hooks, true, &both[..1], true, "put agent:main:signal:direct: into");
    }
}
