//! Deletion of rows that have served their time.

use async_trait::async_trait;
use chrono::NaiveDateTime;
use diesel::dsl::{count_star, not};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{BackendError, Expired, RetentionStore};

use super::{Conn, Store};
use crate::db::error::QueryError;
use crate::db::schema::{audit_log, changes, jobs, login_codes, remote_runs, runs, sessions, tombstones};

#[async_trait]
impl RetentionStore for Store {
    async fn count(&self, expired: Expired) -> Result<u64, BackendError> {
        let count: i64 = self
            .pools
            .read(async move |conn| {
                Ok(match expired {
                    Expired::AuditEntries { before } => {
                        let old = audit_log::table.filter(audit_log::at.lt(before.naive_utc()));
                        old.count().get_result(conn).await?
                    }
                    Expired::Runs { before } => {
                        let old = runs::table.filter(runs::finished_at.lt(before.naive_utc()));
                        let remote = remote_runs::table.filter(remote_runs::requested_at.lt(before.naive_utc()));
                        let old: i64 = old.count().get_result(conn).await?;
                        old + remote.count().get_result::<i64>(conn).await?
                    }
                    Expired::RunsBeyond { newest } => {
                        jobs_beyond(conn, newest).await?.iter().map(|(_, count)| count - i64::from(newest)).sum()
                    }
                    Expired::SpentJobs { before } => {
                        let spent = jobs::table.filter(not(jobs::enabled));
                        spent.filter(jobs::fires_at.lt(before.naive_utc())).count().get_result(conn).await?
                    }
                    Expired::Sessions { before } => {
                        let old = sessions::table.filter(sessions::expires_at.lt(before.naive_utc()));
                        old.count().get_result(conn).await?
                    }
                    Expired::LoginCodes { before } => {
                        let old = login_codes::table.filter(login_codes::expires_at.lt(before.naive_utc()));
                        old.count().get_result(conn).await?
                    }
                    Expired::Changes { before } => {
                        let old = changes::table.filter(changes::at.lt(before.naive_utc()));
                        old.count().get_result(conn).await?
                    }
                    Expired::Tombstones { before } => {
                        let old = tombstones::table.filter(tombstones::at.lt(before.naive_utc()));
                        old.count().get_result(conn).await?
                    }
                })
            })
            .await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn delete(&self, expired: Expired, limit: u32) -> Result<u64, BackendError> {
        let deleted = self
            .pools
            .write(async move |conn| {
                // The ids first: neither database limits a DELETE itself.
                Ok(match expired {
                    Expired::AuditEntries { before } => {
                        let old = audit_log::table.filter(audit_log::at.lt(before.naive_utc())).order(audit_log::at);
                        let ids: Vec<i64> = old.limit(limit.into()).select(audit_log::id).load(conn).await?;
                        diesel::delete(audit_log::table.filter(audit_log::id.eq_any(ids))).execute(conn).await?
                    }
                    Expired::Runs { before } => {
                        let old = runs::table.filter(runs::finished_at.lt(before.naive_utc())).order(runs::finished_at);
                        let ids: Vec<String> = old.limit(limit.into()).select(runs::id).load(conn).await?;
                        let deleted = delete_runs(conn, ids).await?;
                        let left = limit.saturating_sub(u32::try_from(deleted).unwrap_or(u32::MAX));
                        deleted + delete_remote_runs(conn, before.naive_utc(), left).await?
                    }
                    Expired::RunsBeyond { newest } => {
                        let ids = runs_beyond(conn, newest, limit).await?;
                        delete_runs(conn, ids).await?
                    }
                    Expired::SpentJobs { before } => delete_spent_jobs(conn, before.naive_utc(), limit).await?,
                    Expired::Sessions { before } => {
                        let old = sessions::table.filter(sessions::expires_at.lt(before.naive_utc()));
                        let ids: Vec<String> =
                            old.order(sessions::expires_at).limit(limit.into()).select(sessions::id).load(conn).await?;
                        diesel::delete(sessions::table.filter(sessions::id.eq_any(ids))).execute(conn).await?
                    }
                    Expired::Changes { before } => {
                        let old = changes::table.filter(changes::at.lt(before.naive_utc())).order(changes::at);
                        let ids: Vec<i64> = old.limit(limit.into()).select(changes::id).load(conn).await?;
                        diesel::delete(changes::table.filter(changes::id.eq_any(ids))).execute(conn).await?
                    }
                    Expired::LoginCodes { before } => delete_login_codes(conn, before.naive_utc(), limit).await?,
                    Expired::Tombstones { before } => {
                        let old = tombstones::at.lt(before.naive_utc());
                        let hostnames: Vec<String> = tombstones::table
                            .filter(old)
                            .order(tombstones::at)
                            .limit(limit.into())
                            .select(tombstones::hostname)
                            .load(conn)
                            .await?;
                        let named = tombstones::table.filter(tombstones::hostname.eq_any(hostnames));
                        diesel::delete(named.filter(old)).execute(conn).await?
                    }
                })
            })
            .await?;
        Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
    }
}

/// Returns the jobs that have more finished runs than that, with their number.
async fn jobs_beyond(conn: &mut Conn, newest: u32) -> Result<Vec<(String, i64)>, QueryError> {
    let jobs = runs::table
        .filter(runs::finished_at.is_not_null())
        .group_by(runs::job_id)
        .having(count_star().gt(i64::from(newest)))
        .select((runs::job_id, count_star()));
    Ok(jobs.load(conn).await?)
}

/// Returns finished runs beyond the newest ones of their job.
async fn runs_beyond(conn: &mut Conn, newest: u32, limit: u32) -> Result<Vec<String>, QueryError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut ids = Vec::new();
    for (job, _) in jobs_beyond(conn, newest).await? {
        let left = i64::try_from(limit.saturating_sub(ids.len())).unwrap_or(i64::MAX);
        if left == 0 {
            break;
        }
        let finished = runs::table.filter(runs::job_id.eq(job)).filter(runs::finished_at.is_not_null());
        let beyond = finished.order((runs::due_at.desc(), runs::id.desc())).offset(newest.into()).limit(left);
        ids.extend(beyond.select(runs::id).load::<String>(conn).await?);
    }
    Ok(ids)
}

