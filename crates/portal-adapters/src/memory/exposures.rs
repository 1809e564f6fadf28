//! Exposures, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::{Mutex, MutexGuard};
use portal_core::{AuditEntry, BackendError, FriendId};
use portal_dns::{
    Change, Claimed, Desired, EXPOSURES_PER_FRIEND, Exposure, ExposureId, ExposureName, ExposureStore, Fence, Hostname,
    Intent, IntentStore, Lease, Outcome, Previous, Recorded, Refusal, ReleaseReason, Reservation, Reserved, Status,
    TOMBSTONE_LIFETIME, TOMBSTONES_PER_FRIEND, Tombstone,
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
        let owns = |intent: &&Intent| intent.exposure.spec.hostname == *host || intent.leaving.contains(host);
        self.rows.values().map(|row| &row.intent).find(owns).map(|intent| &intent.exposure.id)
    }

    fn put(&mut self, intent: Intent, at: DateTime<Utc>) {
        let id = intent.exposure.id.clone();
        let before = self.rows.remove(&id);
        let changed_at = before.as_ref().map_or(at, |row| after(row, at));
        self.rows.insert(id, Row { intent, lease: before.and_then(|row| row.lease), changed_at });
    }

    fn reserve(&mut self, wanted: Reservation, at: DateTime<Utc>) -> Reserved {
        if let Some(refusal) = self.refusal(&wanted, at) {
            return Reserved::Refused(refusal);
        }
        let Some(intent) = self.find(&wanted.friend, &wanted.name).cloned() else {
            let former = self.latest_tombstone(&wanted).cloned();
            let intent = Intent::new(wanted, former.as_ref(), at);
            let changed_at = former.map_or(at, |former| at.max(former.at + TimeDelta::milliseconds(1)));
            self.put(intent.clone(), changed_at);
            return Reserved::New(Box::new(intent));
        };
        if intent.is_wanted_as(&wanted.spec) {
            return Reserved::Same(Box::new(intent));
        }
        let previous = intent.previous();
        let intent = intent.changed(&wanted.spec, at);
        self.put(intent.clone(), at);
        Reserved::Changed(Box::new(intent), Box::new(previous))
    }

    fn refusal(&self, wanted: &Reservation, at: DateTime<Utc>) -> Option<Refusal> {
        let present = self.find(&wanted.friend, &wanted.name).map(|intent| &intent.exposure.id);
        if present.is_some() && wanted.only_if_absent {
            return Some(Refusal::Exists);
        }
        if present.is_none() && self.of(&wanted.friend).count() >= EXPOSURES_PER_FRIEND {
            return Some(Refusal::LimitReached);
        }
        let since = at - TimeDelta::from_std(TOMBSTONE_LIFETIME).unwrap_or(TimeDelta::MAX);
        let removed = self.tombstones.values().filter(|it| it.friend == wanted.friend && it.at >= since).count();
        let is_known = present.is_some() || self.latest_tombstone(wanted).is_some();
        if !is_known && removed >= TOMBSTONES_PER_FRIEND {
            return Some(Refusal::TooManyRemoved);
        }
        let owner = self.owner(&wanted.spec.hostname);
        (owner.is_some() && owner != present).then_some(Refusal::OwnedByAnother)
    }

    fn latest_tombstone(&self, wanted: &Reservation) -> Option<&Tombstone> {
        let of_name = self.tombstones.values().filter(|it| it.friend == wanted.friend && it.name == wanted.name);
        of_name.max_by_key(|tombstone| tombstone.at)
    }

    fn claim(&mut self, id: &ExposureId, lease: Lease) -> Claimed {
        let Some(row) = self.rows.get_mut(id) else { return Claimed::Gone };
        if row.lease.as_ref().is_some_and(|(token, until)| *token != lease.token && *until > lease.now) {
            return Claimed::Busy;
        }
        row.lease = Some((lease.token, lease.now + TimeDelta::from_std(lease.length).unwrap_or(TimeDelta::MAX)));
        let intent = row.intent.clone();
        let tombstones = self.tombstones.values().filter(|tombstone| lies_at(tombstone, &intent)).cloned().collect();
        Claimed::Mine(Box::new(intent), tombstones)
    }

    fn record_outcome(&mut self, fence: &Fence, outcome: Outcome, now: DateTime<Utc>) -> Recorded {
        let Some(row) = self.rows.get_mut(&fence.id) else { return Recorded::Lost };
        if row.lease.as_ref().is_none_or(|(token, _)| *token != fence.token) {
            return Recorded::Lost;
        }
        if row.intent.generation != fence.generation {
            return Recorded::Superseded;
        }
        let (exposure, generation) = (row.intent.exposure.clone(), row.intent.generation);
        let (rest, freed) = row.intent.clone().with_outcome(outcome);
        let released_by = if rest.is_some() { ReleaseReason::Moved } else { ReleaseReason::Deleted };
        let now = after(row, now);
        row.lease = None;
        match rest {
            Some(intent) => self.put(intent, now),
            None => drop(self.rows.remove(&fence.id)),
        }
        for hostname in freed {
            let Exposure { id, friend, name, .. } = exposure.clone();
            let tombstone = Tombstone { exposure: id, friend, name, hostname, released_by, generation, at: now };
            self.tombstones.insert((tombstone.exposure.clone(), tombstone.hostname.clone()), tombstone);
        }
        Recorded::Done
    }

    fn changes(&self) -> impl Iterator<Item = Change> {
        let change = |friend: &FriendId, exposure: &ExposureId, at| Change {
            friend: friend.clone(),
            exposure: exposure.clone(),
            at,
        };
        let rows = self.rows.values();
        let living = rows.map(move |row| change(&row.intent.exposure.friend, &row.intent.exposure.id, row.changed_at));
        living.chain(
            self.tombstones.values().map(move |tombstone| change(&tombstone.friend, &tombstone.exposure, tombstone.at)),
        )
    }
}

