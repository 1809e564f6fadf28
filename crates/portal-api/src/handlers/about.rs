//! Version, limits and features of this portal.

use actix_web::get;
use actix_web::web::{Data, Json};

use crate::auth::Friend;
use crate::body::about::About;
use crate::error::Guarded;
use crate::state::ApiState;

/// Tells what this portal is and allows.
#[utoipa::path(tag = "friend", security(("session" = [])), responses(
    (status = 200, description = "Version, limits, channels and words", body = About),
    Guarded,
))]
#[get("/api/portal/about")]
pub(crate) async fn show_about(_: Friend, state: Data<ApiState>) -> Json<About> {
    let channels = state.jobs.channels().iter().map(ToString::to_string).collect();
    let features = state.logins.iter().map(|_| "login-links").collect();
    Json(About::new(channels, features))
}
