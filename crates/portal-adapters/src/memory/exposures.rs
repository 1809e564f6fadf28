//! Exposures, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::{Mutex, MutexGuard};
use portal_core::{AuditEntry, BackendError, FriendId};
use portal_dns::{
    Before, Change, Claimed, Desired, EXPOSURES_PER_FRIEND, Exposure, ExposureId, ExposureName, ExposureStore, Fence,
    Hostname, Intent, IntentStore, Lease, ReleaseReason, Reservation, Reserved, RoutePlace, Settled, Settlement,
    Status, Tombstone,
};

use super::MemoryPeople;
use super::people::Register;

/// Exposures, hostnames and tombstones, in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryExposures {
    people: MemoryPeople,
    tables: Arc<Mutex<Tables>>,
}

#[derive(Default)]
struct Tables {
    rows: BTreeMap<ExposureId, Row>,
    tombstones: HashMap<(ExposureId, Hostname), Tombstone>,
}

struct Row {
    intent: Intent,
    lease: Option<(String, DateTime<Utc>)>,
    changed_at: DateTime<Utc>,
}

impl MemoryExposures {
    /// The exposures of this register's friends, none of whom can be removed while they have some.
    #[must_use]
    pub fn new(people: &MemoryPeople) -> Self {
        let tables: Arc<Mutex<Tables>> = Arc::default();
        let guarded = tables.clone();
        people.guard_removal(move |friend| lock(&guarded).of(friend).next().is_some());
        Self { people: people.clone(), tables }
    }

    /// Does `work` as one transaction.
    fn transaction<T>(&self, work: impl FnOnce(&mut Tables, &mut Register) -> T) -> Result<T, BackendError> {
        self.people.transaction(|register| work(&mut lock(&self.tables), register))
    }
}

fn lock(tables: &Mutex<Tables>) -> MutexGuard<'_, Tables> {
    tables.lock()
}

impl Tables {
    fn of<'a>(&'a self, friend: &'a FriendId) -> impl Iterator<Item = &'a Intent> {
        self.rows.values().map(|row| &row.intent).filter(move |intent| intent.exposure.friend == *friend)
    }

    fn find(&self, friend: &FriendId, name: &ExposureName) -> Option<&Intent> {
        let mut intents = self.rows.values().map(|row| &row.intent);
        intents.find(|intent| intent.exposure.friend == *friend && intent.exposure.name == *name)
    }

    fn owner(&self, host: &Hostname) -> Option<&ExposureId> {
        let owns = |intent: &&Intent| intent.exposure.hostname == *host || intent.leaving.contains(host);
        self.rows.values().map(|row| &row.intent).find(owns).map(|intent| &intent.exposure.id)
    }

    fn put(&mut self, intent: Intent, at: DateTime<Utc>) {
        let id = intent.exposure.id.clone();
        let before = self.rows.remove(&id);
        let changed_at = before.as_ref().map_or(at, |row| after(row, at));
        self.rows.insert(id, Row { intent, lease: before.and_then(|row| row.lease), changed_at });
    }

    fn reserve(&mut self, wanted: Reservation, at: DateTime<Utc>) -> Reserved {
        let present = self.find(&wanted.friend, &wanted.name).cloned();
        if let Some(intent) = present.as_ref().filter(|intent| intent.is_wanted_as(&wanted)) {
            return Reserved::Same(Box::new(intent.clone()));
        }
        if present.is_none() && self.of(&wanted.friend).count() >= EXPOSURES_PER_FRIEND {
            return Reserved::LimitReached;
        }
        let own = present.as_ref().map(|intent| &intent.exposure.id);
        if self.owner(&wanted.hostname).is_some_and(|owner| Some(owner) != own) {
            return Reserved::Taken;
        }
        let Some(intent) = present else {
            let intent = Intent::new(wanted, at);
            self.put(intent.clone(), at);
            return Reserved::New(Box::new(intent));
        };
        let before = intent.before();
        let intent = intent.changed(&wanted, at);
        self.put(intent.clone(), at);
        Reserved::Changed(Box::new(intent), Box::new(before))
    }

