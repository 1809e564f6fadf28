//! The connection to the API server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use portal_core::{Backend, BackendError};

/// Longest time that a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence of an open connection: more than a watch lasts.
const SILENCE: Duration = Duration::from_secs(20);

/// A client for the cluster of a kubeconfig; without one, for that of the user's usual kubeconfig, else for the cluster
/// in which this process runs as a pod. Nothing is asked of the cluster yet. Files with the token and the cluster's
/// authority are read again about once a minute.
///
/// # Errors
/// A configuration that cannot be read.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, BackendError> {
    let mut config = match kubeconfig {
        Some(path) => of_kubeconfig(Kubeconfig::read_from(path).map_err(unusable)?).await?,
        None => match usual().await {
            Some(config) => config,
            // Says of both what is wrong where there is neither.
            None => Config::infer().await.map_err(unusable)?,
        },
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(SILENCE);
    config.write_timeout = Some(SILENCE);
    Client::try_from(config).map_err(unusable)
}

async fn usual() -> Option<Config> {
    of_kubeconfig(Kubeconfig::read().ok()?).await.ok()
}

async fn of_kubeconfig(kubeconfig: Kubeconfig) -> Result<Config, BackendError> {
    let authority = authority_file(&kubeconfig);
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(unusable)?;
    config.root_cert_file = authority;
    Ok(config)
}

/// The file with the authority that the cluster in use is to be certified by; `None` where it is written in the
/// kubeconfig itself.
fn authority_file(kubeconfig: &Kubeconfig) -> Option<PathBuf> {
    let used = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == *used)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster)?.cluster.as_ref()?;
    let is_elsewhere = cluster.certificate_authority_data.is_none();
    cluster.certificate_authority.as_ref().filter(|_| is_elsewhere).map(PathBuf::from)
}

fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> BackendError {
    BackendError::failed(Backend::Cluster, error)
}
