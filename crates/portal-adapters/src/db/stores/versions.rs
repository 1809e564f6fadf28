//! The stored texts of documents.

use async_trait::async_trait;
use chrono::NaiveDateTime;
use diesel::dsl::max;
use diesel::prelude::*;
use diesel_async::{AsyncConnectionCore, RunQueryDsl};
use portal_core::{AgentId, BackendError, FriendId, Invalid};
use portal_workspace::{
    Author, DocumentPath, LatestVersion, NewVersion, Tag, Version, VersionStore, WriteIntent, WriteOutcome,
};

use super::{Conn, Store};
use crate::db::error::QueryError;
use crate::db::schema::document_versions;

type Backend = <Conn as AsyncConnectionCore>::Backend;

#[derive(Queryable, Selectable)]
#[diesel(table_name = document_versions)]
struct Row {
    id: String,
    agent_id: String,
    tag: String,
    size: i64,
    saved_at: NaiveDateTime,
    friend_id: Option<String>,
}

impl TryFrom<Row> for Version {
    type Error = QueryError;

    fn try_from(row: Row) -> Result<Self, QueryError> {
        let author = match &row.friend_id {
            Some(friend) => Author::Friend(FriendId::parse(friend)?),
            None => Author::Agent(AgentId::parse(&row.agent_id)?),
        };
        let (tag, bytes) = (tag(&row.tag)?, u64::try_from(row.size).unwrap_or(0));
        Ok(Self { id: row.id, saved_at: row.saved_at.and_utc(), author, tag, bytes })
    }
}

#[async_trait]
impl VersionStore for Store {
    async fn list(&self, path: &DocumentPath, friend: Option<&FriendId>) -> Result<Vec<Version>, BackendError> {
        let (path, friend) = (path.clone(), friend.cloned());
        self.pools
            .read(async move |conn| {
                let query = written_by(of(&path, "kept"), friend.as_ref());
                let rows = query.order(document_versions::seq.desc()).select(Row::as_select()).load(conn).await?;
                rows.into_iter().map(Version::try_from).collect()
            })
            .await
    }

    async fn find(
        &self,
        path: &DocumentPath,
        friend: Option<&FriendId>,
        id: &str,
    ) -> Result<Option<(Version, Vec<u8>)>, BackendError> {
        let (path, friend, id) = (path.clone(), friend.cloned(), id.to_owned());
        self.pools
            .read(async move |conn| {
                let query = written_by(of(&path, "kept").filter(document_versions::id.eq(id)), friend.as_ref());
                let found =
                    query.select((Row::as_select(), document_versions::bytes)).first::<(Row, Vec<u8>)>(conn).await;
                found.optional()?.map(|(row, bytes)| Ok((row.try_into()?, bytes))).transpose()
            })
            .await
    }

    async fn find_by_tag(&self, path: &DocumentPath, tag: &Tag) -> Result<Option<Vec<u8>>, BackendError> {
        let (path, tag) = (path.clone(), tag.clone());
        self.pools
            .read(async move |conn| {
                let stored = of(&path, "kept").filter(document_versions::tag.eq(tag.as_str()));
                Ok(stored.select(document_versions::bytes).first::<Vec<u8>>(conn).await.optional()?)
            })
            .await
    }

    async fn latest(&self, paths: &[DocumentPath]) -> Result<Vec<Option<LatestVersion>>, BackendError> {
        let paths = paths.to_vec();
        self.pools
            .read(async move |conn| {
                let mut latest = Vec::with_capacity(paths.len());
                for path in &paths {
                    let newest = of(path, "kept").order(document_versions::seq.desc()).select(Row::as_select());
                    let row = newest.first::<Row>(conn).await.optional()?;
                    let version = row.map(Version::try_from).transpose()?;
                    latest.push(version.map(|version| LatestVersion { tag: version.tag, author: version.author }));
                }
                Ok(latest)
            })
            .await
    }

    async fn forget(&self, path: &DocumentPath, ids: &[String]) -> Result<(), BackendError> {
        let (path, ids) = (path.clone(), ids.to_vec());
        self.pools.write(async move |conn| delete(conn, &path, &ids).await).await
    }
}

type Query<'a> = document_versions::BoxedQuery<'a, Backend>;

fn written_by<'a>(query: Query<'a>, friend: Option<&'a FriendId>) -> Query<'a> {
    match friend {
        Some(friend) => query.filter(document_versions::friend_id.eq(friend.as_str())),
        None => query,
    }
}