    fn claim(&mut self, id: &ExposureId, lease: Lease) -> Claimed {
        let Some(row) = self.rows.get_mut(id) else { return Claimed::Gone };
        if row.lease.as_ref().is_some_and(|(token, until)| *token != lease.token && *until > lease.now) {
            return Claimed::Busy;
        }
        row.lease = Some((lease.token, lease.now + TimeDelta::from_std(lease.length).unwrap_or(TimeDelta::MAX)));
        let intent = row.intent.clone();
        let tombstones = self.tombstones.values().filter(|stone| lies_at(stone, &intent)).cloned().collect();
        Claimed::Mine(Box::new(intent), tombstones)
    }

    fn settle(&mut self, fence: &Fence, settlement: Settlement, now: DateTime<Utc>) -> Settled {
        let Some(row) = self.rows.get_mut(&fence.id) else { return Settled::Lost };
        if row.lease.as_ref().is_none_or(|(token, _)| *token != fence.token) {
            return Settled::Lost;
        }
        if row.intent.generation != fence.generation {
            return Settled::Superseded;
        }
        let exposure = row.intent.exposure.clone();
        let (rest, freed) = row.intent.clone().settled(settlement);
        let parted = if rest.is_some() { ReleaseReason::Moved } else { ReleaseReason::Deleted };
        let now = after(row, now);
        row.lease = None;
        match rest {
            Some(intent) => self.put(intent, now),
            None => drop(self.rows.remove(&fence.id)),
        }
        for hostname in freed {
            let Exposure { id, friend, name, .. } = exposure.clone();
            let stone = Tombstone { exposure: id, friend, name, hostname, parted, at: now };
            self.tombstones.insert((stone.exposure.clone(), stone.hostname.clone()), stone);
        }
        Settled::Done
    }

    fn changes(&self) -> impl Iterator<Item = Change> {
        let change = |friend: &FriendId, exposure: &ExposureId, at| Change {
            friend: friend.clone(),
            exposure: exposure.clone(),
            at,
        };
        let rows = self.rows.values();
        let living = rows.map(move |row| change(&row.intent.exposure.friend, &row.intent.exposure.id, row.changed_at));
        living.chain(self.tombstones.values().map(move |stone| change(&stone.friend, &stone.exposure, stone.at)))
    }
}

/// `now`, or a moment after the last change: no two changes of an exposure have the same time.
fn after(row: &Row, now: DateTime<Utc>) -> DateTime<Utc> {
    now.max(row.changed_at + TimeDelta::milliseconds(1))
}

fn lies_at(stone: &Tombstone, intent: &Intent) -> bool {
    let Exposure { friend, name, hostname, .. } = &intent.exposure;
    let is_at_host = stone.hostname == *hostname || intent.leaving.contains(&stone.hostname);
    is_at_host || stone.route() == Some(RoutePlace::of(friend, name))
}

#[async_trait]
impl ExposureStore for MemoryExposures {
    async fn reserve(&self, wanted: Reservation, audit: AuditEntry) -> Result<Reserved, BackendError> {
        self.transaction(|tables, register| {
            if !register.friends.contains_key(&wanted.friend) {
                return Reserved::NoFriend;
            }
            let reserved = tables.reserve(wanted, audit.at);
            if matches!(reserved, Reserved::New(_) | Reserved::Changed(..)) {
                register.record(audit);
            }
            reserved
        })
    }

    async fn close(
        &self,
        friend: &FriendId,
        name: &ExposureName,
        audit: AuditEntry,
    ) -> Result<Option<Intent>, BackendError> {
        self.transaction(|tables, register| {
            let intent = tables.find(friend, name)?.clone();
            if intent.desired == Desired::Absent {
                return Some(intent);
            }
            let intent = intent.closed(audit.at);
            tables.put(intent.clone(), audit.at);
            register.record(audit);
            Some(intent)
        })
    }

