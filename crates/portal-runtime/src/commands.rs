//! Commands of the server's binary.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use portal_core::{BackendError, BoxError, Invalid};

use crate::check::Finding;
use crate::compose;
use crate::config::{self, Problems, Settings};
use crate::server::{self, ServeError, Serving};
use crate::telemetry::{self, TelemetryError};

/// A command that could not be done.
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
    /// A domain was taken out of the configuration too early.
    #[error("{0}")]
    Domains(String),
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

/// Brings the configured database up to this version, and says what was done.
///
/// # Errors
/// A configuration that cannot be run, or a failure of the database.
pub async fn migrate(config: &Path) -> Result<(), CommandError> {
    let settings = configured(config)?;
    let ran = compose::database(&settings.database)?.migrate().await?;
    let mut lines: Vec<String> = ran.iter().map(|migration| format!("ran {migration}")).collect();
    if lines.is_empty() {
        lines.push("the database is up to date".to_owned());
    }
    say(&lines)
}

/// Serves the configured portal until it is told to stop.
///
/// # Errors
/// A configuration that cannot be run, a database that is behind or cannot be asked, an address that is taken.
pub async fn serve(config: &Path) -> Result<(), CommandError> {
    let settings = configured(config)?;
    let serving = Serving::of(&settings.server);
    let listening = server::listen(&serving)?;
    let portal = compose::assemble(compose::configured_parts(&settings).await?);
    tracing::info!(address = %listening.address, "listening");
    Ok(portal.serve(listening, serving).await?)
}

/// Asks everything that the configuration names and says what it found; the exit code is 1 if something is missing.
///
/// # Errors
/// A configuration that cannot be run.
pub async fn check(config: &Path) -> Result<ExitCode, CommandError> {
    let settings = configured(config)?;
    let findings = compose::check_configured(&settings).await?;
    say(&crate::check::table(&findings))?;
    let is_acceptable = findings.iter().all(Finding::is_acceptable);
    Ok(if is_acceptable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the OpenAPI document.
///
/// # Errors
/// Standard output that takes nothing.
pub fn print_openapi() -> Result<(), CommandError> {
    write!(std::io::stdout(), "{}", portal_api::openapi_text()).map_err(unwritten)
}

/// Reads the configuration and starts the log as it says.
fn configured(config: &Path) -> Result<Settings, CommandError> {
    let settings = config::load(config)?;
    telemetry::start(settings.log.format, &settings.log.filter)?;
    Ok(settings)
}

/// Writes lines to standard output.
pub(crate) fn say(lines: &[String]) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush()).map_err(unwritten)
}

fn unwritten(error: std::io::Error) -> CommandError {
    CommandError::other("standard output takes nothing", error)
}
