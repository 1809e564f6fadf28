//! Whether the portal is there, and what it offers.

use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse, get};

use crate::body::health::{Health, Ready};
use crate::error::{ApiError, Open, Unready};
use crate::handlers::docs;
use crate::state::ApiState;

const HEALTH: Health = Health { ok: true, version: env!("CARGO_PKG_VERSION") };

/// Tells that the process lives; looks at nothing else.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "It lives", body = Health),
    Open,
))]
#[get("/livez")]
pub(crate) async fn show_liveness() -> Json<Health> {
    Json(HEALTH)
}

/// Tells whether the portal should get requests, and what of all it stands on is there.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "It takes requests", body = Ready),
    Unready,
    Open,
))]
#[get("/readyz")]
pub(crate) async fn show_readiness(state: Data<ApiState>) -> Result<Json<Ready>, ApiError> {
    let checks = state.readiness.checks().await;
    let mut lacking: Vec<_> =
        checks.iter().filter(|check| check.required && !check.ok).map(|check| check.name).collect();
    if state.readiness.is_draining() {
        lacking.push("stopping");
    }
    if lacking.is_empty() {
        return Ok(Json(Ready { ready: true, checks: checks.into_iter().map(Into::into).collect() }));
    }
    Err(ApiError::not_ready(&lacking))
}

/// Tells pages that the portal is there.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "It is there", body = Health),
    Open,
))]
#[get("/api/health")]
pub(crate) async fn show_health() -> Json<Health> {
    Json(HEALTH)
}

/// Shows this document.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "The OpenAPI document", body = Object, content_type = "application/json"),
    Open,
))]
#[get("/openapi.json")]
pub(crate) async fn show_openapi(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    docs::respond_with_document(&request).await
}
