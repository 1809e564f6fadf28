//! Errors of the commands of the server's binary.

use portal_core::{BackendError, BoxError, Invalid};

use crate::config::Problems;
use crate::server::ServeError;
use crate::telemetry::TelemetryError;

/// Error of a command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration is not one that can be run.
    #[error(transparent)]
    Config(#[from] Problems),
    /// A setting that only its user can judge is refused.
    #[error(transparent)]
    Setting(#[from] Invalid),
    /// The log cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A backend failed.
    #[error(transparent)]
    Port(#[from] BackendError),
    /// The portal cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The database is of an older version.
    #[error("the database lacks {0} migration(s); run `portal-server migrate` first")]
    Behind(usize),
    /// The file of the SQLite database is not the one that was opened.
    #[error("the database file was replaced; start the portal again")]
    DatabaseReplaced,
    /// A domain was taken out of the configuration too early.
    #[error("{0}")]
    Domains(String),
    /// Jobs are kept where the configuration does not look for them.
    #[error("{0}")]
    Jobs(String),
    /// Something else, such as a file that cannot be written.
    #[error("{what}")]
    Other {
        /// The action that failed.
        what: String,
        /// Its cause.
        source: BoxError,
    },
}

impl CommandError {
    /// Something that could not be done, and why.
    pub fn other(what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Other { what: what.into(), source: source.into() }
    }
}
