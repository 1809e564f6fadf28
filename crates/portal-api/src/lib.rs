//! The Friend Portal over HTTP: routes, bodies, problem documents and the OpenAPI document.
//!
//! This crate knows use cases and ports, never what is behind them: it compiles without a database, a cluster or an HTTP
//! client. It decides how things are said (statuses, tags, headers, members), not what may be done: that is decided in
//! the domain crates.
//!
//! To mount the routes in an actix-web application of your own, call [`configure`], or [`configure_with`] to add
//! operations of your own; a scope of your own takes [`authentication`]. `examples/mounted.rs` does all of it. Types of
//! actix-web and utoipa stand in signatures here, so both crates are re-exported.
//!
//! Start reading at `routes.rs` (every route once, and how to add one), then `auth.rs` (sessions), `extract.rs` (bodies),
//! `error.rs` (failures) and `middleware.rs` (what happens to every request).

mod addresses;
mod auth;
mod body;
#[cfg(feature = "compression")]
mod compression;
mod conditional;
mod counts;
mod durations;
mod error;
mod events;
mod extract;
mod fallback;
mod handlers;
mod limits;
mod login;
mod middleware;
mod mount;
mod openapi;
mod params;
mod readiness;
mod request_id;
mod routes;
mod state;
mod static_file;
mod views;

pub use {actix_web, utoipa};

pub use addresses::{ClientAddresses, network};
pub use auth::{ChosenAgent, Friend, authentication};
pub use conditional::{Conditions, EntityTag, EntityTags};
pub use counts::{Count, QuotaSecrets};
pub use error::{
    ApiError, ChangesJob, Code, FieldError, Guarded, Guessed, NotFound, Open, PROBLEM_JSON, Problem, ShowsDocument,
    TakesAgent, TakesBody, Unready, WritesDocument,
};
pub use events::{EventPorts, Events};
pub use extract::{BODY_MAX, DOCUMENT_BODY_MAX, DocumentJson, Json};
pub use limits::{LimitSettings, Limits, Rate};
pub use login::LoginPorts;
pub use mount::{Settings, configure, configure_with};
pub use openapi::{openapi, openapi_text};
pub use params::{AgentQuery, BeforeRun, IfAbsent, IfMatch, IfNoneMatch, IfRevision, LastEventId};
pub use readiness::{Check, Readiness};
pub use state::{ApiPorts, ApiState};
pub use views::NamespaceViews;
