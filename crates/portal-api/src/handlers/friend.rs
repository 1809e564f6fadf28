//! The friend, their agents and the domains on offer.

use std::error::Error;

use actix_web::get;
use actix_web::web::{Data, Json};
use futures::join;
use portal_core::BackendError;

use crate::auth::Friend;
use crate::body::friend::{AgentOfFriend, Me, Stats};
use crate::error::{ApiError, Guarded};
use crate::state::ApiState;

/// Tells who the friend is.
///
/// What is registered of the friend is at most a second old. A stat that cannot be counted at the moment is `null`.
#[utoipa::path(tag = "friend", security(("session" = [])), responses(
    (status = 200, description = "The friend", body = Me),
    Guarded,
))]
#[get("/api/portal/me")]
pub(crate) async fn show_me(friend: Friend, state: Data<ApiState>) -> Result<Json<Me>, ApiError> {
    let key = friend.key();
    let (logs, secrets) = join!(state.logs.count(&key), state.secrets.count(&key));
    Ok(Json(Me::new(friend.person(), Stats { logs: known(logs), secrets: known(secrets) })))
}

/// Lists the friend's relationships with agents.
#[utoipa::path(tag = "friend", security(("session" = [])), responses(
    (status = 200, description = "The relationships, sorted by agent", body = Vec<AgentOfFriend>),
    Guarded,
))]
#[get("/api/portal/agents")]
pub(crate) async fn list_agents(friend: Friend, state: Data<ApiState>) -> Result<Json<Vec<AgentOfFriend>>, ApiError> {
    let friendships = state.friendships.of_friend(friend.id()).await?;
    Ok(Json(friendships.into_iter().map(AgentOfFriend::from).collect()))
}

/// Lists the domains under which services can be put on the internet.
#[utoipa::path(tag = "friend", security(("session" = [])), responses(
    (status = 200, description = "The domains on offer, the default first", body = Vec<String>, example = json!(["your-domain.net"])),
    Guarded,
))]
#[get("/api/portal/domains")]
pub(crate) async fn list_domains(_: Friend, state: Data<ApiState>) -> Json<Vec<String>> {
    Json(state.domains.iter().map(ToString::to_string).collect())
}

/// A count, or nothing if it cannot be counted. Each backend logs its outages itself, once: pages ask for this all the
/// time.
fn known(count: Result<Option<u64>, BackendError>) -> Option<u64> {
    count.unwrap_or_else(|error| {
        tracing::debug!(error = &error as &dyn Error, "a stat is not known");
        None
    })
}
