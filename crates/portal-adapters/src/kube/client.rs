//! The way to the API server.

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use portal_core::{Backend, PortError};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an open connection may stay silent: more than a watch lasts.
const SILENCE: Duration = Duration::from_secs(20);

/// A client for the cluster of a kubeconfig; without one, for the cluster in which this process runs as a pod, else
/// for that of the user's default kubeconfig. Nothing is asked of the cluster yet.
///
/// # Errors
/// A configuration that cannot be read.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, PortError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(unusable)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(unusable)?
        }
        None => Config::infer().await.map_err(unusable)?,
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.write_timeout = Some(SILENCE);
    Client::try_from(config).map_err(unusable)
}

fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> PortError {
    PortError::backend(Backend::Cluster, error)
}
