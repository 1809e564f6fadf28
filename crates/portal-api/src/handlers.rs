//! One file per resource; each handler extracts, parses, calls one use case and maps its answer.

pub(crate) mod about;
pub(crate) mod activity;
pub(crate) mod cron;
#[cfg(feature = "swagger-ui")]
pub(crate) mod docs;
pub(crate) mod events;
pub(crate) mod exposure;
pub(crate) mod friend;
pub(crate) mod health;
pub(crate) mod login;
pub(crate) mod namespace;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod workspace;
