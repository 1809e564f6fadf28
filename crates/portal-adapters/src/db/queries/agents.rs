//! The register of agents.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{Agent, AgentId, AuditEntry, TokenHash};

use super::{Conn, audit};
use crate::db::error::QueryError;
use crate::db::schema::agents;

#[derive(Queryable, Selectable)]
#[diesel(table_name = agents)]
struct Row {
    id: String,
    created_at: NaiveDateTime,
}

/// Every agent, sorted by id.
pub(in crate::db) async fn list(conn: &mut Conn) -> Result<Vec<Agent>, QueryError> {
    let rows = agents::table.select(Row::as_select()).order(agents::id).load(conn).await?;
    rows.iter().map(agent).collect()
}

/// The agent whose token has this hash.
pub(in crate::db) async fn find_by_token(conn: &mut Conn, token: &TokenHash) -> Result<Option<Agent>, QueryError> {
    let theirs = agents::table.filter(agents::token_hash.eq(token.to_hex()));
    let row = theirs.select(Row::as_select()).first(conn).await.optional()?;
    row.as_ref().map(agent).transpose()
}

/// Holds an agent's row until the transaction ends; `false` if there is no such agent.
pub(in crate::db) async fn lock(conn: &mut Conn, id: &AgentId) -> Result<bool, QueryError> {
    let row = for_update!(agents::table.find(id.as_str()).select(agents::id));
    Ok(row.first::<String>(conn).await.optional()?.is_some())
}

/// Registers an agent.
pub(in crate::db) async fn create(
    conn: &mut Conn,
    agent: &Agent,
    token: &TokenHash,
    audit: &AuditEntry,
) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        let inserted = diesel::insert_into(agents::table)
            .values((
                agents::id.eq(agent.id.as_str()),
                agents::token_hash.eq(token.to_hex()),
                agents::created_at.eq(agent.created_at.naive_utc()),
            ))
            .on_conflict(agents::id)
            .do_nothing()
            .execute(conn)
            .await?;
        if inserted > 0 {
            audit::insert(conn, audit).await?;
        }
        Ok(inserted > 0)
    })
    .await
}

/// Gives an agent another token.
pub(in crate::db) async fn rotate(
    conn: &mut Conn,
    id: &AgentId,
    token: &TokenHash,
    audit: &AuditEntry,
) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        let agent = agents::table.find(id.as_str());
        let changed = diesel::update(agent).set(agents::token_hash.eq(token.to_hex())).execute(conn).await?;
        if changed > 0 {
            audit::insert(conn, audit).await?;
        }
        Ok(changed > 0)
    })
    .await
}

/// Removes an agent; the tables of what belongs to it cascade.
pub(in crate::db) async fn remove(conn: &mut Conn, id: &AgentId, audit: &AuditEntry) -> Result<bool, QueryError> {
    write_tx!(conn, async |conn| {
        let removed = diesel::delete(agents::table.find(id.as_str())).execute(conn).await?;
        if removed > 0 {
            audit::insert(conn, audit).await?;
        }
        Ok(removed > 0)
    })
    .await
}

fn agent(row: &Row) -> Result<Agent, QueryError> {
    Ok(Agent { id: AgentId::parse(&row.id)?, created_at: row.created_at.and_utc() })
}
