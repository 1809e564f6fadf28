//! Provisioning friends' namespaces, under rights of its own.

use async_trait::async_trait;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use portal_core::BackendError;
use portal_k8s::{NamespaceManifests, Namespaces, Phase, Provisioned};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

use super::call::{backend_error, call, status};

/// Manager of the fields that are set.
const MANAGER: &str = "friend-portal-provisioner";

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
        apply(&namespaces, &manifests.namespace).await?;
        self.apply_inside(&name, &manifests.quota).await?;
        self.apply_inside(&name, &manifests.limits).await?;
        self.apply_inside(&name, &manifests.network).await?;
        Ok(Provisioned::Done)
    }
}

/// The namespace, just made or made by somebody else in the same moment.
async fn create(namespaces: &Api<Namespace>, wanted: &Namespace) -> Result<Namespace, BackendError> {
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match call(namespaces.create(&params, wanted)).await {
        Err(error) if status(&error).is_some_and(|status| status.code == 409) => {
            call(namespaces.get(&wanted.name_any())).await.map_err(backend_error)
        }
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
