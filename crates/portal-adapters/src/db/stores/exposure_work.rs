//! Exposures as the reconciler works on them.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AuditEntry, BackendError, FriendId, Invalid};
use portal_dns::{
    Claimed, Exposure, ExposureId, ExposureName, Fence, Hostname, Intent, IntentStore, Lease, Outcome, Recorded,
    ReleaseReason, Tombstone,
};

use super::exposure_rows::{self as rows, Row};
use super::{Conn, Store, audit, now};
use crate::db::error::QueryError;
use crate::db::schema::{exposures, hostnames, tombstones};

#[derive(Queryable, Selectable)]
#[diesel(table_name = tombstones)]
pub(super) struct TombstoneRow {
    exposure_id: String,
    hostname: String,
    friend_id: String,
    name: String,
    parted: String,
    at: NaiveDateTime,
    generation: i64,
}

impl TryFrom<TombstoneRow> for Tombstone {
    type Error = QueryError;

    fn try_from(row: TombstoneRow) -> Result<Self, QueryError> {
        Ok(Self {
            exposure: ExposureId::parse(&row.exposure_id)?,
            friend: FriendId::parse(&row.friend_id)?,
            name: ExposureName::parse(&row.name)?,
            hostname: Hostname::parse(&row.hostname)?,
            released_by: match row.parted.as_str() {
                "moved" => ReleaseReason::Moved,
                "ended" => ReleaseReason::Deleted,
                _ => return Err(Invalid::new("parted", "parted must be moved or ended").into()),
            },
            generation: row.generation,
            at: row.at.and_utc(),
        })
    }
}

#[async_trait]
impl IntentStore for Store {
    async fn claim(&self, id: &ExposureId, lease: Lease) -> Result<Claimed, BackendError> {
        let id = id.clone();
        self.pools
            .write(async move |conn| {
                let Some(row) = rows::lock(conn, &id).await? else { return Ok(Claimed::Gone) };
                let now = now(conn, lease.now).await?;
                if row.is_leased_by_another(&lease.token, now) {
                    return Ok(Claimed::Busy);
                }
                let until = now + TimeDelta::from_std(lease.length).unwrap_or(TimeDelta::MAX);
                let leased = (exposures::lease_token.eq(&lease.token), exposures::lease_until.eq(until.naive_utc()));
                diesel::update(exposures::table.find(id.as_str())).set(leased).execute(conn).await?;
                let intent = rows::intent(conn, row).await?;
                let tombstones = tombstones_at(conn, &intent).await?;
                Ok(Claimed::Mine(Box::new(intent), tombstones))
            })
            .await
    }

    async fn record_outcome(
        &self,
        fence: Fence,
        outcome: Outcome,
        now: DateTime<Utc>,
    ) -> Result<Recorded, BackendError> {
        self.pools.write(async move |conn| record_outcome(conn, &fence, outcome, now).await).await
    }

    async fn due(&self, portal_time: DateTime<Utc>, limit: u32) -> Result<Vec<ExposureId>, BackendError> {
        self.pools
            .read(async move |conn| {
                let lease_time = now(conn, portal_time).await?.naive_utc();
                let is_free =
                    exposures::lease_until.is_null().or(exposures::lease_until.le(lease_time).assume_not_null());
                let ids = exposures::table
                    .filter(exposures::status.eq_any(["pending", "removing"]))
                    .filter(exposures::next_attempt_at.le(portal_time.naive_utc()))
                    .filter(is_free)
                    .order(exposures::next_attempt_at)
                    .limit(limit.into())
                    .select(exposures::id)
                    .load::<String>(conn)
                    .await?;
                Ok(ids.iter().map(|id| ExposureId::parse(id)).collect::<Result<_, _>>()?)
            })
            .await
    }

    async fn page(&self, after: Option<&ExposureId>, limit: u32) -> Result<Vec<Intent>, BackendError> {
        let after = after.cloned();
        self.pools
            .read(async move |conn| {
                let after = after.as_ref().map_or("", ExposureId::as_str);
                let ids = exposures::table.filter(exposures::id.gt(after)).order(exposures::id).select(exposures::id);
                let some = ids.limit(limit.into()).load::<String>(conn).await?;
                let Some(last) = some.last() else { return Ok(Vec::new()) };
                let found = exposures::table
                    .inner_join(hostnames::table)
                    .filter(exposures::id.gt(after).and(exposures::id.le(last)))
                    .order(exposures::id)
                    .select((Row::as_select(), hostnames::hostname, hostnames::role))
                    .load(conn)
                    .await?;
                rows::intents(found)
            })
            .await
    }

