//! Log lines on standard error.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::fields::TextFields;
use self::json::{JsonLines, JsonMembers};

mod fields;
mod json;

/// Target of the lines about connections that actix-http itself writes.
const HTTP: &str = "actix_http";

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One readable line an event.
    #[default]
    Text,
    /// One JSON object an event, for collectors.
    Json,
}

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("log.filter is not a list of directives such as info,portal_dns=debug")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// The process has a log already.
    #[error("a log was set up before")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts the process's log on standard error; standard output is for what commands answer.
///
/// # Errors
/// A filter that does not parse, or a second call in one process.
pub fn start(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let log = tracing_subscriber::registry().with(parse_filter(filter)?);
    // Colours only for a person: a file or a collector would get their escape codes.
    let lines =
        tracing_subscriber::fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with(lines.fmt_fields(TextFields)).try_init(),
        LogFormat::Json => log.with(lines.fmt_fields(JsonMembers).event_format(JsonLines)).try_init(),
    }
    .map_err(TelemetryError::Twice)
}

/// Reads which lines are written, by target and level.
///
/// # Errors
/// Text that is no list of directives.
pub(crate) fn parse_filter(text: &str) -> Result<Targets, TelemetryError> {
    let filter: Targets = text.parse().map_err(TelemetryError::Filter)?;
    // actix-http writes an error for every request that it cannot read, as many as a stranger likes. The module
    // `connections` counts them and logs them at debug.
    Ok(if text.contains(HTTP) { filter } else { filter.with_target(HTTP, LevelFilter::OFF) })
}
