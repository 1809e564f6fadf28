//! Sources of events that are in no database: each replica looks at them itself.

use std::collections::HashMap;
use std::sync::Arc;

use portal_core::{AgentId, BackendError, FriendId, FriendshipKey, Session};
use portal_dns::Reachable;
use portal_k8s::Overview;
use portal_workspace::{DocumentName, Tag};

use super::EventPorts;
use super::block;

/// What was last seen of a friend's things.
#[derive(Clone, Default)]
pub(super) struct Watched {
    /// `None` while the namespace cannot be shown.
    overview: Option<Arc<Overview>>,
    reachable: HashMap<String, Reachable>,
    /// Tags of MEMORY.md of the agents whose edits a stream watches.
    memory: HashMap<AgentId, Option<Tag>>,
}

impl Watched {
    /// Adds what a further stream has seen at its beginning. What was seen before stays, so that the others hear of the
    /// difference.
    pub(super) fn add(&mut self, seen: Self) {
        if self.overview.is_none() && self.reachable.is_empty() {
            (self.overview, self.reachable) = (seen.overview, seen.reachable);
        }
        for (agent, tag) in seen.memory {
            self.memory.entry(agent).or_insert(tag);
        }
    }

    /// Replaces what was seen, apart from documents that were added meanwhile.
    pub(super) fn replace(&mut self, seen: Self) {
        let mut memory = std::mem::take(&mut self.memory);
        memory.extend(seen.memory);
        *self = Self { memory, ..seen };
    }

    /// Returns the events that tell the difference to `now`, each with whether it is about a watched document.
    pub(super) fn differences(&self, now: &Self) -> Vec<(String, bool)> {
        let mut blocks = Vec::new();
        let is_same = match (&self.overview, &now.overview) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            blocks.push((block::NAMESPACE.to_owned(), false));
        }
        for (name, reachable) in &now.reachable {
            // An exposure that is new, or not active, is told of by the log.
            if self.reachable.get(name).is_some_and(|before| before != reachable) {
                blocks.push((block::exposure(name), false));
            }
        }
        for (agent, tag) in &now.memory {
            if self.memory.get(agent).is_some_and(|before| before != tag) {
                blocks.push((block::document(Some(agent.as_str()), DocumentName::Memory.as_str()), true));
            }
        }
        blocks
    }
}

/// Returns what a session can see now.
///
/// # Errors
/// The database cannot be asked.
pub(super) async fn first_look(
    ports: &EventPorts,
    session: &Session,
    watches_memory: bool,
) -> Result<Watched, BackendError> {
    let mut known = Watched::default();
    if watches_memory {
        known.memory.insert(session.agent.clone(), None);
    }
    look(ports, &session.friend, &known).await
}

/// Returns what can be seen of a friend's things now. A document that cannot be asked for counts as unchanged; a
/// namespace that cannot be shown is a difference, since pages say so.
///
/// # Errors
/// The database cannot be asked.
pub(super) async fn look(ports: &EventPorts, friend: &FriendId, known: &Watched) -> Result<Watched, BackendError> {
    let overview = ports.cluster.overview(friend).await.ok();
    let exposures = ports.exposures.snapshot(friend).await?;
    let names = exposures.iter().map(|exposure| exposure.name.to_string());
    let reachable = names.zip(ports.reachability.of(&exposures)).collect();
    let mut memory = HashMap::new();
    for (agent, before) in &known.memory {
        let key = FriendshipKey::new(friend.clone(), agent.clone());
        let tag = ports.documents.tag(&key, DocumentName::Memory).await.unwrap_or_else(|_| before.clone());
        memory.insert(agent.clone(), tag);
    }
    Ok(Watched { overview, reachable, memory })
}
