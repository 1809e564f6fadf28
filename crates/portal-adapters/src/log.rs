//! Deliveries to a file: a receiver for the demo.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use portal_core::{Backend, BackendError, Contact};
use portal_cron::{Delivery, LeasedRun, Receipt, SessionKey};

use crate::message::to_line;

/// A receiver that appends each message to a file, one line of JSON each, which only its owner may read.
///
/// The portal's own log holds no message, since its readers must not see them. A message that is handed over again comes
/// with the same `run_id` and a higher `attempt`.
#[derive(Debug, Clone)]
pub struct LogDelivery {
    path: PathBuf,
}

impl LogDelivery {
    /// A receiver that appends to this file, created if missing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

#[async_trait]
impl Delivery for LogDelivery {
    async fn deliver(
        &self,
        run: &LeasedRun,
        session: &SessionKey,
        _answer: Option<&Contact>,
    ) -> Result<Receipt, BackendError> {
        let path = self.path.clone();
        let line = format!("{}\n", to_line(run, session)?);
        tokio::task::spawn_blocking(move || append(&path, &line))
            .await
            .map_err(|panicked| BackendError::failed(Backend::Delivery, panicked))?
            .map_err(|error| BackendError::unavailable(Backend::Delivery, error))?;
        Ok(Receipt::Accepted)
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    // One write for the whole line, so that lines of several processes do not mix.
    file.write_all(line.as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use portal_core::{BackendError, BackendErrorKind};
    use portal_cron::{Delivery, Receipt};

    use super::LogDelivery;
    use crate::message::sample;

    #[tokio::test]
    async fn each_message_is_a_line_of_its_own_that_only_the_owner_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deliveries.jsonl");
        let delivery = LogDelivery::new(&path);
        let (run, session) = sample();
        for _ in 0..2 {
            assert_eq!(delivery.deliver(&run, &session, None).await.unwrap(), Receipt::Accepted);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), lines[1]["run_id"].as_str()), (2, Some("5f2a")));
        assert_eq!(lines[0]["message"], "Check my portfolio");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (run, session) = sample();
        let delivery = LogDelivery::new(folder.path().join("gone").join("deliveries.jsonl"));
        assert!(matches!(
            delivery.deliver(&run, &session, None).await,
            Err(BackendError { kind: BackendErrorKind::Unavailable, .. })
        ));
    }
}