async fn delete_runs(conn: &mut Conn, ids: Vec<String>) -> Result<usize, QueryError> {
    Ok(diesel::delete(runs::table.filter(runs::id.eq_any(ids))).execute(conn).await?)
}

/// Deletes runs in gateways by when they were asked for: one that nobody follows any more never ends.
async fn delete_remote_runs(conn: &mut Conn, before: NaiveDateTime, limit: u32) -> Result<usize, QueryError> {
    let old = remote_runs::table.filter(remote_runs::requested_at.lt(before)).order(remote_runs::requested_at);
    let ids: Vec<String> = old.limit(limit.into()).select(remote_runs::id).load(conn).await?;
    Ok(diesel::delete(remote_runs::table.filter(remote_runs::id.eq_any(ids))).execute(conn).await?)
}

/// Deletes disabled jobs for one moment, with their runs.
async fn delete_spent_jobs(conn: &mut Conn, before: NaiveDateTime, limit: u32) -> Result<usize, QueryError> {
    // Both conditions again: the owner may have given the job another time since its id was read.
    let spent = jobs::table.filter(not(jobs::enabled)).filter(jobs::fires_at.lt(before));
    let ids: Vec<String> = spent.order(jobs::fires_at).limit(limit.into()).select(jobs::id).load(conn).await?;
    let named = jobs::table.filter(jobs::id.eq_any(ids));
    Ok(diesel::delete(named.filter(not(jobs::enabled)).filter(jobs::fires_at.lt(before))).execute(conn).await?)
}

async fn delete_login_codes(conn: &mut Conn, before: NaiveDateTime, limit: u32) -> Result<usize, QueryError> {
    let old = login_codes::table.filter(login_codes::expires_at.lt(before)).order(login_codes::expires_at);
    let hashes: Vec<String> = old.limit(limit.into()).select(login_codes::code_hash).load(conn).await?;
    Ok(diesel::delete(login_codes::table.filter(login_codes::code_hash.eq_any(hashes))).execute(conn).await?)
}
