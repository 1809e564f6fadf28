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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tokio::signal::unix::{SignalKind, signal};

    fn hang_up() {
        let command = format!("kill -HUP {}", std::process::id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    #[tokio::test]
    async fn a_hangup_does_not_end_the_process() {
        super::ignore();
        // Nobody else listens yet: this one would end the process.
        hang_up();
        let mut heard = signal(SignalKind::hangup()).unwrap();
        hang_up();
        heard.recv().await.unwrap();
    }
}
