//! Settings that friends change themselves.

use actix_web::web::{Data, Json};
use actix_web::{get, patch};

use crate::auth::Friend;
use crate::body::settings::{FriendSettings, PatchSettings};
use crate::error::{ApiError, Guarded, PROBLEM_JSON, Problem, TakesBody};
use crate::extract;
use crate::state::ApiState;

/// Shows the friend's settings.
#[utoipa::path(tag = "friend", security(("session" = [])), responses(
    (status = 200, description = "The settings", body = FriendSettings),
    (status = 409, description = "The friend was removed meanwhile", body = Problem, content_type = PROBLEM_JSON),
    Guarded,
))]
#[get("/api/portal/settings")]
pub(crate) async fn show_settings(friend: Friend, state: Data<ApiState>) -> Result<Json<FriendSettings>, ApiError> {
    // Read anew: the session's own copy may be a second old, and the caller may just have changed it.
    let found = state.settings.find(friend.id()).await?.ok_or_else(ApiError::friend_unknown)?;
    Ok(Json(found.into()))
}

/// Changes the friend's settings. Jobs keep the time zone that they were made with.
#[utoipa::path(tag = "friend", security(("session" = [])), request_body = PatchSettings, responses(
    (status = 200, description = "The settings as they are now", body = FriendSettings),
    (status = 409, description = "The friend was removed meanwhile", body = Problem, content_type = PROBLEM_JSON),
    TakesBody,
    Guarded,
))]
#[patch("/api/portal/settings")]
pub(crate) async fn change_settings(
    friend: Friend,
    state: Data<ApiState>,
    body: extract::Json<PatchSettings>,
) -> Result<Json<FriendSettings>, ApiError> {
    let patch = body.0.parse(&state.jobs)?;
    let changed = state.settings.change(friend.id(), patch).await?.ok_or_else(ApiError::friend_unknown)?;
    Ok(Json(changed.into()))
}
