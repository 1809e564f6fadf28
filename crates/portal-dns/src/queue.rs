//! Queue of friends whose exposures have to be checked after a watched change.

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Arc;

use parking_lot::Mutex;
use portal_core::FriendId;
use tokio::sync::Notify;

/// Friends whose exposures have to be checked; each is queued once, however many changes there were. A watch of the
/// cluster fills the queue, [`crate::Exposures::drain`] empties it.
#[derive(Default)]
pub struct WorkQueue {
    waiting: Mutex<Work>,
    added: Arc<Notify>,
}

/// Content of a [`WorkQueue`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// The exposures of these friends.
    Friends(BTreeSet<FriendId>),
    /// Every exposure, because the state around them was unknown before.
    Everything,
}

impl Default for Work {
    fn default() -> Self {
        Self::Friends(BTreeSet::new())
    }
}

impl WorkQueue {
    /// Queues this friend.
    pub fn add(&self, friend: FriendId) {
        self.fill(|work| match work {
            Work::Friends(friends) => drop(friends.insert(friend)),
            Work::Everything => {}
        });
    }

    /// Queues everything.
    pub fn add_everything(&self) {
        self.fill(|work| *work = Work::Everything);
    }

    /// Removes and returns the whole content; the empty set of friends if there is none.
    #[must_use]
    pub fn take(&self) -> Work {
        take(&mut *self.waiting.lock())
    }

    /// Returns what is notified when something was queued.
    #[must_use]
    pub fn added(&self) -> Arc<Notify> {
        self.added.clone()
    }

    fn fill(&self, change: impl FnOnce(&mut Work)) {
        change(&mut self.waiting.lock());
        self.added.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use portal_core::FriendId;

    use super::{Work, WorkQueue};

    #[tokio::test]
    async fn a_friend_waits_once_and_everything_holds_all_of_them() {
        let queue = WorkQueue::default();
        assert_eq!(queue.take(), Work::default());
        let alice = FriendId::parse("alice").unwrap();
        queue.add(alice.clone());
        queue.add(alice.clone());
        queue.added().notified().await;
        assert_eq!(queue.take(), Work::Friends(BTreeSet::from([alice.clone()])));
        assert_eq!(queue.take(), Work::default());
        queue.add_everything();
        queue.add(alice);
        assert_eq!(queue.take(), Work::Everything);
    }
}
