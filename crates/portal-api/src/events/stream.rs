//! One open stream.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::Stream;
use futures::stream::unfold;
use portal_core::Session;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};

use super::block;
use super::hub::Registration;

/// Interval of the comments that keep proxies and clients from taking a quiet stream for a dead one.
const COMMENT_PERIOD: Duration = Duration::from_secs(15);
/// Longest life of a stream. It bounds for how long a client hears from a replica that a load balancer has left.
const LIFE: Duration = Duration::from_hours(1);

/// A stream that is registered with the hub until it is dropped.
pub(crate) struct EventStream {
    registration: Registration,
    position: DateTime<Utc>,
    /// Blocks before those of the hub.
    beginning: String,
    blocks: Receiver<Bytes>,
    comment_at: Instant,
    until: Instant,
}

impl EventStream {
    /// Begins a stream of a session at `position` in the log.
    pub(super) fn new(
        session: &Session,
        position: DateTime<Utc>,
        (registration, blocks): (Registration, Receiver<Bytes>),
    ) -> Self {
        let now = Instant::now();
        let left = (session.expires_at - position).to_std().unwrap_or_default();
        let beginning = block::retry() + &block::with_id(position, "");
        let (comment_at, until) = (now + COMMENT_PERIOD, now + left.min(LIFE));
        Self { registration, position, beginning, blocks, comment_at, until }
    }

    /// Adds a block at the beginning.
    pub(super) fn begin_with(&mut self, block: &str) {
        self.beginning.push_str(block);
    }

    /// Returns the stream as the body of an answer.
    pub(crate) fn into_body(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, |mut stream| async move { stream.next().await.map(|block| (Ok(block), stream)) })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if !self.beginning.is_empty() {
            return Some(std::mem::take(&mut self.beginning).into());
        }
        tokio::select! {
            biased;
            block = self.blocks.recv() => block,
            // A session that was extended meanwhile is as good as new: the client just comes back.
            () = sleep_until(self.until) => None,
            () = sleep_until(self.comment_at) => {
                self.comment_at = Instant::now() + COMMENT_PERIOD;
                let position = self.registration.read_at().unwrap_or(self.position);
                Some(format!(":\n{}", block::with_id(position, "")).into())
            }
        }
    }
}
