//! Provisioning friends' namespaces, under rights of its own.

use async_trait::async_trait;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Error, Resource, ResourceExt};
use portal_core::{Backend, BackendError};
use portal_k8s::{AGENT_ROLE, NamespaceManifests, Namespaces, Phase, Provisioned};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

use super::call::{backend_error, call, status};

/// Manager of the fields that are set.
const MANAGER: &str = "friend-portal-provisioner";
/// Attempts at a binding that others write at the same time.
const BIND_TRIES: usize = 5;

/// The namespaces of a Kubernetes cluster.
pub struct KubeNamespaces {
    client: Client,
}

impl KubeNamespaces {
    /// The namespaces of the cluster that `client` talks to.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn apply_inside<K>(&self, namespace: &str, object: &K) -> Result<(), BackendError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + Debug + Serialize + DeserializeOwned,
    {
        apply(&Api::namespaced(self.client.clone(), namespace), object).await
    }

    fn bindings(&self, namespace: &str) -> Api<RoleBinding> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Brings the binding of agents to what is wanted, one conditional write after the other.
    async fn bind(&self, namespace: &str, manifests: &NamespaceManifests) -> Result<Provisioned, BackendError> {
        let bindings = self.bindings(namespace);
        for _ in 0..BIND_TRIES {
            let standing = call(bindings.get_opt(AGENT_ROLE)).await.map_err(backend_error)?;
            if standing.as_ref().is_some_and(|standing| !manifests.is_ours(standing)) {
                return Ok(Provisioned::ForeignBinding);
            }
            let written = match (standing, &manifests.agents) {
                (None, None) => return Ok(Provisioned::Done),
                (None, Some(wanted)) => {
                    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
                    call(bindings.create(&params, wanted)).await.map(drop)
                }
                (Some(standing), Some(wanted)) if standing.role_ref == wanted.role_ref => {
                    let mut wanted = wanted.clone();
                    // As it was seen: an apply would otherwise take over what somebody else put there since.
                    wanted.metadata.resource_version = standing.metadata.resource_version;
                    let params = PatchParams::apply(MANAGER).force();
                    call(bindings.patch(AGENT_ROLE, &params, &Patch::Apply(&wanted))).await.map(drop)
                }
                // The API server lets nobody exchange the role of a binding.
                (Some(standing), wanted) => match call(remove(&bindings, &standing)).await {
                    Ok(()) if wanted.is_some() => continue,
                    removed => removed,
                },
            };
            match written {
                Err(error) if is_conflict(&error) => {}
                written => return written.map(|()| Provisioned::Done).map_err(backend_error),
            }
        }
        Err(BackendError::unavailable(
            Backend::Cluster,
            format!("others write {AGENT_ROLE} in {namespace} again and again"),
        ))
    }
}

async fn remove(bindings: &Api<RoleBinding>, standing: &RoleBinding) -> kube::Result<()> {
    let (uid, resource_version) = (standing.uid(), standing.resource_version());
    let params = DeleteParams::default().preconditions(Preconditions { uid, resource_version });
    bindings.delete(AGENT_ROLE, &params).await.map(drop)
}

fn is_conflict(error: &Error) -> bool {
    status(error).is_some_and(|status| status.code == 409)
}

#[async_trait]
impl Namespaces for KubeNamespaces {
    async fn provision(&self, manifests: &NamespaceManifests) -> Result<Provisioned, BackendError> {
        let name = manifests.namespace.name_any();
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let standing = match call(namespaces.get_opt(&name)).await.map_err(backend_error)? {
            Some(standing) => standing,
            // Not applied: whoever made a namespace of this name in between keeps it.
            None => create(&namespaces, &manifests.namespace).await?,
        };
        // Before its owner is looked at: whosever it is, it takes nothing any more.
        if Phase::from(&standing) == Phase::Terminating {
            return Ok(Provisioned::Terminating);
        }
        if !manifests.is_ours(&standing) {
            return Ok(Provisioned::Foreign);
        }
        // Before anything is written: whoever made it is to hear of it first.
        let bound = call(self.bindings(&name).get_opt(AGENT_ROLE)).await.map_err(backend_error)?;
        if bound.is_some_and(|bound| !manifests.is_ours(&bound)) {
            return Ok(Provisioned::ForeignBinding);
        }
        apply(&namespaces, &manifests.namespace).await?;
        self.apply_inside(&name, &manifests.quota).await?;
        self.apply_inside(&name, &manifests.limits).await?;
        self.apply_inside(&name, &manifests.network).await?;
        self.bind(&name, manifests).await
    }
}

/// The namespace, just made or made by somebody else in the same moment.
async fn create(namespaces: &Api<Namespace>, wanted: &Namespace) -> Result<Namespace, BackendError> {
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match call(namespaces.create(&params, wanted)).await {
        Err(error) if is_conflict(&error) => call(namespaces.get(&wanted.name_any())).await.map_err(backend_error),
        made => made.map_err(backend_error),
    }
}

async fn apply<K>(api: &Api<K>, object: &K) -> Result<(), BackendError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let params = PatchParams::apply(MANAGER).force();
    call(api.patch(&object.name_any(), &params, &Patch::Apply(object))).await.map_err(backend_error)?;
    Ok(())
}
