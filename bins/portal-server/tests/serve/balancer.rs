//! A load balancer before several servers, and clients behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Client;
use tokio::time::sleep;

/// Interval at which each server is asked whether it is ready.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// Sends requests to the servers that were ready when they were last asked.
pub(crate) struct Balancer {
    client: Client,
    /// Addresses of all servers.
    pub(crate) servers: Mutex<Vec<String>>,
    ready: Mutex<Vec<String>>,
    is_stopped: AtomicBool,
}

/// Requests that were sent.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) count: usize,
    /// Statuses and errors other than success.
    pub(crate) failed: Vec<String>,
}

impl Balancer {
    /// Begins to ask these servers whether they are ready.
    pub(crate) fn start(servers: Vec<String>) -> anyhow::Result<Arc<Self>> {
        let client = Client::builder().timeout(Duration::from_secs(20)).no_proxy().build()?;
        let (servers, ready) = (Mutex::new(servers), Mutex::default());
        let balancer = Arc::new(Self { client, servers, ready, is_stopped: AtomicBool::new(false) });
        let probing = balancer.clone();
        tokio::spawn(async move {
            while !probing.is_stopped() {
                probing.probe().await;
                sleep(PROBE_INTERVAL).await;
            }
        });
        Ok(balancer)
    }

    /// Ends the probes and the requests.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }

    async fn probe(&self) {
        let (servers, mut found) = (self.servers.lock().clone(), Vec::new());
        for base in servers {
            let reply = self.client.get(format!("{base}/readyz")).send().await;
            if reply.is_ok_and(|reply| reply.status().is_success()) {
                found.push(base);
            }
        }
        *self.ready.lock() = found;
    }

    /// Asks for `/me` until the balancer is stopped, each time as another friend and at another server.
    pub(crate) async fn ask(&self, tokens: &[String]) -> Sent {
        let mut sent = Sent::default();
        for token in tokens.iter().cycle() {
            if self.is_stopped() {
                break;
            }
            let ready = self.ready.lock().clone();
            if let Some(base) = ready.get(sent.count % ready.len().max(1)) {
                sent.count += 1;
                sent.failed.extend(self.ask_one(base, token).await);
            }
            sleep(Duration::from_millis(10)).await;
        }
        sent
    }

    /// Asks a server; returns its status or the error unless it succeeded.
    async fn ask_one(&self, base: &str, token: &str) -> Option<String> {
        match self.client.get(format!("{base}/api/portal/me")).bearer_auth(token).send().await {
            Ok(reply) if reply.status().is_success() => None,
            Ok(reply) => Some(reply.status().to_string()),
            Err(error) => Some(format!("{error:?}")),
        }
    }
}
