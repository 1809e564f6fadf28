//! What this portal is and allows.

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
    Json(About::new(&state))
}
