//! The single-use codes of login links.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{
    Action, Actor, AgentId, AuditEntry, BackendError, FriendId, FriendshipStatus, LoginCode, LoginStore, NewSession,
    Origin, Recipient, Session, TokenHash,
};

use super::{Conn, Store, audit, friendships as friendship_rows, sessions as session_rows};
use crate::db::error::QueryError;
use crate::db::schema::{contacts, friendships, login_codes};

/// A code that was just spent.
#[derive(Queryable, Selectable)]
#[diesel(table_name = login_codes)]
struct SpentRow {
    friend_id: String,
    agent_id: String,
    open: Option<String>,
    created_by: String,
}

#[async_trait]
impl LoginStore for Store {
    async fn create(
        &self,
        recipient: Recipient,
        code: LoginCode,
        audit: AuditEntry,
    ) -> Result<Option<FriendId>, BackendError> {
        self.pools
            .write(async move |conn| {
                let Some(friend) = active_friend(conn, &recipient, &code.agent).await? else { return Ok(None) };
                diesel::insert_into(login_codes::table)
                    .values((
                        login_codes::code_hash.eq(code.hash.to_hex()),
                        login_codes::friend_id.eq(friend.as_str()),
                        login_codes::agent_id.eq(code.agent.as_str()),
                        login_codes::created_at.eq(code.created_at.naive_utc()),
                        login_codes::expires_at.eq(code.expires_at.naive_utc()),
                        login_codes::open.eq(&code.open),
                        login_codes::created_by.eq(code.created_by.to_string()),
                    ))
                    .execute(conn)
                    .await?;
                audit::insert(conn, &audit.with_friend(friend.clone())).await?;
                Ok(Some(friend))
            })
            .await
    }

    async fn exchange(
        &self,
        code: TokenHash,
        new: NewSession,
    ) -> Result<Option<(Session, Option<String>)>, BackendError> {
        // Read first: anybody may guess codes, and on SQLite each guess would take the one writer's turn from others.
        if !self.pools.read(async move |conn| is_known(conn, &code).await).await? {
            return Ok(None);
        }
        self.pools.write(async move |conn| exchange(conn, &code, new).await).await
    }
}

/// Returns the recipient's id if their friendship with the agent is active. One statement, so that an unknown recipient
/// costs what somebody else's and an inactive one cost.
async fn active_friend(
    conn: &mut Conn,
    recipient: &Recipient,
    agent: &AgentId,
) -> Result<Option<FriendId>, QueryError> {
    let active = friendships::table
        .filter(friendships::agent_id.eq(agent.as_str()))
        .filter(friendships::status.eq(FriendshipStatus::Active.as_str()))
        .select(friendships::friend_id);
    let found: Option<String> = match recipient {
        Recipient::Friend(id) => active.filter(friendships::friend_id.eq(id.as_str())).first(conn).await.optional()?,
        Recipient::Contact { channel, address } => {
            let of = contacts::table
                .filter(contacts::channel.eq(channel.as_str()))
                .filter(contacts::address.eq(address))
                .select(contacts::friend_id);
            active.filter(friendships::friend_id.eq_any(of)).first(conn).await.optional()?
        }
    };
    Ok(found.as_deref().map(FriendId::parse).transpose()?)
}

async fn is_known(conn: &mut Conn, code: &TokenHash) -> Result<bool, QueryError> {
    let known = login_codes::table.find(code.to_hex()).select(login_codes::code_hash);
    Ok(known.first::<String>(conn).await.optional()?.is_some())
}

async fn exchange(
    conn: &mut Conn,
    code: &TokenHash,
    new: NewSession,
) -> Result<Option<(Session, Option<String>)>, QueryError> {
    let now = new.created_at.naive_utc();
    let unspent = login_codes::table
        .find(code.to_hex())
        .filter(login_codes::spent_at.is_null())
        .filter(login_codes::expires_at.gt(now));
    // Of many concurrent exchanges one finds the code unspent: the update locks its row.
    let spent: Option<SpentRow> = diesel::update(unspent)
        .set(login_codes::spent_at.eq(now))
        .returning(SpentRow::as_returning())
        .get_result(conn)
        .await
        .optional()?;
    let Some(spent) = spent else { return Ok(None) };
    let created_by = Actor::parse(&spent.created_by)?;
    let session = Session {
        id: new.id,
        friend: FriendId::parse(&spent.friend_id)?,
        agent: AgentId::parse(&spent.agent_id)?,
        created_at: new.created_at,
        expires_at: new.expires_at,
        origin: Some(Origin::of(&created_by)),
    };
    let friendship = friendship_rows::find(conn, &session.key()).await?;
    if friendship.is_none_or(|friendship| friendship.status != FriendshipStatus::Active) {
        return Ok(None);
    }
    session_rows::insert(conn, &session, &new.token).await?;
    let login = AuditEntry::new(new.created_at, Actor::Friend(session.friend.clone()), Action::SessionIssue)
        .with_friend(session.friend.clone())
        .with_subject(session.id.clone())
        // The friend reads this entry. Who made the link is the originator of its own one.
        .with_detail(format!("link of {}", created_by.without_login_name()));
    audit::insert(conn, &login).await?;
    Ok(Some((session, spent.open)))
}
