//! The register of agents.

use async_trait::async_trait;
use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use portal_core::{Agent, AgentId, AgentStore, AuditEntry, BackendError, TokenHash};

use super::{Conn, Store, audit};
use crate::db::error::QueryError;
use crate::db::schema::agents;

#[derive(Queryable, Selectable)]
#[diesel(table_name = agents)]
struct Row {
    id: String,
    created_at: NaiveDateTime,
}

impl TryFrom<Row> for Agent {
    type Error = QueryError;

    fn try_from(row: Row) -> Result<Self, QueryError> {
        Ok(Self { id: AgentId::parse(&row.id)?, created_at: row.created_at.and_utc() })
    }
}

#[async_trait]
impl AgentStore for Store {
    async fn list(&self) -> Result<Vec<Agent>, BackendError> {
        self.pools
            .read(async move |conn| {
                let rows = agents::table.select(Row::as_select()).order(agents::id).load(conn).await?;
                rows.into_iter().map(Agent::try_from).collect()
            })
            .await
    }

    async fn find_by_token(&self, token: &TokenHash) -> Result<Option<Agent>, BackendError> {
        let token = token.to_hex();
        self.pools
            .read(async move |conn| {
                let owner = agents::table.filter(agents::token_hash.eq(token));
                let row = owner.select(Row::as_select()).first(conn).await.optional()?;
                row.map(Agent::try_from).transpose()
            })
            .await
    }

    async fn create(&self, agent: Agent, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError> {
        self.pools
            .write(async move |conn| {
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
                audit::insert_if(inserted > 0, conn, &audit).await
            })
            .await
    }

    async fn rotate(&self, id: &AgentId, token: TokenHash, audit: AuditEntry) -> Result<bool, BackendError> {
        let id = id.clone();
        self.pools
            .write(async move |conn| {
                let agent = agents::table.find(id.as_str());
                let changed = diesel::update(agent).set(agents::token_hash.eq(token.to_hex())).execute(conn).await?;
                audit::insert_if(changed > 0, conn, &audit).await
            })
            .await
    }

    async fn remove(&self, id: &AgentId, audit: AuditEntry) -> Result<bool, BackendError> {
        let id = id.clone();
        self.pools
            .write(async move |conn| {
                // Friendships, sessions, documents and jobs go with the agent: their foreign keys cascade.
                let removed = diesel::delete(agents::table.find(id.as_str())).execute(conn).await?;
                audit::insert_if(removed > 0, conn, &audit).await
            })
            .await
    }
}

/// Locks an agent's row until the transaction ends; `false` if there is no such agent.
pub(super) async fn lock(conn: &mut Conn, id: &AgentId) -> Result<bool, QueryError> {
    let row = for_update!(agents::table.find(id.as_str()).select(agents::id));
    Ok(row.first::<String>(conn).await.optional()?.is_some())
}
