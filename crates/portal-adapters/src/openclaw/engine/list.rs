//! The list of a gateway's jobs, fetched once for many.
//!
//! Gateways cannot list the jobs of one conversation, so everybody's are fetched. However many friends ask, there is one
//! list under way, and one is used for a second, unless an event or a change of our own says that it is outdated.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portal_core::{Backend, BackendError};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::job::GatewayJob;
use crate::openclaw::client::GatewayClient;
use crate::openclaw::pages::{Page, Pages};

/// Age up to which a list is used.
const LIFETIME: Duration = Duration::from_secs(1);
/// Age up to which it is used although an event says that jobs have changed: a storm of events causes four lists a second.
const EVENT_PAUSE: Duration = Duration::from_millis(250);
/// Attempts at a list whose jobs change meanwhile.
const TRIES: usize = 3;

/// The newest list, and the newest failure to get one.
#[derive(Default)]
pub(super) struct JobLists {
    newest: Mutex<Newest>,
    /// Number of changes that this process made.
    written: AtomicU64,
}

#[derive(Default)]
struct Newest {
    list: Option<List>,
    failure: Option<Failure>,
}

/// A list, with the counts as they were before it was asked for.
struct List {
    begun: Instant,
    client: Arc<GatewayClient>,
    changes: u64,
    written: u64,
    jobs: Arc<Vec<GatewayJob>>,
}

struct Failure {
    ended: Instant,
    reason: String,
    retry_after: Option<Duration>,
}

impl JobLists {
    /// Returns the jobs as they were at most a second ago.
    pub(super) async fn recent(&self, client: &Arc<GatewayClient>) -> Result<Arc<Vec<GatewayJob>>, BackendError> {
        self.get(client, LIFETIME).await
    }

    /// Returns the jobs as they are now.
    pub(super) async fn fresh(&self, client: &Arc<GatewayClient>) -> Result<Arc<Vec<GatewayJob>>, BackendError> {
        self.get(client, Duration::ZERO).await
    }

    /// Makes the lists outdated that were asked for before now.
    pub(super) fn invalidate(&self) {
        self.written.fetch_add(1, Ordering::SeqCst);
    }

    async fn get(&self, client: &Arc<GatewayClient>, lifetime: Duration) -> Result<Arc<Vec<GatewayJob>>, BackendError> {
        let arrived = Instant::now();
        // Held while the gateway is asked: whoever waits here uses the answer.
        let mut newest = self.newest.lock().await;
        if let Some(list) = newest.list.as_ref().filter(|list| self.is_fresh(list, client, arrived, lifetime)) {
            return Ok(list.jobs.clone());
        }
        // Those who waited meanwhile fail as well: each by itself would wait for a time-out of its own.
        if let Some(failure) = newest.failure.as_ref().filter(|failure| failure.ended >= arrived) {
            let error = BackendError::unavailable(Backend::Gateway, failure.reason.clone());
            return Err(error.with_retry_after(failure.retry_after));
        }
        let (begun, changes) = (Instant::now(), *client.changes().borrow());
        let written = self.written.load(Ordering::SeqCst);
        match fetch(client).await {
            Ok(jobs) => {
                let jobs = Arc::new(jobs);
                newest.list = Some(List { begun, client: client.clone(), changes, written, jobs: jobs.clone() });
                Ok(jobs)
            }
            Err(error) => {
                let reason = error.source.to_string();
                newest.failure = Some(Failure { ended: Instant::now(), reason, retry_after: error.retry_after });
                Err(error)
            }
        }
    }

    fn is_fresh(&self, list: &List, client: &Arc<GatewayClient>, arrived: Instant, lifetime: Duration) -> bool {
        let unchanged = list.changes == *client.changes().borrow() || list.begun.elapsed() < EVENT_PAUSE;
        Arc::ptr_eq(&list.client, client)
            && list.begun + lifetime >= arrived
            && list.written == self.written.load(Ordering::SeqCst)
            && (unchanged || list.begun >= arrived)
    }
}

async fn fetch(client: &GatewayClient) -> Result<Vec<GatewayJob>, BackendError> {
    for _ in 0..TRIES {
        if let Some(jobs) = read(client).await? {
            return Ok(jobs);
        }
    }
    Err(BackendError::unavailable(Backend::Gateway, format!("its jobs changed during {TRIES} lists of them")))
}

/// Returns all jobs; `None` if they changed between two pages.
async fn read(client: &GatewayClient) -> Result<Option<Vec<GatewayJob>>, BackendError> {
    let (mut pages, mut jobs, mut ids) = (Pages::new(client), Vec::new(), HashSet::new());
    loop {
        let page = match pages.next().await? {
            Page::Jobs(page) => page,
            Page::Changed => return Ok(None),
            Page::End => return Ok(Some(jobs)),
        };
        let Some(listed) = page.get("jobs").and_then(Value::as_array) else {
            // Nothing is not the same as none.
            return Err(BackendError::failed(Backend::Gateway, "the list of jobs has no jobs"));
        };
        for job in listed.iter().filter_map(GatewayJob::parse) {
            if !ids.insert(job.id.clone()) {
                return Ok(None);
            }
            jobs.push(job);
        }
        if listed.is_empty() && page["hasMore"] == true {
            return Ok(None);
        }
    }
}
