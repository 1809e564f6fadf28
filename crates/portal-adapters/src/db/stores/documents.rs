//! The rows beside the documents: who holds one to write it, and the write that is pending.

use async_trait::async_trait;
use chrono::{NaiveDateTime, TimeDelta};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AgentId, BackendError, FriendId, Invalid};
use portal_workspace::{Begin, DocumentPath, DocumentStore, Ended, Held, LastWrite, NewVersion, Pending};

use super::{Conn, Store, audit, now, versions};
use crate::db::error::QueryError;
use crate::db::schema::{document_versions, documents};

#[async_trait]
impl DocumentStore for Store {
    async fn claim(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<Option<Held>, BackendError> {
        let (path, write, portal_time) = (path.clone(), write.to_owned(), self.clock.now());
        self.pools
            .write(async move |conn| {
                insert_if_absent(conn, &path).await?;
                let now = now(conn, portal_time).await?.naive_utc();
                let row =
                    documents::table.find((path.agent().as_str(), path.to_string())).select(documents::lease_until);
                let lease_until = for_update!(row).first::<Option<NaiveDateTime>>(conn).await?;
                if lease_until.is_some_and(|until| now < until) {
                    return Ok(None);
                }
                set_lease(conn, &path, &write, now + lease).await?;
                let held = Held {
                    taken_over: lease_until.is_some(),
                    pending: pending(conn, &path).await?,
                    last: last_write(conn, &path).await?,
                    newest: versions::newest_tag(conn, &path).await?,
                };
                Ok(Some(held))
            })
            .await
    }

    async fn renew(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<bool, BackendError> {
        let (path, write, portal_time) = (path.clone(), write.to_owned(), self.clock.now());
        self.pools
            .write(async move |conn| {
                let now = now(conn, portal_time).await?.naive_utc();
                let is_held = is_held(conn, &path, &write).await?;
                if is_held {
                    set_lease(conn, &path, &write, now + lease).await?;
                }
                Ok(is_held)
            })
            .await
    }

    async fn begin(&self, path: &DocumentPath, begin: Begin) -> Result<bool, BackendError> {
        let path = path.clone();
        self.pools
            .write(async move |conn| {
                if !is_held(conn, &path, &begin.text.id).await? {
                    return Ok(false);
                }
                if let Some(before) = &begin.keep {
                    versions::insert_unless_newest(conn, &path, before).await?;
                }
                versions::insert(conn, &path, &begin.text, Some(&begin)).await?;
                audit::insert(conn, &begin.audit).await?;
                Ok(true)
            })
            .await
    }

    async fn keep(&self, path: &DocumentPath, found: NewVersion) -> Result<(), BackendError> {
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

    async fn end(&self, path: &DocumentPath, write: &str, ended: Ended) -> Result<bool, BackendError> {
        let (path, write) = (path.clone(), write.to_owned());
        self.pools
            .write(async move |conn| {
                if !is_held(conn, &path, &write).await? {
                    return Ok(false);
                }
                versions::end_pending(conn, &path, ended).await?;
                diesel::update(documents::table.find((path.agent().as_str(), path.to_string())))
                    .set((documents::lease_write.eq(None::<String>), documents::lease_until.eq(None::<NaiveDateTime>)))
                    .execute(conn)
                    .await?;
                Ok(true)
            })
            .await
    }

    async fn abandoned(&self) -> Result<Vec<DocumentPath>, BackendError> {
        let portal_time = self.clock.now();
        self.pools
            .read(async move |conn| {
                let now = now(conn, portal_time).await?.naive_utc();
                let rows = documents::table
                    .filter(documents::lease_until.le(now))
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

/// Returns whether `write` holds the document; the row stays locked until the transaction ends.
async fn is_held(conn: &mut Conn, path: &DocumentPath, write: &str) -> Result<bool, QueryError> {
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

async fn pending(conn: &mut Conn, path: &DocumentPath) -> Result<Option<Pending>, QueryError> {
    let row = versions::of(path, "pending")
        .select((document_versions::id, document_versions::tag, document_versions::previous_tag))
        .first::<(String, String, Option<String>)>(conn)
        .await
        .optional()?;
    let Some((write, tag, previous)) = row else { return Ok(None) };
    let previous = previous.as_deref().map(versions::tag).transpose()?;
    Ok(Some(Pending { write, tag: versions::tag(&tag)?, previous }))
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
