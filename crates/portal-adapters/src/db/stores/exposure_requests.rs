//! Exposures as friends ask for them.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AuditEntry, BackendError, FriendId};
use portal_dns::{
    Change, Desired, EXPOSURES_PER_FRIEND, Exposure, ExposureId, ExposureName, ExposureStore, Hostname, Intent,
    Previous, Refusal, Reservation, Reserved, TOMBSTONE_LIFETIME, TOMBSTONES_PER_FRIEND, Tombstone,
};

use super::exposure_rows::{self as rows, LEAVING, Row, WANTED};
use super::exposure_work::TombstoneRow;
use super::{Conn, Store, audit, friends, now};
use crate::db::error::QueryError;
use crate::db::schema::{exposures, friends as friends_table, hostnames, tombstones};

#[async_trait]
impl ExposureStore for Store {
    async fn reserve(&self, wanted: Reservation, audit: AuditEntry) -> Result<Reserved, BackendError> {
        self.pools
            .write(async move |conn| {
                // Locked so that concurrent requests count the limit one after the other.
                if !friends::lock(conn, &wanted.friend).await? {
                    return Ok(Reserved::Refused(Refusal::UnknownFriend));
                }
                let reserved = match lock_by_name(conn, &wanted.friend, &wanted.name).await? {
                    None => reserve_new(conn, &wanted, audit.at).await?,
                    Some(row) => reserve_again(conn, row, &wanted, audit.at).await?,
                };
                if matches!(reserved, Reserved::New(_) | Reserved::Changed(..)) {
                    audit::insert(conn, &audit).await?;
                }
                Ok(reserved)
            })
            .await
    }

    async fn check_reservation(&self, wanted: &Reservation) -> Result<Option<Refusal>, BackendError> {
        let (wanted, portal_time) = (wanted.clone(), self.clock.now());
        self.pools.read(async move |conn| check_reservation(conn, &wanted, portal_time).await).await
    }

    async fn close(
        &self,
        friend: &FriendId,
        name: &ExposureName,
        audit: AuditEntry,
    ) -> Result<Option<Intent>, BackendError> {
        let (friend, name) = (friend.clone(), name.clone());
        self.pools
            .write(async move |conn| {
                let Some(row) = lock_by_name(conn, &friend, &name).await? else { return Ok(None) };
                let changed_at = row.time_of_change(now(conn, audit.at).await?);
                let intent = rows::intent(conn, row).await?;
                if intent.desired == Desired::Absent {
                    return Ok(Some(intent));
                }
                let intent = intent.closed(audit.at);
                rows::update(conn, &intent, changed_at).await?;
                audit::insert(conn, &audit).await?;
                Ok(Some(intent))
            })
            .await
    }

    async fn withdraw(
        &self,
        id: &ExposureId,
        generation: i64,
        previous: Option<Previous>,
        audit: AuditEntry,
    ) -> Result<bool, BackendError> {
        let id = id.clone();
        self.pools
            .write(async move |conn| {
                let row = rows::lock(conn, &id).await?;
                // A later change must not be withdrawn with this one.
                let Some(row) = row.filter(|row| row.generation() == generation) else { return Ok(false) };
                let changed_at = row.time_of_change(now(conn, audit.at).await?);
                let intent = rows::intent(conn, row).await?.withdrawn(previous, audit.at);
                rows::update(conn, &intent, changed_at).await?;
                audit::insert(conn, &audit).await?;
                Ok(true)
            })
            .await
    }

    async fn find(&self, friend: &FriendId, name: &ExposureName) -> Result<Option<Exposure>, BackendError> {
        let (friend, name) = (friend.clone(), name.clone());
        self.pools
            .read(async move |conn| {
                let found = by_name(&friend, &name)
                    .inner_join(hostnames::table)
                    .select((Row::as_select(), hostnames::hostname, hostnames::role))
                    .load(conn)
                    .await?;
                Ok(rows::intents(found)?.into_iter().next().map(|intent| intent.exposure))
            })
            .await
    }

    async fn list(&self, friend: &FriendId) -> Result<Vec<Exposure>, BackendError> {
        let friend = friend.clone();
        self.pools
            .read(async move |conn| {
                let found = exposures::table
                    .inner_join(hostnames::table)
                    .filter(exposures::friend_id.eq(friend.as_str()))
                    .order(exposures::name)
                    .select((Row::as_select(), hostnames::hostname, hostnames::role))
                    .load(conn)
                    .await?;
                Ok(rows::intents(found)?.into_iter().map(|intent| intent.exposure).collect())
            })
            .await
    }

