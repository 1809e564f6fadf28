//! Rows beside the documents: the claim of a writer, and the pending write.

use async_trait::async_trait;
use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AgentId, BackendError, FriendId, Invalid};
use portal_workspace::{
    DocumentPath, DocumentState, DocumentStore, LastWrite, NewVersion, NextLook, PendingWrite, WriteIntent,
    WriteOutcome,
};

use super::{Conn, Store, audit, now, versions};
use crate::db::error::QueryError;
use crate::db::schema::{document_versions, documents};

#[async_trait]
impl DocumentStore for Store {
    async fn claim(
        &self,
        path: &DocumentPath,
        write: &str,
        lease: TimeDelta,
    ) -> Result<Option<DocumentState>, BackendError> {
        let (path, write, portal_time) = (path.clone(), write.to_owned(), self.clock.now());
        self.pools
            .write(async move |conn| {
                // The row is created before it is locked, so that first writers wait for each other too.
                insert_if_absent(conn, &path).await?;
                let now = now(conn, portal_time).await?.naive_utc();
                let row =
                    documents::table.find((path.agent().as_str(), path.to_string())).select(documents::lease_until);
                let lease_until = for_update!(row).first::<Option<NaiveDateTime>>(conn).await?;
                if lease_until.is_some_and(|until| now < until) {
                    return Ok(None);
                }
                set_lease(conn, &path, &write, now + lease).await?;
                let state = DocumentState {
                    taken_over: lease_until.is_some(),
                    pending: pending(conn, &path).await?,
                    last: last_write(conn, &path).await?,
                    newest: versions::newest_tag(conn, &path).await?,
                };
                Ok(Some(state))
            })
            .await
    }

