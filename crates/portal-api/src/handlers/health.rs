//! Probes and the OpenAPI document.

use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse, get};

use crate::body::health::{Health, Probed};
use crate::error::{ApiError, Open, Unready};
use crate::handlers::docs;
use crate::state::ApiState;

const HEALTH: Health = Health { ok: true, version: env!("CARGO_PKG_VERSION") };

/// Tells that the process lives; looks at nothing else.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "It lives", body = Probed),
    Open,
))]
#[get("/livez")]
pub(crate) async fn show_liveness() -> Json<Probed> {
    Json(Probed { ok: true })
}

/// Returns 200 if the portal should get requests. The operations port says which backends are missing.
#[utoipa::path(tag = "health", security(()), responses(
    (status = 200, description = "It takes requests", body = Probed),
    Unready,
    Open,
))]
#[get("/readyz")]
pub(crate) async fn show_readiness(state: Data<ApiState>) -> Result<Json<Probed>, ApiError> {
    if state.readiness.is_ready().await { Ok(Json(Probed { ok: true })) } else { Err(ApiError::not_ready()) }
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
