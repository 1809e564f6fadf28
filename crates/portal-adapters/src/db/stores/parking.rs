//! Jobs and runs of friendships that are not active: out of the queue until their friendship is active again.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::Friendship;

use super::Conn;
use crate::db::error::QueryError;
use crate::db::schema::{jobs, runs};

/// Returns the moment from which a parked run can be claimed: never, until its friendship is active again.
pub(super) fn parked_until() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or(NaiveDate::MAX).and_time(NaiveTime::MIN)
}

/// Puts the jobs and open runs of a friendship that became active at `at` back into the queue. Fire times before that
/// are not missed.
pub(super) async fn resume(conn: &mut Conn, pair: &Friendship, at: DateTime<Utc>) -> Result<(), QueryError> {
    let at = at.naive_utc();
    let own = jobs::friend_id.eq(pair.friend.as_str()).and(jobs::agent_id.eq(pair.agent.as_str()));
    let waiting = jobs::table.filter(own).filter(jobs::enabled);
    let waiting = waiting.filter(jobs::next_due.is_null().or(jobs::next_due.lt(at)));
    diesel::update(waiting).set(jobs::next_due.eq(at)).execute(conn).await?;
    let of_theirs = exists(jobs::table.filter(jobs::id.eq(runs::job_id)).filter(own));
    let parked = runs::table.filter(runs::finished_at.is_null()).filter(runs::claimable_at.eq(parked_until()));
    diesel::update(parked.filter(of_theirs)).set(runs::claimable_at.eq(at)).execute(conn).await?;
    Ok(())
}