    async fn renew(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<bool, BackendError> {
        let (path, write, portal_time) = (path.clone(), write.to_owned(), self.clock.now());
        self.pools
            .write(async move |conn| {
                let now = now(conn, portal_time).await?.naive_utc();
                let is_claimed = is_claimed(conn, &path, &write).await?;
                if is_claimed {
                    set_lease(conn, &path, &write, now + lease).await?;
                }
                Ok(is_claimed)
            })
            .await
    }

    async fn begin(&self, path: &DocumentPath, intent: WriteIntent) -> Result<bool, BackendError> {
        let path = path.clone();
        self.pools
            .write(async move |conn| {
                if !is_claimed(conn, &path, &intent.text.id).await? {
                    return Ok(false);
                }
                if let Some(before) = &intent.earlier {
                    versions::insert_unless_newest(conn, &path, before).await?;
                }
                versions::insert(conn, &path, &intent.text, Some(&intent)).await?;
                audit::insert(conn, &intent.audit).await?;
                Ok(true)
            })
            .await
    }

    async fn add_version(&self, path: &DocumentPath, found: NewVersion) -> Result<(), BackendError> {
        let path = path.clone();
        self.pools
            .write(async move |conn| {
                insert_if_absent(conn, &path).await?;
                for_update!(documents::table.find((path.agent().as_str(), path.to_string())).select(documents::path))
                    .first::<String>(conn)
                    .await?;
                versions::insert_unless_newest(conn, &path, &found).await
            })
            .await
    }

    async fn finish(
        &self,
        path: &DocumentPath,
        write: &str,
        outcome: WriteOutcome,
        next_look: NextLook,
    ) -> Result<bool, BackendError> {
        let (path, write, portal_time) = (path.clone(), write.to_owned(), self.clock.now());
        self.pools
            .write(async move |conn| {
                if !is_claimed(conn, &path, &write).await? {
                    return Ok(false);
                }
                // The pending text and the claim end in one transaction: no other writer sees one without the other.
                versions::finish_pending(conn, &path, outcome).await?;
                let row = documents::table.find((path.agent().as_str(), path.to_string()));
                let scheduled = row.select(documents::look_at).first::<Option<NaiveDateTime>>(conn).await?;
                let now = now(conn, portal_time).await?.naive_utc();
                let look_at = match next_look {
                    NextLook::Unchanged => scheduled,
                    NextLook::Within(time) => Some(scheduled.map_or(now + time, |at| at.min(now + time))),
                    NextLook::After(time) => Some(now + time),
                    NextLook::Never => None,
                };
                diesel::update(documents::table.find((path.agent().as_str(), path.to_string())))
                    .set((
                        documents::lease_write.eq(None::<String>),
                        documents::lease_until.eq(None::<NaiveDateTime>),
                        documents::look_at.eq(look_at),
                    ))
                    .execute(conn)
                    .await?;
                Ok(true)
            })
            .await
    }

    async fn unfinished(&self, at_start: bool) -> Result<Vec<DocumentPath>, BackendError> {
        let portal_time = self.clock.now();
        self.pools
            .read(async move |conn| {
                let now = now(conn, portal_time).await?.naive_utc();
                let mut query = documents::table.filter(documents::lease_until.le(now)).into_boxed();
                query = if at_start {
                    query.or_filter(documents::look_at.is_not_null())
                } else {
                    query.or_filter(documents::look_at.le(now))
                };
                let rows = query
                    .select((documents::agent_id, documents::path))
                    .order((documents::agent_id, documents::path))
                    .load::<(String, String)>(conn)
                    .await?;
                rows.iter().map(|(agent, path)| document_path(agent, path)).collect()
            })
            .await
    }
}

fn document_path(agent: &str, path: &str) -> Result<DocumentPath, QueryError> {
    let unknown = || Invalid::new("path", "path must be the path of a document");
    Ok(DocumentPath::parse(AgentId::parse(agent)?, path).ok_or_else(unknown)?)
}

async fn insert_if_absent(conn: &mut Conn, path: &DocumentPath) -> Result<(), QueryError> {
    diesel::insert_into(documents::table)
        .values((
            documents::agent_id.eq(path.agent().as_str()),
            documents::path.eq(path.to_string()),
            documents::friend_id.eq(path.friend().map(FriendId::as_str)),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(())
}

/// Returns `true` if `write` has the claim; the row stays locked until the transaction ends.
async fn is_claimed(conn: &mut Conn, path: &DocumentPath, write: &str) -> Result<bool, QueryError> {
    let row = documents::table.find((path.agent().as_str(), path.to_string())).select(documents::lease_write);
    let holder = for_update!(row).first::<Option<String>>(conn).await.optional()?;
    Ok(holder.flatten().as_deref() == Some(write))
}

async fn set_lease(conn: &mut Conn, path: &DocumentPath, write: &str, until: NaiveDateTime) -> Result<(), QueryError> {
    diesel::update(documents::table.find((path.agent().as_str(), path.to_string())))
        .set((documents::lease_write.eq(write), documents::lease_until.eq(until)))
        .execute(conn)
        .await?;
    Ok(())
}

async fn pending(conn: &mut Conn, path: &DocumentPath) -> Result<Option<PendingWrite>, QueryError> {
    let row = versions::of(path, "pending")
        .select((document_versions::id, document_versions::tag, document_versions::previous_tag))
        .first::<(String, String, Option<String>)>(conn)
        .await
        .optional()?;
    let Some((write, tag, previous)) = row else { return Ok(None) };
    let previous = previous.as_deref().map(versions::tag).transpose()?;
    Ok(Some(PendingWrite { write, tag: versions::tag(&tag)?, previous }))
}

/// Returns the last text that a friend wrote through the portal.
async fn last_write(conn: &mut Conn, path: &DocumentPath) -> Result<Option<LastWrite>, QueryError> {
    let row = versions::of(path, "kept")
        .filter(document_versions::friend_id.is_not_null())
        .order(document_versions::seq.desc())
        .select((
            document_versions::id,
            document_versions::tag,
            document_versions::friend_id.assume_not_null(),
            document_versions::session_id.assume_not_null(),
            document_versions::burst_since.assume_not_null(),
        ))
        .first::<(String, String, String, String, NaiveDateTime)>(conn)
        .await
        .optional()?;
    let Some((version, tag, friend, session, burst_since)) = row else { return Ok(None) };
    let (tag, friend) = (versions::tag(&tag)?, FriendId::parse(&friend)?);
    Ok(Some(LastWrite { version, tag, friend, session, burst_since: burst_since.and_utc() }))
}
