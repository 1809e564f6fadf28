//! Who writes a document, and what is pending.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AgentId, FriendId, Invalid};
use portal_workspace::{Begin, DocumentPath, Ended, Held, LastWrite, NewVersion, Pending};

use super::{Conn, audit, versions};
use crate::db::error::QueryError;
use crate::db::schema::{document_versions, documents};

/// Gives the document to `write`, unless somebody holds it.
pub(in crate::db) async fn claim(
    conn: &mut Conn,
    path: &DocumentPath,
    write: &str,
    lease: TimeDelta,
    portal_time: DateTime<Utc>,
) -> Result<Option<Held>, QueryError> {
    write_tx!(conn, async |conn| {
        make(conn, path).await?;
        let now = super::now(conn, portal_time).await?.naive_utc();
        let row = documents::table.find((path.agent().as_str(), path.to_string())).select(documents::lease_until);
        let lease_until = for_update!(row).first::<Option<NaiveDateTime>>(conn).await?;
        if lease_until.is_some_and(|until| now < until) {
            return Ok(None);
        }
        hold(conn, path, write, now + lease).await?;
        let held = Held {
            taken_over: lease_until.is_some(),
            pending: pending(conn, path).await?,
            last: last(conn, path).await?,
            newest: versions::newest_tag(conn, path).await?,
        };
        Ok(Some(held))
    })
    .await
}

/// Holds the document for longer, if `write` still holds it.
pub(in crate::db) async fn renew(
    conn: &mut Conn,
    path: &DocumentPath,
    write: &str,
    lease: TimeDelta,
    portal_time: DateTime<Utc>,
) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        let now = super::now(conn, portal_time).await?.naive_utc();
        let is_held = is_held(conn, path, write).await?;
        if is_held {
            hold(conn, path, write, now + lease).await?;
        }
        Ok(is_held)
    })
    .await
}

/// Stores a write as pending, if it still holds the document.
pub(in crate::db) async fn begin(conn: &mut Conn, path: &DocumentPath, begin: &Begin) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        if !is_held(conn, path, &begin.text.id).await? {
            return Ok(false);
        }
        if let Some(before) = &begin.keep {
            versions::keep_found(conn, path, before).await?;
        }
        versions::insert(conn, path, &begin.text, Some(begin)).await?;
        audit::insert(conn, &begin.audit).await?;
        Ok(true)
    })
    .await
}

/// Keeps a text that was found outside the portal.
pub(in crate::db) async fn keep(conn: &mut Conn, path: &DocumentPath, found: &NewVersion) -> Result<(), QueryError> {
    write_tx!(conn, async |conn| {
        make(conn, path).await?;
        for_update!(documents::table.find((path.agent().as_str(), path.to_string())).select(documents::path))
            .first::<String>(conn)
            .await?;
        versions::keep_found(conn, path, found).await
    })
    .await
}

/// Ends what is pending and gives the document back, if `write` still holds it.
pub(in crate::db) async fn end(
    conn: &mut Conn,
    path: &DocumentPath,
    write: &str,
    ended: Ended,
) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        if !is_held(conn, path, write).await? {
            return Ok(false);
        }
        versions::end_pending(conn, path, ended).await?;
        diesel::update(documents::table.find((path.agent().as_str(), path.to_string())))
            .set((documents::lease_write.eq(None::<String>), documents::lease_until.eq(None::<NaiveDateTime>)))
            .execute(conn)
            .await?;
        Ok(true)
    })
    .await
}

/// The documents whose lease ran out.
pub(in crate::db) async fn abandoned(
    conn: &mut Conn,
    portal_time: DateTime<Utc>,
) -> Result<Vec<DocumentPath>, QueryError> {
    let now = super::now(conn, portal_time).await?.naive_utc();
    let rows = documents::table
        .filter(documents::lease_until.le(now))
        .select((documents::agent_id, documents::path))
        .order((documents::agent_id, documents::path))
        .load::<(String, String)>(conn)
        .await?;
    let unknown = || Invalid::new("path", "path must be the path of a document");
    let path =
        |(agent, path): (String, String)| Ok(DocumentPath::parse(AgentId::parse(&agent)?, &path).ok_or_else(unknown)?);
    rows.into_iter().map(path).collect()
}

async fn make(conn: &mut Conn, path: &DocumentPath) -> Result<(), QueryError> {
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

/// Whether `write` holds the document; the row stays as it is until the transaction ends.
async fn is_held(conn: &mut Conn, path: &DocumentPath, write: &str) -> Result<bool, QueryError> {
    let row = documents::table.find((path.agent().as_str(), path.to_string())).select(documents::lease_write);
    let holder = for_update!(row).first::<Option<String>>(conn).await.optional()?;
    Ok(holder.flatten().as_deref() == Some(write))
}

async fn hold(conn: &mut Conn, path: &DocumentPath, write: &str, until: NaiveDateTime) -> Result<(), QueryError> {
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

/// The last text that a friend wrote through the portal.
async fn last(conn: &mut Conn, path: &DocumentPath) -> Result<Option<LastWrite>, QueryError> {
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
