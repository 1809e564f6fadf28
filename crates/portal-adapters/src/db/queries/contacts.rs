//! Where friends can be reached.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AuditEntry, ChannelId, Contact, ContactAdded, FriendId};

use super::{Conn, audit, friends as register};
use crate::db::error::QueryError;
use crate::db::schema::{contacts, friends};

/// The contacts of a friend, sorted by channel and address.
pub(in crate::db) async fn list(conn: &mut Conn, friend: &FriendId) -> Result<Vec<Contact>, QueryError> {
    let rows = contacts::table
        .filter(contacts::friend_id.eq(friend.as_str()))
        .select((contacts::channel, contacts::address))
        .order((contacts::channel, contacts::address))
        .load::<(String, String)>(conn)
        .await?;
    let contact = |(channel, address): (String, String)| {
        Ok(Contact { friend: friend.clone(), channel: ChannelId::parse(&channel)?, address })
    };
    rows.into_iter().map(contact).collect()
}

/// Adds a contact.
pub(in crate::db) async fn add(
    conn: &mut Conn,
    contact: &Contact,
    audit: &AuditEntry,
) -> Result<ContactAdded, QueryError> {
    write_tx!(conn, async |conn| {
        super::lock_names(conn).await?;
        if !register::lock(conn, &contact.friend).await? {
            return Ok(ContactAdded::NoFriend);
        }
        let is_friend = exists(friends::table.find(&contact.address));
        if diesel::select(is_friend).get_result(conn).await? {
            return Ok(ContactAdded::IsFriendId);
        }
        let inserted = diesel::insert_into(contacts::table)
            .values((
                contacts::channel.eq(contact.channel.as_str()),
                contacts::address.eq(&contact.address),
                contacts::friend_id.eq(contact.friend.as_str()),
            ))
            .on_conflict_do_nothing()
            .execute(conn)
            .await?;
        if inserted > 0 {
            audit::insert(conn, audit).await?;
            return Ok(ContactAdded::New);
        }
        let owner = contacts::table
            .find((contact.channel.as_str(), &contact.address))
            .select(contacts::friend_id)
            .first::<String>(conn)
            .await?;
        Ok(if owner == contact.friend.as_str() { ContactAdded::Same } else { ContactAdded::Taken })
    })
    .await
}

/// Removes a contact.
pub(in crate::db) async fn remove(conn: &mut Conn, contact: &Contact, audit: &AuditEntry) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        let theirs = contacts::table
            .find((contact.channel.as_str(), &contact.address))
            .filter(contacts::friend_id.eq(contact.friend.as_str()));
        let removed = diesel::delete(theirs).execute(conn).await?;
        if removed > 0 {
            audit::insert(conn, audit).await?;
        }
        Ok(removed > 0)
    })
    .await
}
