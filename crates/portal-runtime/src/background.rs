//! Work that nobody asked for: bounded passes, repeated until the portal stops.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use portal_core::{BackendError, error_text};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The background passes of one portal.
pub struct BackgroundTasks {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Default for BackgroundTasks {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), stop: watch::Sender::new(false) }
    }
}

impl BackgroundTasks {
    /// Repeats `pass` at once, then `period` after each end, and earlier when `nudge` is notified.
    ///
    /// Errors and panics of a pass are logged and do not end the repetition: the next pass tries again.
    pub fn repeat<P, F>(&mut self, name: &'static str, period: Duration, nudge: Option<Arc<Notify>>, pass: P)
    where
        P: Fn() -> F + Send + 'static,
        F: Future<Output = Result<(), BackendError>> + Send + 'static,
    {
        self.tasks.spawn(go_on(name, period, nudge, pass, self.stop.subscribe()));
    }

    /// Repeats `pass` without nudges, for the first time after `delay`.
    pub fn repeat_after<P, F>(&mut self, delay: Duration, name: &'static str, period: Duration, pass: P)
    where
        P: Fn() -> F + Send + 'static,
        F: Future<Output = Result<(), BackendError>> + Send + 'static,
    {
        let (stopping, mut early) = (self.stop.subscribe(), self.stop.subscribe());
        self.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = early.wait_for(|stop| *stop) => return,
            }
            // Its own receiver: `early` has seen the value by now, and would never see the stop.
            go_on(name, period, None, pass, stopping).await;
        });
    }

    /// Runs `work` once when the portal begins to stop; [`BackgroundTasks::stop`] waits for it as for a pass.
    pub fn on_stop(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let mut stopping = self.stop.subscribe();
        self.tasks.spawn(async move {
            // An error means that the sender is gone, and with it the portal.
            if stopping.wait_for(|stop| *stop).await.is_ok() {
                work.await;
            }
        });
    }

    /// Starts no more passes, and begins what is to be done when the portal stops.
    pub fn begin_stop(&self) {
        // `send` keeps the old value while no pass has subscribed yet.
        self.stop.send_replace(true);
    }

    /// Lets the passes that are under way end, at most for `grace`, and starts no more.
    pub async fn stop(mut self, grace: Duration) {
        self.begin_stop();
        let ended = tokio::time::timeout(grace, async { while self.tasks.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("background passes did not end in time; what they left open is taken up at the next start");
        }
    }
}

/// Time after which a failure that lasts is logged again.
const REMINDER: Duration = Duration::from_mins(10);

/// Logs the failures of one pass: a pass that fails the same way every second is one line, and one more from time to
/// time.
#[derive(Default)]
struct FailureLog {
    last: Option<(String, Instant)>,
}

impl FailureLog {
    fn failed(&mut self, name: &'static str, error: &BackendError) {
        let text = error_text(error);
        let is_known = self.last.as_ref().is_some_and(|(last, at)| *last == text && at.elapsed() < REMINDER);
        if is_known {
            tracing::debug!(pass = name, error = error as &dyn Error, "a background pass failed again");
            return;
        }
        tracing::warn!(pass = name, error = error as &dyn Error, "a background pass could not finish");
        self.last = Some((text, Instant::now()));
    }

    fn succeeded(&mut self, name: &'static str) {
        if self.last.take().is_some() {
            tracing::info!(pass = name, "a background pass succeeds again");
        }
    }
}

/// Repeats a pass until it is told to stop.
async fn go_on<P, F>(
    name: &'static str,
    period: Duration,
    nudge: Option<Arc<Notify>>,
    pass: P,
    mut stopping: watch::Receiver<bool>,
) where
    P: Fn() -> F + Send + 'static,
    F: Future<Output = Result<(), BackendError>> + Send + 'static,
{
    let mut failures = FailureLog::default();
    // The period counts from the end of a pass: a slow backend gets no second pass on top of the first.
    loop {
        // A task of its own: a panicking pass ends that task, not the repetition.
        match tokio::spawn(pass()).await {
            Ok(Ok(())) => failures.succeeded(name),
            Ok(Err(error)) => failures.failed(name, &error),
            Err(panic) => tracing::error!(pass = name, error = &panic as &dyn Error, "a background pass panicked"),
        }
        let nudged = async {
            match &nudge {
                Some(nudge) => nudge.notified().await,
                None => std::future::pending().await,
            }
        };
        // A stop is only seen between passes, so that a pass always finishes its transaction.
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = nudged => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use portal_core::{Backend, BackendError};

    use super::BackgroundTasks;

    /// Runs a pass that fails in every possible way, and waits until it ran `times` times.
    async fn runs(times: u32) -> u32 {
        let count = Arc::new(AtomicU32::new(0));
        let seen = count.clone();
        let mut tasks = BackgroundTasks::default();
        tasks.repeat("test", Duration::from_secs(1), None, move || {
            let turn = seen.fetch_add(1, Ordering::SeqCst);
            async move {
                match turn {
                    0 => Err(BackendError::unavailable(Backend::Database, "down")),
                    1 => panic!("on purpose"),
                    _ => Ok(()),
                }
            }
        });
        while count.load(Ordering::SeqCst) < times {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tasks.stop(Duration::from_secs(1)).await;
        count.load(Ordering::SeqCst)
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_that_is_to_wait_begins_later_and_not_at_all_when_all_is_over() {
        let count = Arc::new(AtomicU32::new(0));
        let seen = count.clone();
        let mut tasks = BackgroundTasks::default();
        let pass = move || {
            seen.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        };
        tasks.repeat_after(Duration::from_secs(5), "test", Duration::from_mins(1), pass.clone());
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(count.load(Ordering::SeqCst), 0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(count.load(Ordering::SeqCst), 1);
        tasks.repeat_after(Duration::from_hours(1), "late", Duration::from_mins(1), pass);
        tasks.stop(Duration::from_secs(1)).await;
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn neither_trouble_nor_a_panic_ends_the_repetition() {
        assert_eq!(runs(4).await, 4);
    }
}
