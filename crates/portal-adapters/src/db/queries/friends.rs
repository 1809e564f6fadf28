//! The register of friends.

use chrono::NaiveDateTime;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AuditEntry, ChannelId, Friend, FriendCreated, FriendId, FriendRemoved};

use super::{Conn, audit};
use crate::db::error::QueryError;
use crate::db::schema::{contacts, exposures, friends};

#[derive(Queryable, Selectable)]
#[diesel(table_name = friends)]
pub(super) struct Row {
    id: String,
    display_name: Option<String>,
    preferred_channel: Option<String>,
    time_zone: Option<String>,
    created_at: NaiveDateTime,
}

/// The friend of that id.
pub(in crate::db) async fn find(conn: &mut Conn, id: &FriendId) -> Result<Option<Friend>, QueryError> {
    let row = friends::table.find(id.as_str()).select(Row::as_select()).first(conn).await.optional()?;
    row.map(Friend::try_from).transpose()
}

/// Every friend, sorted by id.
pub(in crate::db) async fn list(conn: &mut Conn) -> Result<Vec<Friend>, QueryError> {
    let rows = friends::table.select(Row::as_select()).order(friends::id).load(conn).await?;
    rows.into_iter().map(Friend::try_from).collect()
}

/// Holds a friend's row until the transaction ends, so that limits are counted by one at a time; `false` if there is no
/// such friend.
pub(in crate::db) async fn lock(conn: &mut Conn, id: &FriendId) -> Result<bool, QueryError> {
    let row = for_update!(friends::table.find(id.as_str()).select(friends::id));
    Ok(row.first::<String>(conn).await.optional()?.is_some())
}

/// Registers a friend.
pub(in crate::db) async fn create(
    conn: &mut Conn,
    friend: &Friend,
    audit: &AuditEntry,
) -> Result<FriendCreated, QueryError> {
    write_tx!(conn, async |conn| {
        super::lock_names(conn).await?;
        let is_contact = exists(contacts::table.filter(contacts::address.eq(friend.id.as_str())));
        if diesel::select(is_contact).get_result(conn).await? {
            return Ok(FriendCreated::IsContact);
        }
        let inserted = diesel::insert_into(friends::table)
            .values((
                friends::id.eq(friend.id.as_str()),
                friends::display_name.eq(friend.display_name.as_deref()),
                friends::preferred_channel.eq(friend.preferred_channel.as_ref().map(ChannelId::as_str)),
                friends::time_zone.eq(friend.time_zone.as_deref()),
                friends::created_at.eq(friend.created_at.naive_utc()),
            ))
            .on_conflict_do_nothing()
            .execute(conn)
            .await?;
        if inserted == 0 {
            return Ok(FriendCreated::Exists);
        }
        audit::insert(conn, audit).await?;
        Ok(FriendCreated::New)
    })
    .await
}

/// Replaces name, channel and time zone.
pub(in crate::db) async fn update(conn: &mut Conn, friend: &Friend, audit: &AuditEntry) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        let changed = diesel::update(friends::table.find(friend.id.as_str()))
            .set((
                friends::display_name.eq(friend.display_name.as_deref()),
                friends::preferred_channel.eq(friend.preferred_channel.as_ref().map(ChannelId::as_str)),
                friends::time_zone.eq(friend.time_zone.as_deref()),
            ))
            .execute(conn)
            .await?;
        if changed > 0 {
            audit::insert(conn, audit).await?;
        }
        Ok(changed > 0)
    })
    .await
}

/// Removes a friend; the tables of what belongs to them cascade.
pub(in crate::db) async fn remove(
    conn: &mut Conn,
    id: &FriendId,
    audit: &AuditEntry,
) -> Result<FriendRemoved, QueryError> {
    write_tx!(conn, async |conn| {
        // Before the row: whoever adds a contact takes both in this order too.
        super::lock_names(conn).await?;
        if !lock(conn, id).await? {
            return Ok(FriendRemoved::Absent);
        }
        let exposed = exists(exposures::table.filter(exposures::friend_id.eq(id.as_str())));
        if diesel::select(exposed).get_result(conn).await? {
            return Ok(FriendRemoved::HasExposures);
        }
        diesel::delete(friends::table.find(id.as_str())).execute(conn).await?;
        audit::insert(conn, audit).await?;
        Ok(FriendRemoved::Done)
    })
    .await
}

impl TryFrom<Row> for Friend {
    type Error = QueryError;

    fn try_from(row: Row) -> Result<Self, QueryError> {
        Ok(Self {
            id: FriendId::parse(&row.id)?,
            display_name: row.display_name,
            preferred_channel: row.preferred_channel.as_deref().map(ChannelId::parse).transpose()?,
            time_zone: row.time_zone,
            created_at: row.created_at.and_utc(),
        })
    }
}
