//! Commands of the server's binary.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use secrecy::ExposeSecret;

use crate::check::{self, Finding};
pub use crate::command_error::CommandError;
use crate::config::{self, Settings};
use crate::database_file::DatabaseFile;
use crate::server::{self, Page, ServeError, Serving};
use crate::{compose, console, hangup, telemetry};

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
    console::print(&lines)
}

/// Serves the configured portal until it is told to stop.
///
/// # Errors
/// A configuration that cannot be run, a database that is behind or cannot be asked, an address that is taken.
pub async fn serve(config: &Path) -> Result<(), CommandError> {
    let settings = configured(config)?;
    hangup::ignore();
    let page = if settings.page.enabled { Page::On(settings.page.brand.clone()) } else { Page::Off };
    let serving = Serving { server: settings.server.clone(), limits: settings.limits, page };
    // The port first: a second portal by mistake ends here, before it watches or claims anything.
    let listening = server::listen(&serving.server)?;
    let portal = compose::assemble(compose::configured_parts(&settings).await?);
    tracing::info!(address = %listening.address, "listening");
    let file = DatabaseFile::of_url(settings.database.url.expose_secret());
    until_replaced(file, server::run(listening, portal.state, portal.tasks, serving)).await
}

/// Runs a server until it ends, or until the database's file is replaced.
pub(crate) async fn until_replaced(
    file: Option<DatabaseFile>,
    server: impl Future<Output = Result<(), ServeError>>,
) -> Result<(), CommandError> {
    let replaced = async {
        match &file {
            Some(file) => file.replaced().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = server => Ok(ended?),
        () = replaced => Err(CommandError::DatabaseReplaced),
    }
}

/// Probes everything that the configuration names and prints the findings, as a table or as JSON; the exit code is 1 if
/// a probe failed.
///
/// # Errors
/// A configuration that cannot be run.
pub async fn check(config: &Path, json: bool) -> Result<ExitCode, CommandError> {
    let settings = configured(config)?;
    let findings = compose::check_configured(&settings).await?;
    console::print(&if json { vec![check::json(&findings)] } else { check::table(&findings) })?;
    let is_acceptable = findings.iter().all(Finding::is_acceptable);
    Ok(if is_acceptable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the OpenAPI document.
///
/// # Errors
/// Standard output that takes nothing.
pub fn print_openapi() -> Result<(), CommandError> {
    write!(std::io::stdout(), "{}", portal_api::openapi_text())
        .map_err(|error| CommandError::other("standard output cannot be written", error))
}

/// Reads the configuration and starts the log as it says.
fn configured(config: &Path) -> Result<Settings, CommandError> {
    let settings = config::load(config)?;
    telemetry::start(settings.log.format, &settings.log.filter)?;
    Ok(settings)
}