    async fn changes(&self, since: Option<DateTime<Utc>>) -> Result<Vec<Change>, BackendError> {
        self.pools.read(async move |conn| changes(conn, since).await).await
    }
}

async fn reserve_new(conn: &mut Conn, wanted: &Reservation, at: DateTime<Utc>) -> Result<Reserved, QueryError> {
    let now = now(conn, at).await?;
    let former = latest_tombstone(conn, wanted).await?;
    if let Some(refusal) = limit_reached(conn, wanted, (former.is_some(), now)).await? {
        return Ok(Reserved::Refused(refusal));
    }
    let intent = Intent::new(wanted.clone(), former.as_ref(), at);
    if !claim_hostname(conn, &wanted.spec.hostname, &intent.exposure.id).await? {
        return Ok(Reserved::Refused(Refusal::OwnedByAnother));
    }
    // Two changes of one exposure id never have the same time, not even in two lives of it.
    let changed_at = former.map_or(now, |tombstone| now.max(tombstone.at + TimeDelta::milliseconds(1)));
    rows::insert(conn, &intent, changed_at).await?;
    Ok(Reserved::New(Box::new(intent)))
}

async fn reserve_again(
    conn: &mut Conn,
    row: Row,
    wanted: &Reservation,
    at: DateTime<Utc>,
) -> Result<Reserved, QueryError> {
    if wanted.only_if_absent {
        return Ok(Reserved::Refused(Refusal::Exists));
    }
    let changed_at = row.time_of_change(now(conn, at).await?);
    let intent = rows::intent(conn, row).await?;
    if intent.is_wanted_as(&wanted.spec) {
        return Ok(Reserved::Same(Box::new(intent)));
    }
    if !claim_hostname(conn, &wanted.spec.hostname, &intent.exposure.id).await? {
        return Ok(Reserved::Refused(Refusal::OwnedByAnother));
    }
    let previous = intent.previous();
    let intent = intent.changed(&wanted.spec, at);
    rows::update(conn, &intent, changed_at).await?;
    Ok(Reserved::Changed(Box::new(intent), Box::new(previous)))
}

async fn check_reservation(
    conn: &mut Conn,
    wanted: &Reservation,
    portal_time: DateTime<Utc>,
) -> Result<Option<Refusal>, QueryError> {
    let friend = friends_table::table.find(wanted.friend.as_str()).select(friends_table::id);
    if friend.first::<String>(conn).await.optional()?.is_none() {
        return Ok(Some(Refusal::UnknownFriend));
    }
    let present = by_name(&wanted.friend, &wanted.name).select(exposures::id);
    let present = present.first::<String>(conn).await.optional()?;
    if present.is_some() && wanted.only_if_absent {
        return Ok(Some(Refusal::Exists));
    }
    if present.is_none() {
        let is_known = latest_tombstone(conn, wanted).await?.is_some();
        let now = now(conn, portal_time).await?;
        if let Some(refusal) = limit_reached(conn, wanted, (is_known, now)).await? {
            return Ok(Some(refusal));
        }
    }
    let owner = hostnames::table.find(wanted.spec.hostname.as_str()).select(hostnames::exposure_id);
    let owner = owner.first::<String>(conn).await.optional()?;
    Ok((owner.is_some() && owner != present).then_some(Refusal::OwnedByAnother))
}

/// Returns the latest tombstone of the friend's name. Ids are kept per name, so a hostname collects one tombstone for
/// each of the few names that can make it.
async fn latest_tombstone(conn: &mut Conn, wanted: &Reservation) -> Result<Option<Tombstone>, QueryError> {
    let of_name = tombstones::table
        .filter(tombstones::friend_id.eq(wanted.friend.as_str()))
        .filter(tombstones::name.eq(wanted.name.as_str()))
        .order(tombstones::at.desc())
        .select(TombstoneRow::as_select());
    of_name.first::<TombstoneRow>(conn).await.optional()?.map(Tombstone::try_from).transpose()
}

