//! Secrets that a pod uses.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, LocalObjectReference, PodSpec, Volume};

use crate::metadata::text;

/// The names of all secrets that a pod of this template uses, sorted, once each: from the environment of its
/// containers and init containers, from its volumes and from its image pull secrets.
pub(crate) fn secret_refs(pod: &PodSpec) -> Vec<Arc<str>> {
    let containers = pod.containers.iter().chain(pod.init_containers.iter().flatten());
    let volumes = pod.volumes.iter().flatten();
    let pull_secrets = pod.image_pull_secrets.iter().flatten();
    let names: BTreeSet<&str> = containers
        .flat_map(environment)
        .chain(volumes.flat_map(volume))
        .chain(pull_secrets.map(|reference| reference.name.as_str()))
        // The API server takes a reference without a name; it refers to nothing.
        .filter(|name| !name.is_empty())
        .collect();
    names.into_iter().map(text).collect()
}

/// Secrets in a container's environment, whole ones and single keys.
fn environment(container: &Container) -> impl Iterator<Item = &str> {
    let whole = container.env_from.iter().flatten().filter_map(|source| source.secret_ref.as_ref());
    let keys = container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref());
    let keys = keys.filter_map(|source| source.secret_key_ref.as_ref());
    whole.map(|reference| reference.name.as_str()).chain(keys.map(|key| key.name.as_str()))
}

/// Secrets that a volume holds, or that its driver needs to mount it.
fn volume(volume: &Volume) -> impl Iterator<Item = &str> {
    let mounted = volume.secret.as_ref().and_then(|secret| secret.secret_name.as_deref());
    let azure = volume.azure_file.as_ref().map(|file| file.secret_name.as_str());
    let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    let projected = projected.filter_map(|source| source.secret.as_ref()).map(|secret| secret.name.as_str());
    mounted.into_iter().chain(azure).chain(projected).chain(driver_secret(volume))
}

/// The secret with which a volume's driver signs in.
fn driver_secret(volume: &Volume) -> Option<&str> {
    let csi = volume.csi.as_ref().and_then(|csi| csi.node_publish_secret_ref.as_ref());
    let ceph = volume.cephfs.as_ref().and_then(|ceph| ceph.secret_ref.as_ref());
    let cinder = volume.cinder.as_ref().and_then(|cinder| cinder.secret_ref.as_ref());
    let flex = volume.flex_volume.as_ref().and_then(|flex| flex.secret_ref.as_ref());
    let iscsi = volume.iscsi.as_ref().and_then(|iscsi| iscsi.secret_ref.as_ref());
    let rbd = volume.rbd.as_ref().and_then(|rbd| rbd.secret_ref.as_ref());
    let scale_io = volume.scale_io.as_ref().map(|scale_io| &scale_io.secret_ref);
    let storage_os = volume.storageos.as_ref().and_then(|storage_os| storage_os.secret_ref.as_ref());
    let reference: Option<&LocalObjectReference> =
        csi.or(ceph).or(cinder).or(flex).or(iscsi).or(rbd).or(scale_io).or(storage_os);
    reference.map(|reference| reference.name.as_str())
}
