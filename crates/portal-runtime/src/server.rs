//! The listening side: the API on one port, what operators ask on another, and a stop that loses nothing.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer, get};
use metrics_exporter_prometheus::PrometheusHandle;
use portal_api::{ApiState, Limits, Readiness, Settings};
use portal_page::{Brand, Tokens};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::background::BackgroundTasks;
use crate::config::{LimitsSettings, ServerSettings};
use crate::connections::{self, Options};
use crate::{metrics, operations};

/// Interval at which metrics are tidied up, so that they do not grow while nobody reads them.
const UPKEEP: Duration = Duration::from_secs(5);

/// Use of the web page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// `/` and `/portal` are left to somebody else.
    Off,
    /// It is served.
    On(Brand),
    /// It is served, and offers the demo's public tokens.
    Demo,
}

/// Settings of the listening side.
#[derive(Debug, Clone)]
pub struct Serving {
    /// Addresses and shutdown.
    pub server: ServerSettings,
    /// Limits of each friend and of each address.
    pub limits: LimitsSettings,
    /// The web page.
    pub page: Page,
}

/// The portal cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, not on this machine, or not allowed.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The server failed while it ran.
    #[error("the server failed")]
    Failed(#[source] std::io::Error),
    /// SIGTERM and SIGINT cannot be heard, and would end the process without draining.
    #[error("signals cannot be heard")]
    Signals(#[source] std::io::Error),
    /// Metrics cannot be recorded.
    #[error("metrics cannot be recorded")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
}

/// Ports that are open and not yet served: whoever connects now is answered soon.
pub struct Listening {
    api: TcpListener,
    operations: Option<(TcpListener, PrometheusHandle)>,
    stop: StopSignals,
    /// The address of the API, with the port that was found where port 0 was asked for.
    pub address: SocketAddr,
}

/// Signals that ask the process to stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Begins to hear them, which takes their default away: to end the process at once.
    fn hear() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the first one since [`hear`](Self::hear).
    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Opens the ports, and begins to record metrics if there is a port to ask for them. SIGTERM and SIGINT are heard from
/// now on and obeyed by [`run`].
///
/// # Errors
/// An address that is taken or not to be had.
///
/// # Panics
/// Outside a Tokio runtime.
pub fn listen(server: &ServerSettings) -> Result<Listening, ServeError> {
    // Before any background task runs: a process that is told to stop while it starts hands its work back too.
    let stop = StopSignals::hear().map_err(ServeError::Signals)?;
    let api = open(server.listen)?;
    let operations = match server.operations_listen {
        Some(address) => Some((open(address)?, metrics::install().map_err(ServeError::Metrics)?)),
        None => None,
    };
    let address = api.local_addr().map_err(ServeError::Failed)?;
    Ok(Listening { api, operations, stop, address })
}

fn open(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError::Listen { address, source })
}

/// Serves until the process is asked to stop (SIGTERM, SIGINT), then lets what is under way end.
///
/// # Errors
/// The server could not start or failed while it ran.
pub async fn run(
    mut listening: Listening,
    state: ApiState,
    mut tasks: BackgroundTasks,
    serving: Serving,
) -> Result<(), ServeError> {
    let readiness = state.readiness.clone();
    // One state for all workers, each of which runs `mount`.
    let state = Data::new(state);
    let serve_operations = |operations| serve_operations(operations, &readiness, &mut tasks);
    let operations = listening.operations.map(serve_operations).transpose()?;
    let Serving { server, limits, page } = serving;
    let per_address = limits.connections_per_address.map(NonZeroU32::get);
    let limits = limits.per_friend.map_or_else(Limits::off, Limits::new);
    let settings = Settings::default().with_origins(server.allowed_origins).with_limits(limits);
    let settings = settings.with_clients(server.clients);
    let options = Options { shutdown: server.shutdown, per_address };
    let mount = move |config: &mut ServiceConfig| {
        match &page {
            Page::Off => {}
            Page::On(brand) => portal_page::configure(config, Tokens::Secret, brand),
            Page::Demo => portal_page::configure(config, Tokens::Public, &Brand::default()),
        }
        portal_api::configure(config, &state, &settings);
    };
    let api = connections::serve(listening.api, options, mount).map_err(ServeError::Failed)?;
    let handle = api.handle();
    tokio::pin!(api);
    let served = tokio::select! {
        served = &mut api => served,
        () = listening.stop.received() => {
            readiness.drain();
            tasks.begin_stop();
            tracing::info!("stopping");
            // The server stops only while it is polled.
            let ((), served) = tokio::join!(stop_after(server.drain, &handle), api);
            served
        }
    };
    tasks.stop(server.shutdown).await;
    if let Some(operations) = operations {
        // Last: until here a probe can see that the portal is draining.
        operations.stop(false).await;
    }
    served.map_err(ServeError::Failed)
}

/// Stops the server once load balancers had the time to notice that the portal is draining.
async fn stop_after(drain: Duration, server: &ServerHandle) {
    tokio::time::sleep(drain).await;
    server.stop(true).await;
}

/// Serves metrics and probes to operators.
fn serve_operations(
    (listener, metrics): (TcpListener, PrometheusHandle),
    readiness: &Readiness,
    tasks: &mut BackgroundTasks,
) -> Result<ServerHandle, ServeError> {
    let upkeep = metrics.clone();
    tasks.repeat("metrics", UPKEEP, None, move || {
        let upkeep = upkeep.clone();
        async move {
            upkeep.run_upkeep();
            Ok(())
        }
    });
    let readiness = readiness.clone();
    let configure = move |config: &mut ServiceConfig| {
        config.app_data(Data::new(metrics.clone())).service(show_metrics);
        operations::configure(config, readiness.clone());
    };
    let server = HttpServer::new(move || App::new().configure(&configure))
        // Operators ask seldom, and each worker is a thread.
        .workers(1)
        .listen(listener)
        .map_err(ServeError::Failed)?
        // actix-server would take SIGTERM for itself and stop without draining.
        .disable_signals()
        .run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(handle)
}

#[get("/metrics")]
async fn show_metrics(recorded: Data<PrometheusHandle>) -> HttpResponse {
    // Prometheus 3 takes no answer that does not name the format's version.
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(metrics::render(&recorded))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_process_that_is_told_to_stop_while_it_starts_stops_once_it_serves() {
        let mut listening = listen(&ServerSettings::embedded(([127, 0, 0, 1], 0).into())).unwrap();
        let command = format!("kill -TERM {}", std::process::id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
        listening.stop.received().await;
    }
}
