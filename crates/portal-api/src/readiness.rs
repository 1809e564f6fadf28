//! Whether the portal should get requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use portal_core::{Probe, error_text};
use tokio::sync::Mutex;
use tokio::time::Instant;

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

    /// Returns true if the portal should get requests: it is not stopping, and no required backend is missing.
    pub async fn is_ready(&self) -> bool {
        !self.is_draining() && self.checks().await.iter().all(|check| check.ok || !check.required)
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
        let answers = join_all(self.probes.iter().map(|probe| ask(&**probe))).await;
        let before = believed.as_ref().map_or(&[][..], |belief| &belief.checks);
        let mut checks = Vec::with_capacity(answers.len());
        for (index, (probe, answer)) in self.probes.iter().zip(answers).enumerate() {
            let check = Check { name: probe.name(), required: probe.required(), ok: answer.is_ok() };
            tell(check, before.get(index).map(|before| before.ok), answer.err().as_deref());
            metrics::gauge!("portal_probe_up", "probe" => check.name).set(if check.ok { 1.0 } else { 0.0 });
            checks.push(check);
        }
        *believed = Some(Belief { asked, checks: checks.clone() });
        checks
    }
}

/// Asks a probe; why it is not there, with its causes.
async fn ask(probe: &dyn Probe) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, probe.probe()).await {
        Ok(answer) => answer.map_err(|error| error_text(&error)),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Logs what changed since it was last asked. What only some operations need may still be on its way when the portal
/// has just started.
fn tell(check: Check, was_ok: Option<bool>, why: Option<&str>) {
    let Check { name, required, ok } = check;
    match (was_ok, ok) {
        (Some(before), now) if before == now => {}
        (None, true) => {}
        (Some(_), true) => tracing::info!(probe = name, "{name} is there again"),
        (None, false) if !required => tracing::info!(probe = name, required, why, "{name} is not there yet"),
        (_, false) => tracing::warn!(probe = name, required, why, "{name} is not there"),
    }
}
