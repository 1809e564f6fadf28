//! A cluster full of friends.

use std::path::Path;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota, Service, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use portal_core::BoxError;
use portal_k8s::IngressRoute;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Namespaces that are filled at the same time.
const AT_ONCE: usize = 16;

/// Fills the namespaces of the friends `from..to`, ten objects each, the namespace counted.
pub(crate) async fn run(kubeconfig: &Path, from: u32, to: u32) -> Result<(), BoxError> {
    let client = portal_adapters::kube::connect(Some(kubeconfig)).await?;
    let filled = futures::stream::iter((from..to).map(|number| fill(client.clone(), number)));
    filled.buffer_unordered(AT_ONCE).try_collect().await
}

async fn fill(client: Client, number: u32) -> Result<(), BoxError> {
    let friend = format!("f{number}");
    let name = format!("friend-{friend}");
    create(Api::<Namespace>::all(client.clone()), json!({"metadata": {"name": name}})).await?;
    // Pods need it, and the controllers may be slow to make it.
    put::<ServiceAccount>(&client, &name, json!({"metadata": {"name": "default"}})).await?;
    for pod in 0..3 {
        let container = json!({
            "name": "app", "image": "registry.example.org/friends/app:1.2.3",
            "env": [{"name": "MODE", "value": "production"}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        });
        let pod = json!({
            "metadata": {"name": format!("app-7d9c5b8f6-{friend}-{pod}"), "labels": {"app": "app"}},
            "spec": {"containers": [container]},
        });
        put::<Pod>(&client, &name, pod).await?;
    }
    for service in ["app", "web"] {
        let spec =
            json!({"clusterIP": "None", "selector": {"app": service}, "ports": [{"port": 80, "targetPort": 8080}]});
        put::<Service>(&client, &name, json!({"metadata": {"name": service}, "spec": spec})).await?;
    }
    for deployment in ["app", "web"] {
        let template = json!({
            "metadata": {"labels": {"app": deployment}},
            "spec": {"containers": [{
                "name": "app", "image": "registry.example.org/friends/app:1.2.3",
                "envFrom": [{"secretRef": {"name": "app-secrets"}}],
            }]},
        });
        let spec = json!({"replicas": 0, "selector": {"matchLabels": {"app": deployment}}, "template": template});
        put::<Deployment>(&client, &name, json!({"metadata": {"name": deployment}, "spec": spec})).await?;
    }
    let rule = format!("Host(`web-{friend}.example.org`)");
    let routes = json!([{"kind": "Rule", "match": rule, "services": [{"name": "web", "port": 80}]}]);
    put::<IngressRoute>(&client, &name, json!({"metadata": {"name": "web"}, "spec": {"routes": routes}})).await?;
    // Last: until its status is counted, nothing that it limits may be made.
    let hard = json!({"pods": "20", "requests.cpu": "4", "requests.memory": "8Gi", "count/secrets": "20"});
    put::<ResourceQuota>(&client, &name, json!({"metadata": {"name": "friend"}, "spec": {"hard": hard}})).await
}

async fn put<K>(client: &Client, namespace: &str, object: Value) -> Result<(), BoxError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    create(Api::<K>::namespaced(client.clone(), namespace), object).await
}

/// Creates an object, unless there is one of that name.
async fn create<K>(api: Api<K>, object: Value) -> Result<(), BoxError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    match api.create(&PostParams::default(), &serde_json::from_value(object)?).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
