//! The Friend Portal over HTTP: routes, bodies, problem documents and the OpenAPI document.
//!
//! This crate knows use cases and ports, never what is behind them: it compiles without a database, a cluster or an
//! HTTP client, and anybody may mount its routes in their own actix-web application with [`configure`], and add
//! operations of their own behind the same sessions with the same extractors. It decides how things are said (statuses, tags, headers, members), not what may be done: that is decided in the domain crates.
//!
//! Start reading at `routes.rs` (every route once, and how to add one), then `auth.rs` (who asks), `extract.rs` (what
//! they send), `error.rs` (what goes wrong) and `middleware.rs` (what happens to every request).

mod auth;
mod body;
mod conditional;
mod error;
mod extract;
mod fallback;
mod handlers;
mod limits;
mod login;
mod middleware;
mod mount;
mod openapi;
mod readiness;
mod routes;
mod secrets;
mod state;
mod views;

pub use auth::{AgentQuery, ChosenAgent, Friend};
pub use conditional::{Conditions, EntityTag, EntityTags};
pub use error::{
    ApiError, Code, FieldError, Guarded, NotFound, Open, PROBLEM_JSON, Problem, ShowsDocument, TakesAgent, TakesBody,
    Unready, WritesDocument,
};
pub use extract::{BODY_MAX, DOCUMENT_BODY_MAX, DocumentJson, Json};
pub use limits::{LimitSettings, Limits, Rate};
pub use login::LoginPorts;
pub use mount::{Settings, configure};
pub use openapi::{openapi, openapi_text};
pub use readiness::{Check, Readiness};
pub use secrets::QuotaSecrets;
pub use state::{ApiState, Count};
pub use views::NamespaceViews;
