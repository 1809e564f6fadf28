//! Messages that are sent now: a job that never fires by itself, and its only run.

use async_trait::async_trait;
use portal_core::{AuditEntry, BackendError};
use portal_cron::{Job, MessageQueued, MessageStore};

use super::{Store, audit, friends, friendships, jobs, manual_runs};

#[async_trait]
impl MessageStore for Store {
    async fn queue(&self, job: Job, run: &str, limit: u32, audit: AuditEntry) -> Result<MessageQueued, BackendError> {
        let run = run.to_owned();
        self.pools
            .write(async move |conn| {
                let friend = &job.owner.friend;
                // The friend's row is locked so that concurrent requests count both limits one after the other.
                if !friends::lock(conn, friend).await? || friendships::find(conn, &job.owner).await?.is_none() {
                    return Ok(MessageQueued::NoFriendship);
                }
                if !jobs::has_room(conn, friend, limit).await? {
                    return Ok(MessageQueued::LimitReached);
                }
                if let Some(retry_after) = manual_runs::wait(conn, friend, audit.at).await? {
                    return Ok(MessageQueued::TooMany { retry_after });
                }
                jobs::insert(conn, &job).await?;
                manual_runs::insert(conn, &job.id, &run, audit.at).await?;
                audit::insert(conn, &audit).await?;
                Ok(MessageQueued::Done)
            })
            .await
    }
}
