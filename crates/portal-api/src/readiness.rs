//! Readiness: should the portal get requests?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use portal_core::{Probe, error_text};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Longest wait for one probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Cache lifetime of the probes' answers. Anybody may ask for readiness, and must not make the portal ask its backends
/// more often.
const CACHE_LIFETIME: Duration = Duration::from_secs(1);

/// Answer of one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Name of the probe, as operators see it.
    pub name: &'static str,
    /// Set if the portal should get no requests without it.
    pub required: bool,
    /// Set if the backend answered.
    pub ok: bool,
}

struct CachedChecks {
    asked: Instant,
    checks: Vec<Check>,
}

/// Runs the probes, and remembers that the portal is about to stop. Clones share one state.
#[derive(Clone)]
pub struct Readiness {
    probes: Arc<[Arc<dyn Probe>]>,
    draining: Arc<AtomicBool>,
    cache: Arc<Mutex<Option<CachedChecks>>>,
}

impl Readiness {
    /// Creates the readiness of a portal with these probes.
    #[must_use]
    pub fn new(probes: Vec<Arc<dyn Probe>>) -> Self {
        Self { probes: probes.into(), draining: Arc::default(), cache: Arc::default() }
    }

    /// Makes the portal not ready for good: it is about to stop and finishes the requests that it has.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Returns true if the portal is about to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns true if the portal should get requests: it is not stopping, and no required backend is missing.
    pub async fn is_ready(&self) -> bool {
        !self.is_draining() && self.checks().await.iter().all(|check| check.ok || !check.required)
    }

    /// Returns the answers of the probes, in their order, at most a second old.
    pub async fn checks(&self) -> Vec<Check> {
        // The lock is held while the probes run, so that requests that come meanwhile share their answer.
        let mut cache = self.cache.lock().await;
        if let Some(cached) = &*cache
            && cached.asked.elapsed() < CACHE_LIFETIME
        {
            return cached.checks.clone();
        }
        // Before the probes: an answer is as old as its question.
        let asked = Instant::now();
        let answers = join_all(self.probes.iter().map(|probe| run(&**probe))).await;
        let before = cache.as_ref().map_or(&[][..], |cached| &cached.checks);
        let mut checks = Vec::with_capacity(answers.len());
        for (index, (probe, answer)) in self.probes.iter().zip(answers).enumerate() {
            let check = Check { name: probe.name(), required: probe.required(), ok: answer.is_ok() };
            log_change(check, before.get(index).map(|before| before.ok), answer.err().as_deref());
            metrics::gauge!("portal_probe_up", "probe" => check.name).set(if check.ok { 1.0 } else { 0.0 });
            checks.push(check);
        }
        *cache = Some(CachedChecks { asked, checks: checks.clone() });
        checks
    }
}

/// Runs a probe; the error is a text with all its causes.
async fn run(probe: &dyn Probe) -> Result<(), String> {
    match tokio::time::timeout(PROBE_TIMEOUT, probe.probe()).await {
        Ok(answer) => answer.map_err(|error| error_text(&error)),
        Err(_) => Err(format!("no answer within {} s", PROBE_TIMEOUT.as_secs())),
    }
}

/// Logs a change since the last time. A backend that only some operations need may still be starting when the portal
/// has just started, so its first failure is no warning.
fn log_change(check: Check, was_ok: Option<bool>, why: Option<&str>) {
    let Check { name, required, ok } = check;
    match (was_ok, ok) {
        (Some(before), now) if before == now => {}
        (None, true) => {}
        (Some(_), true) => tracing::info!(probe = name, "{name} answers again"),
        (None, false) if !required => tracing::info!(probe = name, required, why, "{name} does not answer yet"),
        (_, false) => tracing::warn!(probe = name, required, why, "{name} does not answer"),
    }
}
