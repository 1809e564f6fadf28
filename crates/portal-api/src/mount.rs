//! The portal's routes as one service for any actix-web application.

use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

#[cfg(feature = "cors")]
use actix_cors::Cors;
use actix_web::dev::ServiceRequest;
#[cfg(feature = "cors")]
use actix_web::http::header;
#[cfg(feature = "cors")]
use actix_web::middleware::Condition;
use actix_web::middleware::{Next, from_fn};
use actix_web::web;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::addresses::ClientAddresses;
#[cfg(feature = "compression")]
use crate::compression::Compression;
use crate::extract::{BODY_TIME, BodyTime};
use crate::limits::Limits;
use crate::middleware::Worker;
use crate::openapi::openapi_text;
use crate::state::ApiState;
use crate::static_file::StaticFile;
use crate::{auth, extract, fallback, middleware, routes};

/// Settings of the mounted routes.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Origins whose pages may call the API, such as `https://portal.example.org`; none by default. Without the feature
    /// `cors` they have no effect.
    pub origins: Vec<String>,
    /// Time for a body to arrive, beside a second for each 16 KiB of it; 5 s by default.
    pub body_time: Duration,
    /// The limits of each friend, shared by all workers.
    pub limits: Limits,
    /// Source of a client's address; unknown by default.
    pub clients: ClientAddresses,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            body_time: BODY_TIME,
            limits: Limits::default(),
            clients: ClientAddresses::default(),
        }
    }
}

impl Settings {
    /// Sets the origins whose pages may call the API.
    #[must_use]
    pub fn with_origins(mut self, origins: Vec<String>) -> Self {
        self.origins = origins;
        self
    }

    /// Sets the limits of each friend.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how the address of a client is found.
    #[must_use]
    pub fn with_clients(mut self, clients: ClientAddresses) -> Self {
        self.clients = clients;
        self
    }

    /// Sets the time for a body to arrive.
    #[must_use]
    pub fn with_body_time(mut self, body_time: Duration) -> Self {
        self.body_time = body_time;
        self
    }
}

/// The OpenAPI document as it is served, rendered once per process.
static DOCUMENT: LazyLock<Arc<StaticFile>> =
    LazyLock::new(|| Arc::new(StaticFile::new("application/json", openapi_text().into())));

/// Seconds for which a browser may remember what an origin may do.
#[cfg(feature = "cors")]
const PREFLIGHT_MAX_AGE: usize = 3600;

/// Mounts the portal's routes. Mount them last: requests that no other service takes are answered here, with a problem
/// document.
///
/// `state` is put together once and cloned into every worker's application.
pub fn configure(config: &mut web::ServiceConfig, state: &web::Data<ApiState>, settings: &Settings) {
    configure_with(config, state, settings, |_| {});
}

/// Mounts the portal's routes with operations of your own among them.
///
/// `own` registers them. They get all that the portal's operations get: request ids, logs, metrics, problem documents
/// and, under `/api/portal/`, authentication. They are not in the OpenAPI document.
pub fn configure_with(
    config: &mut web::ServiceConfig,
    state: &web::Data<ApiState>,
    settings: &Settings,
    own: impl FnOnce(&mut web::ServiceConfig),
) {
    let worker = Worker::new(Arc::clone(&state.ids));
    // Behind an `Rc`: all workers count the uses of an `Arc` in one place, which their requests would pass to and fro.
    let authentication = Rc::new((Arc::clone(&state.sessions), settings.limits.clone()));
    let portal = web::scope("")
        .app_data(state.clone())
        .app_data(BodyTime(settings.body_time))
        .app_data(web::Data::from(DOCUMENT.clone()))
        .app_data(settings.limits.clone())
        .app_data(settings.clients.clone())
        .configure(extract::configure)
        .configure(own)
        .configure(|config| routes::configure(&mut ServiceConfig::new(config)));
    #[cfg(feature = "swagger-ui")]
    let portal = portal.configure(crate::handlers::docs::configure);
    // What is wrapped later runs earlier: a failure of any of these still becomes a problem document.
    let portal = portal.default_service(web::to(fallback::unmatched)).wrap(from_fn(
        move |request: ServiceRequest, next: Next<_>| {
            let authentication = authentication.clone();
            async move {
                let (sessions, limits) = &*authentication;
                match auth::authenticate_portal(sessions, limits, request).await {
                    Ok(request) => next.call(request).await.map(middleware::slice_body),
                    Err(refusal) => Ok(refusal),
                }
            }
        },
    ));
    #[cfg(feature = "compression")]
    let portal = portal.wrap(Compression);
    #[cfg(feature = "cors")]
    let portal = portal.wrap(Condition::new(!settings.origins.is_empty(), cors(settings)));
    config.service(portal.wrap_fn(move |request, service| middleware::serve(&worker, request, service)));
}

#[cfg(feature = "cors")]
fn cors(settings: &Settings) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH])
        .allowed_headers(["x-request-id", "last-event-id"].map(header::HeaderName::from_static))
        .expose_headers(["ETag", "Location", "Retry-After", "X-Request-Id"])
        .expose_headers(["RateLimit", "RateLimit-Policy"])
        .max_age(PREFLIGHT_MAX_AGE);
    settings.origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
