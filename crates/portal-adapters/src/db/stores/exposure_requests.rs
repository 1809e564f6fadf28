//! Exposures as friends ask for them.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AuditEntry, BackendError, FriendId};
use portal_dns::{
    Before, Change, Desired, EXPOSURES_PER_FRIEND, Exposure, ExposureId, ExposureName, ExposureStore, Hostname, Intent,
    Reservation, Reserved,
};

use super::exposure_rows::{self as rows, LEAVING, Row, WANTED};
use super::{Conn, Store, audit, friends, now};
use crate::db::error::QueryError;
use crate::db::schema::{exposures, hostnames, tombstones};

/// Attempts to claim a hostname whose owner is freed at the same moment.
const CLAIM_ATTEMPTS: usize = 3;

#[async_trait]
impl ExposureStore for Store {
    async fn reserve(&self, wanted: Reservation, audit: AuditEntry) -> Result<Reserved, BackendError> {
        self.pools
            .write(async move |conn| {
                // Locked so that concurrent requests count the limit one after the other.
                if !friends::lock(conn, &wanted.friend).await? {
                    return Ok(Reserved::NoFriend);
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
        before: Option<Before>,
        audit: AuditEntry,
    ) -> Result<bool, BackendError> {
        let id = id.clone();
        self.pools
            .write(async move |conn| {
                let row = rows::lock(conn, &id).await?;
                // A later change must not be withdrawn with this one.
                let Some(row) = row.filter(|row| row.generation() == generation) else { return Ok(false) };
                let changed_at = row.time_of_change(now(conn, audit.at).await?);
                let intent = rows::intent(conn, row).await?.withdrawn(before, audit.at);
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
    let theirs = exposures::table.filter(exposures::friend_id.eq(wanted.friend.as_str()));
    let has = theirs.count().get_result::<i64>(conn).await?;
    if usize::try_from(has).unwrap_or(usize::MAX) >= EXPOSURES_PER_FRIEND {
        return Ok(Reserved::LimitReached);
    }
    if !claim_hostname(conn, &wanted.hostname, &wanted.id).await? {
        return Ok(Reserved::Taken);
    }
    let intent = Intent::new(wanted.clone(), at);
    let changed_at = now(conn, at).await?;
    rows::insert(conn, &intent, changed_at).await?;
    Ok(Reserved::New(Box::new(intent)))
}

async fn reserve_again(
    conn: &mut Conn,
    row: Row,
    wanted: &Reservation,
    at: DateTime<Utc>,
) -> Result<Reserved, QueryError> {
    let changed_at = row.time_of_change(now(conn, at).await?);
    let intent = rows::intent(conn, row).await?;
    if intent.is_wanted_as(wanted) {
        return Ok(Reserved::Same(Box::new(intent)));
    }
    if !claim_hostname(conn, &wanted.hostname, &intent.exposure.id).await? {
        return Ok(Reserved::Taken);
    }
    let before = intent.before();
    let intent = intent.changed(wanted, at);
    rows::update(conn, &intent, changed_at).await?;
    Ok(Reserved::Changed(Box::new(intent), Box::new(before)))
}

/// Makes a hostname this exposure's; `false` if another exposure owns it. A concurrent claim of the same hostname waits
/// for this transaction.
async fn claim_hostname(conn: &mut Conn, host: &Hostname, id: &ExposureId) -> Result<bool, QueryError> {
    // Inserted as leaving: an exposure that moves wants its old hostname until its row is updated, and only one hostname
    // of an exposure may be wanted.
    let owned = hostnames::table.filter(hostnames::exposure_id.eq(id.as_str())).count();
    let role = if owned.get_result::<i64>(conn).await? == 0 { WANTED } else { LEAVING };
    for _ in 0..CLAIM_ATTEMPTS {
        diesel::insert_into(hostnames::table)
            .values((
                hostnames::hostname.eq(host.as_str()),
                hostnames::exposure_id.eq(id.as_str()),
                hostnames::role.eq(role),
            ))
            .on_conflict_do_nothing()
            .execute(conn)
            .await?;
        let current_owner = hostnames::table.find(host.as_str()).select(hostnames::exposure_id);
        // PostgreSQL: the owner that made the insert do nothing may have been freed since, and then no row is there.
        if let Some(owner) = current_owner.first::<String>(conn).await.optional()? {
            return Ok(owner == id.as_str());
        }
    }
    // Freed and claimed again under every attempt: others compete for it.
    Ok(false)
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