/// `now`, or a moment after the last change: no two changes of an exposure have the same time.
fn after(row: &Row, now: DateTime<Utc>) -> DateTime<Utc> {
    now.max(row.changed_at + TimeDelta::milliseconds(1))
}

fn lies_at(tombstone: &Tombstone, intent: &Intent) -> bool {
    let is_at_host =
        tombstone.hostname == intent.exposure.spec.hostname || intent.leaving.contains(&tombstone.hostname);
    is_at_host || tombstone.route() == Some(intent.route_place())
}

#[async_trait]
impl ExposureStore for MemoryExposures {
    async fn reserve(&self, wanted: Reservation, audit: AuditEntry) -> Result<Reserved, BackendError> {
        self.transaction(|tables, register| {
            if !register.friends.contains_key(&wanted.friend) {
                return Reserved::Refused(Refusal::UnknownFriend);
            }
            let reserved = tables.reserve(wanted, audit.at);
            if matches!(reserved, Reserved::New(_) | Reserved::Changed(..)) {
                register.record(audit);
            }
            reserved
        })
    }

    async fn check_reservation(&self, wanted: &Reservation) -> Result<Option<Refusal>, BackendError> {
        self.transaction(|tables, register| {
            if !register.friends.contains_key(&wanted.friend) {
                return Some(Refusal::UnknownFriend);
            }
            tables.refusal(wanted, DateTime::UNIX_EPOCH)
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
        previous: Option<Previous>,
        audit: AuditEntry,
    ) -> Result<bool, BackendError> {
        self.transaction(|tables, register| {
            let Some(row) = tables.rows.get(id).filter(|row| row.intent.generation == generation) else { return false };
            let intent = row.intent.clone().withdrawn(previous, audit.at);
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

    async fn record_outcome(
        &self,
        fence: Fence,
        outcome: Outcome,
        now: DateTime<Utc>,
    ) -> Result<Recorded, BackendError> {
        self.transaction(|tables, _| tables.record_outcome(&fence, outcome, now))
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
