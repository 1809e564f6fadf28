//! Deliveries in flight in this process.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portal_core::FriendId;
use tokio::task::AbortHandle;

use super::attempt::Attempt;

/// The attempts that are being delivered, by a number of their own.
#[derive(Default)]
pub(super) struct InFlight(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    next: u64,
    by_number: HashMap<u64, (Attempt, Option<AbortHandle>)>,
}

/// Membership of one attempt; ends when it is dropped, also when its task panics or is aborted.
pub(super) struct Entry {
    number: u64,
    all: Arc<InFlight>,
}

impl Entry {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.all.0.lock().by_number.remove(&self.number);
    }
}

impl InFlight {
    pub(super) fn enter(all: &Arc<Self>, attempt: Attempt) -> Entry {
        let mut entries = all.0.lock();
        let number = entries.next;
        entries.next += 1;
        entries.by_number.insert(number, (attempt, None));
        Entry { number, all: all.clone() }
    }

    /// Stores the handle that aborts an attempt, unless it has ended already.
    pub(super) fn set_abort(&self, number: u64, handle: AbortHandle) {
        if let Some((_, abort)) = self.0.lock().by_number.get_mut(&number) {
            *abort = Some(handle);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().by_number.len()
    }

    /// Deliveries of each friend.
    pub(super) fn by_friend(&self) -> HashMap<FriendId, u32> {
        let mut counts = HashMap::new();
        for (attempt, _) in self.0.lock().by_number.values() {
            *counts.entry(attempt.leased.job.owner.friend.clone()).or_default() += 1;
        }
        counts
    }

    /// Aborts every delivery and returns their attempts. The tasks drop their entries by themselves.
    pub(super) fn abort_all(&self) -> Vec<Attempt> {
        let entries = self.0.lock();
        let aborted = entries.by_number.values().map(|(attempt, abort)| {
            abort.iter().for_each(AbortHandle::abort);
            attempt.clone()
        });
        aborted.collect()
    }
}
