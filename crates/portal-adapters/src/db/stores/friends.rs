//! The register of friends.

use async_trait::async_trait;
use chrono::NaiveDateTime;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{
    AuditEntry, BackendError, Change, ChannelId, Friend, FriendCreated, FriendId, FriendPatch, FriendRemoved,
    FriendStore,
};

use super::{Conn, Store, audit, lock_names};
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

#[async_trait]
impl FriendStore for Store {
    async fn find(&self, id: &FriendId) -> Result<Option<Friend>, BackendError> {
        let id = id.clone();
        self.pools
            .read(async move |conn| {
                let row = friends::table.find(id.as_str()).select(Row::as_select()).first(conn).await.optional()?;
                row.map(Friend::try_from).transpose()
            })
            .await
    }

    async fn list(&self) -> Result<Vec<Friend>, BackendError> {
        self.pools
            .read(async move |conn| {
                let rows = friends::table.select(Row::as_select()).order(friends::id).load(conn).await?;
                rows.into_iter().map(Friend::try_from).collect()
            })
            .await
    }

    async fn create(&self, friend: Friend, audit: AuditEntry) -> Result<FriendCreated, BackendError> {
        self.pools
            .write(async move |conn| {
                lock_names(conn).await?;
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
                audit::insert(conn, &audit).await?;
                Ok(FriendCreated::New)
            })
            .await
    }

    async fn update(&self, friend: Friend, audit: AuditEntry) -> Result<bool, BackendError> {
        self.pools
            .write(async move |conn| {
                let changed = diesel::update(friends::table.find(friend.id.as_str()))
                    .set((
                        friends::display_name.eq(friend.display_name.as_deref()),
                        friends::preferred_channel.eq(friend.preferred_channel.as_ref().map(ChannelId::as_str)),
                        friends::time_zone.eq(friend.time_zone.as_deref()),
                    ))
                    .execute(conn)
                    .await?;
                audit::insert_if(changed > 0, conn, &audit).await
            })
            .await
    }

    async fn patch(
        &self,
        id: &FriendId,
        patch: FriendPatch,
        audit: AuditEntry,
    ) -> Result<Option<Friend>, BackendError> {
        let id = id.clone();
        self.pools
            .write(async move |conn| {
                if !lock(conn, &id).await? {
                    return Ok(None);
                }
                // The columns of the members that change, and no others.
                let place = || friends::table.find(id.as_str());
                if let Some(name) = value(patch.display_name) {
                    diesel::update(place()).set(friends::display_name.eq(name)).execute(conn).await?;
                }
                if let Some(channel) = value(patch.preferred_channel) {
                    let channel = channel.as_ref().map(ChannelId::as_str);
                    diesel::update(place()).set(friends::preferred_channel.eq(channel)).execute(conn).await?;
                }
                if let Some(zone) = value(patch.time_zone) {
                    diesel::update(place()).set(friends::time_zone.eq(zone)).execute(conn).await?;
                }
                audit::insert(conn, &audit).await?;
                let row: Row = place().select(Row::as_select()).first(conn).await?;
                Ok(Some(row.try_into()?))
            })
            .await
    }

    async fn remove(&self, id: &FriendId, audit: AuditEntry) -> Result<FriendRemoved, BackendError> {
        let id = id.clone();
        self.pools
            .write(async move |conn| {
                // Before the row, in the order of `ContactStore::add`; otherwise the two could deadlock.
                lock_names(conn).await?;
                if !lock(conn, &id).await? {
                    return Ok(FriendRemoved::Absent);
                }
                let has_exposures = exists(exposures::table.filter(exposures::friend_id.eq(id.as_str())));
                if diesel::select(has_exposures).get_result(conn).await? {
                    return Ok(FriendRemoved::HasExposures);
                }
                // Contacts, friendships, sessions, documents and jobs go with the friend: their foreign keys cascade.
                diesel::delete(friends::table.find(id.as_str())).execute(conn).await?;
                audit::insert(conn, &audit).await?;
                Ok(FriendRemoved::Done)
            })
            .await
    }
}

/// Returns the value of a column that changes; `None` for one that stays.
#[expect(clippy::option_option, reason = "whether to write, and what: null is a value of these columns")]
fn value<T>(change: Change<T>) -> Option<Option<T>> {
    match change {
        Change::Keep => None,
        Change::Clear => Some(None),
        Change::Set(value) => Some(Some(value)),
    }
}

/// Locks a friend's row until the transaction ends, so that concurrent transactions count limits one after the other;
/// `false` if there is no such friend.
pub(super) async fn lock(conn: &mut Conn, id: &FriendId) -> Result<bool, QueryError> {
    let row = for_update!(friends::table.find(id.as_str()).select(friends::id));
    Ok(row.first::<String>(conn).await.optional()?.is_some())
}