async fn delete(conn: &mut Conn, path: &DocumentPath, ids: &[String]) -> Result<(), QueryError> {
    let stored = document_versions::table
        .filter(document_versions::agent_id.eq(path.agent().as_str()))
        .filter(document_versions::path.eq(path.to_string()))
        .filter(document_versions::state.eq("kept"))
        .filter(document_versions::id.eq_any(ids));
    diesel::delete(stored).execute(conn).await?;
    Ok(())
}

/// Returns the tag of the newest version.
pub(super) async fn newest_tag(conn: &mut Conn, path: &DocumentPath) -> Result<Option<Tag>, QueryError> {
    let newest = of(path, "kept")
        .order(document_versions::seq.desc())
        .select(document_versions::tag)
        .first::<String>(conn)
        .await
        .optional()?;
    newest.as_deref().map(tag).transpose()
}

/// Stores a text that was found, unless the newest version is the same; the document's row is locked.
pub(super) async fn insert_unless_newest(
    conn: &mut Conn,
    path: &DocumentPath,
    found: &NewVersion,
) -> Result<(), QueryError> {
    if newest_tag(conn, path).await?.as_ref() == Some(&found.tag) {
        return Ok(());
    }
    insert(conn, path, found, None).await
}

/// Adds a text at the end, pending if a write begins with it; the document's row is locked.
pub(super) async fn insert(
    conn: &mut Conn,
    path: &DocumentPath,
    new: &NewVersion,
    intent: Option<&WriteIntent>,
) -> Result<(), QueryError> {
    let friend = match &new.author {
        Author::Friend(friend) => Some(friend.as_str()),
        Author::Agent(_) => None,
    };
    diesel::insert_into(document_versions::table)
        .values((
            document_versions::id.eq(&new.id),
            document_versions::agent_id.eq(path.agent().as_str()),
            document_versions::path.eq(path.to_string()),
            document_versions::seq.eq(next(conn, path).await?),
            document_versions::state.eq(if intent.is_some() { "pending" } else { "kept" }),
            document_versions::tag.eq(new.tag.as_str()),
            document_versions::size.eq(i64::try_from(new.bytes.len()).unwrap_or(i64::MAX)),
            document_versions::bytes.eq(&new.bytes),
            document_versions::saved_at.eq(new.saved_at.naive_utc()),
            document_versions::friend_id.eq(friend),
            document_versions::session_id.eq(intent.map(|intent| &intent.session)),
            document_versions::burst_since.eq(intent.map(|intent| intent.burst_since.naive_utc())),
            document_versions::replaces.eq(intent.and_then(|intent| intent.replaces.as_ref())),
            document_versions::previous_tag.eq(intent.and_then(|intent| intent.previous.as_ref()).map(Tag::as_str)),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Turns the pending text into a version or deletes it; the document's row is locked.
pub(super) async fn finish_pending(
    conn: &mut Conn,
    path: &DocumentPath,
    outcome: WriteOutcome,
) -> Result<(), QueryError> {
    let pending = of(path, "pending").select((document_versions::id, document_versions::replaces));
    let Some((id, replaces)) = pending.first::<(String, Option<String>)>(conn).await.optional()? else {
        return Ok(());
    };
    if outcome == WriteOutcome::Aborted {
        diesel::delete(document_versions::table.find(id)).execute(conn).await?;
        return Ok(());
    }
    if let (WriteOutcome::Committed, Some(replaced)) = (outcome, replaces) {
        delete(conn, path, &[replaced]).await?;
    }
    // A new number: versions are ordered by when they were finished, not by when they were begun.
    let seq = next(conn, path).await?;
    diesel::update(document_versions::table.find(id))
        .set((
            document_versions::state.eq("kept"),
            document_versions::seq.eq(seq),
            document_versions::replaces.eq(None::<String>),
            document_versions::previous_tag.eq(None::<String>),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Selects the texts of a document in this state.
pub(super) fn of<'a>(path: &DocumentPath, state: &'a str) -> Query<'a> {
    document_versions::table
        .filter(document_versions::agent_id.eq(path.agent().to_string()))
        .filter(document_versions::path.eq(path.to_string()))
        .filter(document_versions::state.eq(state))
        .into_boxed()
}

/// Reads a stored tag.
pub(super) fn tag(text: &str) -> Result<Tag, QueryError> {
    Ok(Tag::parse(text).ok_or_else(|| Invalid::new("tag", "tag must be 64 hexadecimal digits"))?)
}

async fn next(conn: &mut Conn, path: &DocumentPath) -> Result<i64, QueryError> {
    let last = document_versions::table
        .filter(document_versions::agent_id.eq(path.agent().as_str()))
        .filter(document_versions::path.eq(path.to_string()))
        .select(max(document_versions::seq))
        .first::<Option<i64>>(conn)
        .await?;
    Ok(last.unwrap_or(0) + 1)
}
