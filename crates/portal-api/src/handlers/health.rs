//! Health of the portal, and the OpenAPI document.

use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse, get};

use crate::body::health::{Health, Ready};
use crate::error::{ApiError, Open, Unready};
use crate::state::ApiState;
use crate::static_file::StaticFile;

/// Tells that the process lives; looks at nothing else.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "It lives", body = Health),
    Open,
))]
#[get("/livez")]
pub(crate) async fn show_liveness() -> Json<Health> {
    Json(Health::NOW)
}

/// Tells whether the portal should get requests.
///
/// Anybody may ask, so nothing is named here; the operations port names what is missing.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "It takes requests", body = Ready),
    Unready,
    Open,
))]
#[get("/readyz")]
pub(crate) async fn show_readiness(state: Data<ApiState>) -> Result<Json<Ready>, ApiError> {
    let missing = state.readiness.missing().await;
    if missing.is_empty() { Ok(Json(Ready { ready: true })) } else { Err(ApiError::not_ready()) }
}

/// Tells pages that the portal is there.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "It is there", body = Health),
    Open,
))]
#[get("/api/health")]
pub(crate) async fn show_health() -> Json<Health> {
    Json(Health::NOW)
}

/// Shows this document.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "The OpenAPI document", body = Object, content_type = "application/json"),
    Open,
))]
#[get("/openapi.json")]
pub(crate) async fn show_openapi(document: Data<StaticFile>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    document.respond(&request, HttpResponse::Ok()).await
}
