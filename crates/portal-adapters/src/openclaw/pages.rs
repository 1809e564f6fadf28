//! Pages of a gateway's jobs, as large as its frames can hold.
//!
//! A frame over 25 MiB ends the connection, and an agent may make jobs of any length. So the page that was asked for at that
//! place is asked for again with an eighth of the jobs, down to one. The sizes are remembered, so that the connection ends
//! once and not with each list. A job that is too large alone is left out: no list of everybody's jobs fails because of one.

use portal_core::{Backend, BackendError};
use serde_json::{Value, json};

use super::client::{CallError, CallKind, GatewayClient};

/// Most calls of one list: fifty full pages, and some that are smaller.
const CALLS_MAX: usize = 100;
/// Most jobs of one list.
const JOBS_MAX: usize = 10_000;
/// Factor by which pages shrink, and grow again behind the place that made them shrink.
const STEP: usize = 8;

/// The next part of a list.
pub(super) enum Page {
    /// The gateway's answer.
    Jobs(Value),
    /// The jobs have changed since the list began.
    Changed,
    /// There is no more.
    End,
}

/// A list of all jobs that is being read, disabled ones included.
pub(super) struct Pages<'a> {
    client: &'a GatewayClient,
    offset: usize,
    calls: usize,
    is_last: bool,
    /// Most jobs of the next page.
    size_max: usize,
    /// The list as the first page told it.
    snapshot: Option<Value>,
    /// Places that were left out in this list.
    left_out: Vec<usize>,
}

impl<'a> Pages<'a> {
    pub(super) fn new(client: &'a GatewayClient) -> Self {
        Self { client, offset: 0, calls: 0, is_last: false, size_max: usize::MAX, snapshot: None, left_out: Vec::new() }
    }

    /// Reads the next page.
    pub(super) async fn next(&mut self) -> Result<Page, CallError> {
        while !self.is_last {
            if self.calls == CALLS_MAX || self.offset >= JOBS_MAX {
                let why = format!("it has more than {JOBS_MAX} jobs, or jobs of many megabytes");
                return Err(BackendError::failed(Backend::Gateway, why).into());
            }
            let known_in = self.client.page_sizes().leaves_out(self.offset);
            if let Some(known_in) = known_in {
                self.leave_out();
                // Whether it still is this list shows with the next page.
                if *self.snapshot.get_or_insert_with(|| known_in.clone()) != known_in {
                    return Ok(self.changed());
                }
                continue;
            }
            let size = self.client.page_sizes().size_at(self.offset).min(self.size_max);
            let oversized = self.client.oversized();
            self.calls += 1;
            let params = json!({"includeDisabled": true, "limit": size, "offset": self.offset});
            match self.client.call(CallKind::Read, "cron.list", params).await {
                Ok(page) => return Ok(self.received(page)),
                Err(CallError::Unavailable(_)) if self.client.oversized() != oversized => self.shrink(size),
                Err(error) => return Err(error),
            }
        }
        Ok(Page::End)
    }

    fn received(&mut self, page: Value) -> Page {
        // Older gateways name no revision; the number of jobs tells most changes.
        let snapshot = json!([page.get("snapshotRevision"), page.get("total")]);
        if *self.snapshot.get_or_insert_with(|| snapshot.clone()) != snapshot {
            return self.changed();
        }
        if !self.left_out.is_empty() {
            self.client.page_sizes().left_out = Some((snapshot, self.left_out.clone()));
        }
        let count = page.get("jobs").and_then(Value::as_array).map_or(0, Vec::len);
        self.offset += count;
        self.size_max = self.size_max.saturating_mul(STEP);
        self.is_last = page.get("hasMore").is_none_or(|has_more| *has_more != true) || count == 0;
        Page::Jobs(page)
    }

    fn shrink(&mut self, size: usize) {
        if size > 1 {
            self.size_max = (size / STEP).max(1);
            self.client.page_sizes().set(self.offset, self.size_max);
            return;
        }
        tracing::error!(place = self.offset, "a job of the agent's gateway is too large to be listed, and is left out");
        self.leave_out();
    }

    fn leave_out(&mut self) {
        self.left_out.push(self.offset);
        self.offset += 1;
    }

    /// Forgets places that belong to another list.
    fn changed(&mut self) -> Page {
        self.client.page_sizes().left_out = None;
        Page::Changed
    }
}