    async fn withdraw(
        &self,
        id: &ExposureId,
        generation: i64,
        before: Option<Before>,
        audit: AuditEntry,
    ) -> Result<bool, BackendError> {
        self.transaction(|tables, register| {
            let Some(row) = tables.rows.get(id).filter(|row| row.intent.generation == generation) else { return false };
            let intent = row.intent.clone().withdrawn(before, audit.at);
            tables.put(intent, audit.at);
            register.record(audit);
            true
        })
    }

    async fn find(&self, friend: &FriendId, name: &ExposureName) -> Result<Option<Exposure>, BackendError> {
        self.transaction(|tables, _| tables.find(friend, name).map(|intent| intent.exposure.clone()))
    }

    async fn list(&self, friend: &FriendId) -> Result<Vec<Exposure>, BackendError> {
        self.transaction(|tables, _| {
            let mut exposures: Vec<_> = tables.of(friend).map(|intent| intent.exposure.clone()).collect();
            exposures.sort_by(|one, other| one.name.cmp(&other.name));
            exposures
        })
    }

    async fn changes(&self, since: Option<DateTime<Utc>>) -> Result<Vec<Change>, BackendError> {
        self.transaction(|tables, _| match since {
            Some(since) => tables.changes().filter(|change| change.at >= since).collect(),
            None => tables.changes().max_by_key(|change| change.at).into_iter().collect(),
        })
    }
}

#[async_trait]
impl IntentStore for MemoryExposures {
    async fn claim(&self, id: &ExposureId, lease: Lease) -> Result<Claimed, BackendError> {
        self.transaction(|tables, _| tables.claim(id, lease))
    }

    async fn settle(&self, fence: Fence, settlement: Settlement, now: DateTime<Utc>) -> Result<Settled, BackendError> {
        self.transaction(|tables, _| tables.settle(&fence, settlement, now))
    }

    async fn due(&self, now: DateTime<Utc>, limit: u32) -> Result<Vec<ExposureId>, BackendError> {
        self.transaction(|tables, _| {
            let is_unfinished = |intent: &Intent| {
                let unfinished = matches!(intent.exposure.status, Status::Pending | Status::Removing);
                unfinished && intent.next_attempt_at <= now
            };
            let is_free = |row: &&Row| row.lease.as_ref().is_none_or(|(_, until)| *until <= now);
            let rows = tables.rows.values().filter(is_free).map(|row| &row.intent);
            let mut due: Vec<_> = rows.filter(|intent| is_unfinished(intent)).collect();
            due.sort_by_key(|intent| intent.next_attempt_at);
            due.iter().take(limit as usize).map(|intent| intent.exposure.id.clone()).collect()
        })
    }

    async fn page(&self, after: Option<&ExposureId>, limit: u32) -> Result<Vec<Intent>, BackendError> {
        self.transaction(|tables, _| {
            let rows = tables.rows.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
            rows.take(limit as usize).map(|(_, row)| row.intent.clone()).collect()
        })
    }

    async fn tombstones(&self) -> Result<Vec<Tombstone>, BackendError> {
        self.transaction(|tables, _| tables.tombstones.values().cloned().collect())
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, BackendError> {
        self.transaction(|tables, _| {
            let kept = tables.tombstones.len();
            tables.tombstones.retain(|_, stone| stone.at >= before);
            u64::try_from(kept - tables.tombstones.len()).unwrap_or(u64::MAX)
        })
    }

    async fn requeue_now(&self, id: &ExposureId, audit: AuditEntry) -> Result<bool, BackendError> {
        self.transaction(|tables, register| {
            let Some(row) = tables.rows.get_mut(id) else { return false };
            row.intent.attempts = 0;
            row.intent.next_attempt_at = audit.at;
            register.record(audit);
            true
        })
    }
}
