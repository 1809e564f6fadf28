//! Probes of the operations port, which name what is missing.

use actix_web::web::{Data, Json, ServiceConfig};
use actix_web::{HttpResponse, get};

use crate::body::health::{Health, Probes};
use crate::readiness::Readiness;

/// Mounts `/livez` and `/readyz` for operators, with the names of what is missing. It belongs on a port that only
/// operators and the cluster reach; [`configure`](crate::configure) mounts the public pair, which names nothing.
pub fn configure_probes(config: &mut ServiceConfig, readiness: &Readiness) {
    config.app_data(Data::new(readiness.clone())).service(show_liveness).service(show_readiness);
}

#[get("/livez")]
async fn show_liveness() -> Json<Health> {
    Json(Health::NOW)
}

#[get("/readyz")]
async fn show_readiness(readiness: Data<Readiness>) -> HttpResponse {
    let (checks, missing) = (readiness.checks().await, readiness.missing().await);
    let mut response = if missing.is_empty() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    let checks = checks.into_iter().map(Into::into).collect();
    response.json(Probes { ready: missing.is_empty(), missing, checks })
}
