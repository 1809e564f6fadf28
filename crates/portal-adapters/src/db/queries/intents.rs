//! Exposures as those who make them true work on them.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AuditEntry, FriendId, Invalid};
use portal_dns::{
    Claimed, Exposure, ExposureId, ExposureName, Fence, Hostname, Intent, Lease, ReleaseReason, RoutePlace, Settled,
    Settlement, Tombstone,
};

use super::row_of_exposure::{self as rows, Row};
use super::{Conn, audit, now};
use crate::db::error::QueryError;
use crate::db::schema::{exposures, hostnames, tombstones};

#[derive(Queryable, Selectable)]
#[diesel(table_name = tombstones)]
struct Stone {
    exposure_id: String,
    hostname: String,
    friend_id: String,
    name: String,
    parted: String,
    at: NaiveDateTime,
}

/// Takes an exposure to work on, by the clock that all who may take it share.
pub(in crate::db) async fn claim(conn: &mut Conn, id: &ExposureId, lease: &Lease) -> Result<Claimed, QueryError> {
    write_tx!(conn, async |conn| {
        let Some(row) = rows::hold(conn, id).await? else { return Ok(Claimed::Gone) };
        let now = now(conn, lease.now).await?;
        if row.is_held_against(&lease.token, now) {
            return Ok(Claimed::Busy);
        }
        let until = now + TimeDelta::from_std(lease.length).unwrap_or(TimeDelta::MAX);
        let held = (exposures::lease_token.eq(&lease.token), exposures::lease_until.eq(until.naive_utc()));
        diesel::update(exposures::table.find(id.as_str())).set(held).execute(conn).await?;
        let intent = rows::intent(conn, row).await?;
        let tombstones = tombstones_at(conn, &intent).await?;
        Ok(Claimed::Mine(Box::new(intent), tombstones))
    })
    .await
}

/// The tombstones at an exposure's hostnames and at its route's place.
async fn tombstones_at(conn: &mut Conn, intent: &Intent) -> Result<Vec<Tombstone>, QueryError> {
    let Exposure { friend, name, hostname, .. } = &intent.exposure;
    let hosts: Vec<_> = intent.leaving.iter().chain([hostname]).map(Hostname::as_str).collect();
    let same_name = tombstones::friend_id.eq(friend.as_str()).and(tombstones::name.eq(name.as_str()));
    let near = tombstones::table.filter(tombstones::hostname.eq_any(&hosts).or(same_name));
    let stones = near.select(Stone::as_select()).load(conn).await?;
    let mut found = stones.iter().map(tombstone).collect::<Result<Vec<_>, _>>()?;
    let place = RoutePlace::of(friend, name);
    found.retain(|stone| hosts.contains(&stone.hostname.as_str()) || stone.route().as_ref() == Some(&place));
    Ok(found)
}

/// Records a result, if nobody changed the exposure and nobody else took it.
pub(in crate::db) async fn settle(
    conn: &mut Conn,
    fence: &Fence,
    settlement: Settlement,
    portal_time: DateTime<Utc>,
) -> Result<Settled, QueryError> {
    write_tx!(conn, async |conn| {
        let row = rows::hold(conn, &fence.id).await?;
        let Some(row) = row.filter(|row| row.was_taken_by(&fence.token)) else { return Ok(Settled::Lost) };
        if row.generation() != fence.generation {
            return Ok(Settled::Superseded);
        }
        let at = row.time_of_change(now(conn, portal_time).await?);
        let intent = rows::intent(conn, row).await?;
        let exposure = intent.exposure.clone();
        let (rest, freed) = intent.settled(settlement);
        let parted = if rest.is_some() { ReleaseReason::Moved } else { ReleaseReason::Deleted };
        bury(conn, &exposure, &freed, parted, at).await?;
        match rest {
            Some(intent) => {
                rows::update(conn, &intent, at).await?;
                rows::release(conn, &fence.id).await?;
            }
            None => {
                diesel::delete(exposures::table.find(fence.id.as_str())).execute(conn).await?;
            }
        }
        Ok(Settled::Done)
    })
    .await
}

/// Frees hostnames and remembers whose they were.
async fn bury(
    conn: &mut Conn,
    exposure: &Exposure,
    freed: &[Hostname],
    parted: ReleaseReason,
    at: DateTime<Utc>,
) -> Result<(), QueryError> {
    for hostname in freed {
        diesel::delete(hostnames::table.find(hostname.as_str())).execute(conn).await?;
        let remembered = (tombstones::parted.eq(word(parted)), tombstones::at.eq(at.naive_utc()));
        diesel::insert_into(tombstones::table)
            .values((
                tombstones::exposure_id.eq(exposure.id.as_str()),
                tombstones::hostname.eq(hostname.as_str()),
                tombstones::friend_id.eq(exposure.friend.as_str()),
                tombstones::name.eq(exposure.name.as_str()),
                remembered,
            ))
            .on_conflict((tombstones::exposure_id, tombstones::hostname))
            .do_update()
            .set(remembered)
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// Unfinished exposures that may be tried now and that nobody works on.
pub(in crate::db) async fn due(
    conn: &mut Conn,
    portal_time: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<ExposureId>, QueryError> {
    let lease_time = now(conn, portal_time).await?.naive_utc();
    let is_free = exposures::lease_until.is_null().or(exposures::lease_until.le(lease_time).assume_not_null());
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
}

/// Some exposures by id.
pub(in crate::db) async fn page(
    conn: &mut Conn,
    after: Option<&ExposureId>,
    limit: u32,
) -> Result<Vec<Intent>, QueryError> {
    let after = after.map_or("", ExposureId::as_str);
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
}

/// Every tombstone.
pub(in crate::db) async fn tombstones(conn: &mut Conn) -> Result<Vec<Tombstone>, QueryError> {
    let stones = tombstones::table.select(Stone::as_select()).load(conn).await?;
    stones.iter().map(tombstone).collect()
}

/// Forgets tombstones from before then.
pub(in crate::db) async fn sweep(conn: &mut Conn, before: DateTime<Utc>) -> Result<u64, QueryError> {
    let old = tombstones::table.filter(tombstones::at.lt(before.naive_utc()));
    let forgotten = diesel::delete(old).execute(conn).await?;
    Ok(forgotten.try_into().unwrap_or(u64::MAX))
}

/// Makes an exposure due now.
pub(in crate::db) async fn hurry(conn: &mut Conn, id: &ExposureId, audit: &AuditEntry) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        let due = (exposures::attempts.eq(0), exposures::next_attempt_at.eq(audit.at.naive_utc()));
        let hurried = diesel::update(exposures::table.find(id.as_str())).set(due).execute(conn).await?;
        if hurried > 0 {
            audit::insert(conn, audit).await?;
        }
        Ok(hurried > 0)
    })
    .await
}

fn word(parted: ReleaseReason) -> &'static str {
    match parted {
        ReleaseReason::Moved => "moved",
        ReleaseReason::Deleted => "ended",
    }
}

fn tombstone(stone: &Stone) -> Result<Tombstone, QueryError> {
    Ok(Tombstone {
        exposure: ExposureId::parse(&stone.exposure_id)?,
        friend: FriendId::parse(&stone.friend_id)?,
        name: ExposureName::parse(&stone.name)?,
        hostname: Hostname::parse(&stone.hostname)?,
        parted: match stone.parted.as_str() {
            "moved" => ReleaseReason::Moved,
            "ended" => ReleaseReason::Deleted,
            _ => return Err(Invalid::new("parted", "parted must be moved or ended").into()),
        },
        at: stone.at.and_utc(),
    })
}
