//! Whether the portal should get requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use portal_core::Probe;
use tokio::sync::Mutex;

/// Longest wait for one probe.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer is believed: anybody may ask, so nobody can make the portal ask its backends more often.
const BELIEF: Duration = Duration::from_secs(1);

/// What one probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// The probe's name.
    pub name: &'static str,
    /// Whether the portal should get no requests without it.
    pub required: bool,
    /// Whether it is there.
    pub ok: bool,
}

struct Belief {
    asked: Instant,
    checks: Vec<Check>,
}

/// Asks the probes, and knows whether the portal is about to stop. Clones are one.
#[derive(Clone)]
pub struct Readiness {
    probes: Arc<[Arc<dyn Probe>]>,
    draining: Arc<AtomicBool>,
    believed: Arc<Mutex<Option<Belief>>>,
}

impl Readiness {
    /// Readiness as these probes tell it.
    #[must_use]
    pub fn new(probes: Vec<Arc<dyn Probe>>) -> Self {
        Self { probes: probes.into(), draining: Arc::default(), believed: Arc::default() }
    }

    /// From now on the portal is not ready: it is about to stop and finishes what it has.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the portal is about to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// What the probes find, in their order; at most a second old.
    pub async fn checks(&self) -> Vec<Check> {
        // Held while the probes run: whoever asks meanwhile gets their answer.
        let mut believed = self.believed.lock().await;
        if let Some(belief) = &*believed
            && belief.asked.elapsed() < BELIEF
        {
            return belief.checks.clone();
        }
        let asked = Instant::now();
        let checks = join_all(self.probes.iter().map(|probe| Self::ask(&**probe))).await;
        *believed = Some(Belief { asked, checks: checks.clone() });
        checks
    }

    async fn ask(probe: &dyn Probe) -> Check {
        let ok = match tokio::time::timeout(PATIENCE, probe.probe()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(probe = probe.name(), cause = std::error::Error::source(&error), "{error}");
                false
            }
            Err(_) => {
                tracing::warn!(probe = probe.name(), "a probe did not answer in time");
                false
            }
        };
        Check { name: probe.name(), required: probe.required(), ok }
    }
}