/// Returns the limit that keeps the friend from a further name; `is_known` says that it has a tombstone.
async fn limit_reached(
    conn: &mut Conn,
    wanted: &Reservation,
    (is_known, now): (bool, DateTime<Utc>),
) -> Result<Option<Refusal>, QueryError> {
    let theirs = exposures::table.filter(exposures::friend_id.eq(wanted.friend.as_str())).count();
    let exposures = theirs.get_result::<i64>(conn).await?;
    if usize::try_from(exposures).unwrap_or(usize::MAX) >= EXPOSURES_PER_FRIEND {
        return Ok(Some(Refusal::LimitReached));
    }
    if is_known {
        return Ok(None);
    }
    let since = now - TimeDelta::from_std(TOMBSTONE_LIFETIME).unwrap_or(TimeDelta::MAX);
    let removed = tombstones::table
        .filter(tombstones::friend_id.eq(wanted.friend.as_str()))
        .filter(tombstones::at.ge(since.naive_utc()))
        .count()
        .get_result::<i64>(conn)
        .await?;
    let is_full = usize::try_from(removed).unwrap_or(usize::MAX) >= TOMBSTONES_PER_FRIEND;
    Ok(is_full.then_some(Refusal::TooManyRemoved))
}

/// Makes a hostname this exposure's; `false` if another exposure owns it. A concurrent claim of the same hostname waits
/// for this transaction.
async fn claim_hostname(conn: &mut Conn, host: &Hostname, id: &ExposureId) -> Result<bool, QueryError> {
    // Inserted as leaving: an exposure that moves wants its old hostname until its row is updated, and only one hostname
    // of an exposure may be wanted.
    let owned = hostnames::table.filter(hostnames::exposure_id.eq(id.as_str())).count();
    let role = if owned.get_result::<i64>(conn).await? == 0 { WANTED } else { LEAVING };
    loop {
        diesel::insert_into(hostnames::table)
            .values((
                hostnames::hostname.eq(host.as_str()),
                hostnames::exposure_id.eq(id.as_str()),
                hostnames::role.eq(role),
            ))
            .on_conflict_do_nothing()
            .execute(conn)
            .await?;
        let now_owned_by = hostnames::table.find(host.as_str()).select(hostnames::exposure_id);
        // On PostgreSQL an owner can be freed between the two statements: then the hostname is up for the next try.
        if let Some(owner) = now_owned_by.first::<String>(conn).await.optional()? {
            return Ok(owner == id.as_str());
        }
    }
}

/// Returns the changes since then, or the latest change.
async fn changes(conn: &mut Conn, since: Option<DateTime<Utc>>) -> Result<Vec<Change>, QueryError> {
    let mut living = exposures::table.select((exposures::friend_id, exposures::id, exposures::changed_at)).into_boxed();
    let mut gone =
        tombstones::table.select((tombstones::friend_id, tombstones::exposure_id, tombstones::at)).into_boxed();
    if let Some(since) = since {
        living = living.filter(exposures::changed_at.ge(since.naive_utc()));
        gone = gone.filter(tombstones::at.ge(since.naive_utc()));
    } else {
        living = living.order(exposures::changed_at.desc()).limit(1);
        gone = gone.order(tombstones::at.desc()).limit(1);
    }
    let mut found: Vec<(String, String, NaiveDateTime)> = living.load(conn).await?;
    found.extend(gone.load::<(String, String, NaiveDateTime)>(conn).await?);
    let mut changes = found.into_iter().map(change).collect::<Result<Vec<_>, _>>()?;
    if since.is_none() {
        changes.sort_by_key(|change| std::cmp::Reverse(change.at));
        changes.truncate(1);
    }
    Ok(changes)
}

fn change((friend, exposure, at): (String, String, NaiveDateTime)) -> Result<Change, QueryError> {
    Ok(Change { friend: FriendId::parse(&friend)?, exposure: ExposureId::parse(&exposure)?, at: at.and_utc() })
}

async fn lock_by_name(conn: &mut Conn, friend: &FriendId, name: &ExposureName) -> Result<Option<Row>, QueryError> {
    let row = for_update!(by_name(friend, name).select(Row::as_select()));
    Ok(row.first(conn).await.optional()?)
}

#[diesel::dsl::auto_type]
fn by_name<'a>(friend: &'a FriendId, name: &'a ExposureName) -> _ {
    let (friend, name): (&'a str, &'a str) = (friend.as_str(), name.as_str());
    exposures::table.filter(exposures::friend_id.eq(friend)).filter(exposures::name.eq(name))
}
