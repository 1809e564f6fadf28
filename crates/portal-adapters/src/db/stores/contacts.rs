//! The addresses of friends on channels.

use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{AuditEntry, BackendError, ChannelId, Contact, ContactAdded, ContactStore, FriendId};

use super::{Store, audit, friends as friend_rows, lock_names};
use crate::db::error::QueryError;
use crate::db::schema::{contacts, friends};

#[async_trait]
impl ContactStore for Store {
    async fn list(&self, friend: &FriendId) -> Result<Vec<Contact>, BackendError> {
        let friend = friend.clone();
        self.pools
            .read(async move |conn| {
                let rows = contacts::table
                    .filter(contacts::friend_id.eq(friend.as_str()))
                    .select((contacts::channel, contacts::address, contacts::typed_address))
                    .order((contacts::channel, contacts::address))
                    .load::<(String, String, Option<String>)>(conn)
                    .await?;
                let contact = |(channel, address, typed): (String, String, Option<String>)| {
                    Ok::<_, QueryError>(Contact {
                        friend: friend.clone(),
                        channel: ChannelId::parse(&channel)?,
                        // Contacts of older portals were stored in lower case only.
                        typed: typed.unwrap_or_else(|| address.clone()),
                        address,
                    })
                };
                rows.into_iter().map(contact).collect()
            })
            .await
    }

    async fn add(&self, contact: Contact, audit: AuditEntry) -> Result<ContactAdded, BackendError> {
        self.pools
            .write(async move |conn| {
                lock_names(conn).await?;
                if !friend_rows::lock(conn, &contact.friend).await? {
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
                        contacts::typed_address.eq(&contact.typed),
                        contacts::friend_id.eq(contact.friend.as_str()),
                    ))
                    .on_conflict_do_nothing()
                    .execute(conn)
                    .await?;
                if inserted > 0 {
                    audit::insert(conn, &audit).await?;
                    return Ok(ContactAdded::New);
                }
                let stored = contacts::table.find((contact.channel.as_str(), &contact.address));
                let owner = stored.select(contacts::friend_id).first::<String>(conn).await?;
                if owner != contact.friend.as_str() {
                    return Ok(ContactAdded::Taken);
                }
                let typed = &contact.typed;
                let otherwise = stored.filter(contacts::typed_address.is_null().or(contacts::typed_address.ne(typed)));
                let retyped = diesel::update(otherwise).set(contacts::typed_address.eq(typed)).execute(conn).await?;
                let is_retyped = audit::insert_if(retyped > 0, conn, &audit).await?;
                Ok(if is_retyped { ContactAdded::New } else { ContactAdded::Same })
            })
            .await
    }

    async fn remove(&self, contact: &Contact, audit: AuditEntry) -> Result<bool, BackendError> {
        let contact = contact.clone();
        self.pools
            .write(async move |conn| {
                let own = contacts::table
                    .find((contact.channel.as_str(), &contact.address))
                    .filter(contacts::friend_id.eq(contact.friend.as_str()));
                let removed = diesel::delete(own).execute(conn).await?;
                audit::insert_if(removed > 0, conn, &audit).await
            })
            .await
    }
}
