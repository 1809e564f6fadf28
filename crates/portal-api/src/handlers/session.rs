//! The friend's logins.

use actix_web::web::{Data, Json, Path};
use actix_web::{delete, get};

use crate::auth::Friend;
use crate::body::Acknowledgement;
use crate::body::session::{SessionItem, SessionList};
use crate::error::{ApiError, Guarded, NotFound};
use crate::state::ApiState;

/// Lists the friend's valid sessions.
#[utoipa::path(tag = "sessions", security(("session" = [])), responses(
    (status = 200, description = "The sessions, newest first", body = SessionList),
    Guarded,
))]
#[get("/api/portal/sessions")]
pub(crate) async fn list_sessions(friend: Friend, state: Data<ApiState>) -> Result<Json<SessionList>, ApiError> {
    let sessions = state.sessions.list(friend.id()).await?;
    let items = sessions.into_iter().map(|session| SessionItem::new(session, &friend.session().id));
    Ok(Json(SessionList { sessions: items.collect() }))
}

/// Ends the session that asks: a logout.
#[utoipa::path(tag = "sessions", security(("session" = [])), responses(
    (status = 200, description = "The token opens nothing any more", body = Acknowledgement),
    Guarded,
))]
#[delete("/api/portal/sessions/current")]
pub(crate) async fn end_current_session(
    friend: Friend,
    state: Data<ApiState>,
) -> Result<Json<Acknowledgement>, ApiError> {
    // Already ended elsewhere is as good: the token opens nothing.
    state.sessions.revoke(friend.id(), &friend.session().id, friend.actor()).await?;
    Ok(Json(Acknowledgement::YES))
}

/// Ends all of the friend's sessions but the one that asks.
#[utoipa::path(tag = "sessions", security(("session" = [])), responses(
    (status = 200, description = "No other token of the friend's opens anything any more", body = Acknowledgement),
    Guarded,
))]
#[delete("/api/portal/sessions")]
pub(crate) async fn end_other_sessions(
    friend: Friend,
    state: Data<ApiState>,
) -> Result<Json<Acknowledgement>, ApiError> {
    state.sessions.revoke_others(friend.id(), &friend.session().id, &friend.actor()).await?;
    Ok(Json(Acknowledgement::YES))
}

/// Ends one of the friend's sessions.
#[utoipa::path(tag = "sessions", security(("session" = [])),
    params(("id" = String, Path, description = "The session's id", example = "0f8c1d7a94f35f7a2b6ad1fd1d6f2f3c")),
    responses(
        (status = 200, description = "Its token opens nothing any more", body = Acknowledgement),
        NotFound,
        Guarded,
))]
#[delete("/api/portal/sessions/{id}")]
pub(crate) async fn end_session(
    friend: Friend,
    state: Data<ApiState>,
    id: Path<String>,
) -> Result<Json<Acknowledgement>, ApiError> {
    // Another friend's session is not found either: `revoke` looks among the friend's own.
    let revoked = state.sessions.revoke(friend.id(), &id, friend.actor()).await?;
    if revoked { Ok(Json(Acknowledgement::YES)) } else { Err(ApiError::session_not_found()) }
}