    async fn tombstones(&self) -> Result<Vec<Tombstone>, BackendError> {
        self.pools
            .read(async move |conn| {
                let rows = tombstones::table.select(TombstoneRow::as_select()).load(conn).await?;
                rows.into_iter().map(Tombstone::try_from).collect()
            })
            .await
    }

    async fn requeue_now(&self, id: &ExposureId, audit: AuditEntry) -> Result<bool, BackendError> {
        let id = id.clone();
        self.pools
            .write(async move |conn| {
                let due = (exposures::attempts.eq(0), exposures::next_attempt_at.eq(audit.at.naive_utc()));
                let changed = diesel::update(exposures::table.find(id.as_str())).set(due).execute(conn).await?;
                audit::insert_if(changed > 0, conn, &audit).await
            })
            .await
    }
}

/// Returns the tombstones at an exposure's hostnames and at its route's place.
async fn tombstones_at(conn: &mut Conn, intent: &Intent) -> Result<Vec<Tombstone>, QueryError> {
    let Exposure { friend, name, spec, .. } = &intent.exposure;
    let hosts: Vec<_> = intent.leaving.iter().chain([&spec.hostname]).map(Hostname::as_str).collect();
    let same_name = tombstones::friend_id.eq(friend.as_str()).and(tombstones::name.eq(name.as_str()));
    let near = tombstones::table.filter(tombstones::hostname.eq_any(&hosts).or(same_name));
    let rows = near.select(TombstoneRow::as_select()).load(conn).await?;
    let mut found = rows.into_iter().map(Tombstone::try_from).collect::<Result<Vec<_>, _>>()?;
    let place = intent.route_place();
    found
        .retain(|tombstone| hosts.contains(&tombstone.hostname.as_str()) || tombstone.route().as_ref() == Some(&place));
    Ok(found)
}

/// Records an outcome, unless a friend changed the exposure or another worker claimed it since.
async fn record_outcome(
    conn: &mut Conn,
    fence: &Fence,
    outcome: Outcome,
    portal_time: DateTime<Utc>,
) -> Result<Recorded, QueryError> {
    let row = rows::lock(conn, &fence.id).await?;
    let Some(row) = row.filter(|row| row.was_last_leased_by(&fence.token)) else { return Ok(Recorded::Lost) };
    if row.generation() != fence.generation {
        return Ok(Recorded::Superseded);
    }
    let at = row.time_of_change(now(conn, portal_time).await?);
    let intent = rows::intent(conn, row).await?;
    let (rest, freed) = intent.clone().with_outcome(outcome);
    let released_by = if rest.is_some() { ReleaseReason::Moved } else { ReleaseReason::Deleted };
    insert_tombstones(conn, &intent, &freed, (released_by, at)).await?;
    match rest {
        Some(intent) => {
            rows::update(conn, &intent, at).await?;
            rows::release(conn, &fence.id).await?;
        }
        None => {
            diesel::delete(exposures::table.find(fence.id.as_str())).execute(conn).await?;
        }
    }
    Ok(Recorded::Done)
}

/// Frees hostnames and records their last owner.
async fn insert_tombstones(
    conn: &mut Conn,
    intent: &Intent,
    freed: &[Hostname],
    (released_by, at): (ReleaseReason, DateTime<Utc>),
) -> Result<(), QueryError> {
    let exposure = &intent.exposure;
    for hostname in freed {
        diesel::delete(hostnames::table.find(hostname.as_str())).execute(conn).await?;
        let released = (
            tombstones::parted.eq(word(released_by)),
            tombstones::at.eq(at.naive_utc()),
            tombstones::generation.eq(intent.generation),
        );
        diesel::insert_into(tombstones::table)
            .values((
                tombstones::exposure_id.eq(exposure.id.as_str()),
                tombstones::hostname.eq(hostname.as_str()),
                tombstones::friend_id.eq(exposure.friend.as_str()),
                tombstones::name.eq(exposure.name.as_str()),
                released,
            ))
            .on_conflict((tombstones::exposure_id, tombstones::hostname))
            .do_update()
            .set(released)
            .execute(conn)
            .await?;
    }
    Ok(())
}

fn word(released_by: ReleaseReason) -> &'static str {
    match released_by {
        ReleaseReason::Moved => "moved",
        ReleaseReason::Deleted => "ended",
    }
}
