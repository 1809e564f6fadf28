//! The friend, and their agents.

use portal_core::{Friend, Friendship, FriendshipStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Word, time};

// Aliases, since utoipa takes an argument of a generic type for a schema of its own.
type FriendshipStatusWord = Word<FriendshipStatus>;

/// The friend.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// Their id.
    #[schema(example = "alice")]
    id: String,
    /// The name to show.
    #[schema(example = "Alice")]
    display_name: String,
    /// The channel on which they would rather be written to.
    #[schema(example = "signal", required)]
    preferred_channel: Option<String>,
    /// Their Kubernetes namespace.
    #[schema(example = "friend-alice")]
    namespace: String,
    /// Counts of what is theirs.
    stats: Stats,
}

/// Counts of what is a friend's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    /// Log files that the agent keeps of the friend; `null` if they could not be counted.
    #[schema(example = 42, minimum = 0, required)]
    pub(crate) logs: Option<u64>,
    /// Secrets in the namespace; `null` if they could not be counted.
    #[schema(example = 3, minimum = 0, required)]
    pub(crate) secrets: Option<u64>,
}

impl Me {
    /// The friend with their stats.
    pub(crate) fn new(friend: &Friend, stats: Stats) -> Self {
        Self {
            id: friend.id.to_string(),
            display_name: friend.shown_name(),
            preferred_channel: friend.preferred_channel.as_ref().map(ToString::to_string),
            namespace: friend.id.namespace(),
            stats,
        }
    }
}

/// A friendship: one agent that works for the friend.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentOfFriend {
    /// The agent.
    #[schema(example = "main")]
    agent_id: String,
    /// The friend.
    #[schema(example = "alice")]
    friend_id: String,
    /// Only an `active` agent can be chosen.
    #[schema(inline, example = "active")]
    status: FriendshipStatusWord,
    /// Since when they know each other.
    #[schema(example = "2026-03-01T10:00:00Z", format = DateTime)]
    created_at: String,
}

impl From<Friendship> for AgentOfFriend {
    fn from(friendship: Friendship) -> Self {
        Self {
            agent_id: friendship.agent.to_string(),
            friend_id: friendship.friend.to_string(),
            status: Word(friendship.status),
            created_at: time(friendship.created_at),
        }
    }
}
