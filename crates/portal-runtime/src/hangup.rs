//! SIGHUP, which many services take for "read the configuration again".

use tokio::signal::unix::{SignalKind, signal};

/// Logs and ignores SIGHUP from now on: its default would end the process without draining.
pub(crate) fn ignore() {
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "SIGHUP cannot be ignored and ends the portal");
            return;
        }
    };
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::info!(
                "SIGHUP is ignored: files with secrets are read again when they change, all else needs a restart"
            );
        }
    });
}
