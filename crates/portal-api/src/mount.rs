//! The portal's routes as one service for any actix-web application.

use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::http::header;
use actix_web::middleware::{Compress, Condition, from_fn};
use actix_web::web;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{BODY_TIME, BodyTime};
use crate::limits::Limits;
use crate::state::ApiState;
use crate::{extract, fallback, handlers, middleware, routes};

/// Settings of the mounted routes.
#[derive(Clone)]
pub struct Settings {
    /// The origins whose pages may call the API, such as `https://portal.example.org`; none by default.
    pub origins: Vec<String>,
    /// Time for a body to arrive, beside a second for each 16 KiB of it; 5 s by default.
    pub body_time: Duration,
    /// The limits of each friend, shared by all workers.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self { origins: Vec::new(), body_time: BODY_TIME, limits: Limits::default() }
    }
}

/// Seconds for which a browser may remember what an origin may do.
const PREFLIGHT_MAX_AGE: usize = 3600;

/// Mounts the portal's routes. Mount them last: what no other service takes is answered here, with a problem document.
///
/// `state` is put together once and cloned into every worker's application.
pub fn configure(config: &mut web::ServiceConfig, state: &web::Data<ApiState>, settings: &Settings) {
    let ids = Arc::clone(&state.ids);
    let portal = web::scope("")
        .app_data(state.clone())
        .app_data(BodyTime(settings.body_time))
        .app_data(settings.limits.clone())
        .configure(extract::configure)
        .configure(|config| routes::configure(&mut ServiceConfig::new(config)))
        .configure(handlers::docs::configure)
        .default_service(web::to(fallback::unmatched))
        .wrap(from_fn(middleware::choose_compression))
        .wrap(Compress::default())
        .wrap(Condition::new(!settings.origins.is_empty(), cors(settings)))
        .wrap_fn(move |request, service| middleware::serve(&*ids, request, service));
    config.service(portal);
}

fn cors(settings: &Settings) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH])
        .allowed_header("x-request-id")
        .expose_headers(["ETag", "Location", "Retry-After", "X-Request-Id"])
        .expose_headers(["RateLimit", "RateLimit-Policy"])
        .max_age(PREFLIGHT_MAX_AGE);
    settings.origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
