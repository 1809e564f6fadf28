//! A cluster, and access to it as people have with `kubectl`.

use std::env;
use std::panic::Location;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Service, ServiceAccount};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::discovery::Scope;
use kube::{Api, Client, Config, ResourceExt, discovery};
use portal_adapters::SystemClock;
use portal_adapters::kube::{KubeCluster, KubeRoutes, KubeServices, KubeSettings};
use portal_adapters::memory::MemoryCluster;
use portal_core::FriendId;
use portal_dns::{RoutePlace, Routes, Services};
use portal_k8s::{Cluster, IngressRoute, Kind, Phase};
use portal_testkit::NamespaceEditor;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

/// Variable that names the kubeconfig of the cluster to use.
const KUBECONFIG: &str = "TEST_KUBECONFIG";
/// The server's account, as `deploy/` makes it.
const ACCOUNT: &str = "friend-portal";
/// Longest time that a change may take to be seen.
const UNTIL_TIMEOUT: Duration = Duration::from_secs(10);

/// A cluster, and a friend in it who has no namespace yet.
pub(super) struct Fixture {
    pub(super) friend: FriendId,
    pub(super) routes: Arc<dyn Routes>,
    pub(super) services: Arc<dyn Services>,
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) hands: Hands,
}

/// How objects get into the cluster.
pub(super) enum Hands {
    Memory(MemoryCluster),
    Operator(Client),
}

impl Fixture {
    pub(super) fn in_memory() -> Self {
        let cluster = MemoryCluster::new(Arc::new(SystemClock));
        Self {
            friend: FriendId::parse("alice").unwrap(),
            routes: Arc::new(cluster.clone()),
            services: Arc::new(cluster.clone()),
            cluster: Arc::new(cluster.clone()),
            hands: Hands::Memory(cluster),
        }
    }

    pub(super) async fn in_cluster() -> Self {
        let config = operator().await;
        let operator = Client::try_from(config.clone()).unwrap();
        let portal = Client::try_from(signed_in(&operator, config).await).unwrap();
        let watched =
            KubeCluster::watching(&portal, KubeSettings::default(), Arc::new(SystemClock), &Handle::current());
        let watched = Arc::new(watched);
        let fixture = Self {
            friend: FriendId::parse(&format!("f-{:08x}", rand::random::<u32>())).unwrap(),
            routes: Arc::new(KubeRoutes::new(portal.clone(), watched.clone())),
            services: Arc::new(KubeServices::new(portal, watched.clone())),
            cluster: watched,
            hands: Hands::Operator(operator),
        };
        until(|| async { fixture.cluster.overview(&fixture.friend).await.is_ok() }).await;
        fixture
    }

    pub(super) fn namespace(&self) -> String {
        self.friend.namespace()
    }

    /// Makes the friend's namespace and waits until it is seen.
    pub(super) async fn make_namespace(&self) {
        self.hands.create_namespace(&self.namespace()).await;
        let phase = || async { self.cluster.overview(&self.friend).await.unwrap().phase };
        until(|| async { phase().await == Some(Phase::Active) }).await;
    }

    /// Begins to delete the friend's namespace.
    pub(super) async fn end_namespace(&self) {
        self.hands.end_namespace(&self.namespace()).await;
    }

    /// Applies one object, as `kubectl apply` does.
    pub(super) async fn apply(&self, yaml: &str) {
        self.hands.apply(&self.namespace(), yaml).await;
    }

    /// Loads the manifests of a text into a cluster in memory.
    pub(super) fn load(&self, yaml: &str) {
        let Hands::Memory(cluster) = &self.hands else { panic!("this is not a cluster in memory") };
        cluster.load_yaml("manifests.yaml", yaml, &self.namespace()).unwrap();
    }

    /// Adds TLS and a middleware to a route, as an operator with `kubectl edit` does.
    pub(super) async fn edit_route_by_hand(&self, place: &RoutePlace) {
        let tls = json!({"options": {"name": "old"}});
        match &self.hands {
            Hands::Memory(cluster) => {
                let mut route = serde_json::to_value(cluster.route(&place.namespace, &place.name).unwrap()).unwrap();
                route["spec"]["tls"] = tls;
                route["spec"]["routes"][0]["middlewares"] = json!([{"name": "auth"}]);
                cluster.put_route(&place.namespace, serde_json::from_value(route).unwrap());
            }
            Hands::Operator(client) => {
                let routes: Api<IngressRoute> = Api::namespaced(client.clone(), &place.namespace);
                let mut rules = serde_json::to_value(routes.get(&place.name).await.unwrap().spec.routes).unwrap();
                rules[0]["middlewares"] = json!([{"name": "auth"}]);
                let edit = Patch::Merge(json!({"spec": {"tls": tls, "routes": rules}}));
                routes.patch(&place.name, &PatchParams::default(), &edit).await.unwrap();
            }
        }
    }
}

#[async_trait]
impl NamespaceEditor for Hands {
    async fn create_namespace(&self, namespace: &str) {
        let object = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}");
        self.apply(namespace, &object).await;
    }

    async fn end_namespace(&self, namespace: &str) {
        match self {
            Self::Memory(cluster) => cluster.set_phase(namespace, Some(Phase::Terminating)),
            Self::Operator(client) => {
                let namespaces: Api<Namespace> = Api::all(client.clone());
                namespaces.delete(namespace, &DeleteParams::default()).await.unwrap();
            }
        }
    }

    async fn apply(&self, namespace: &str, yaml: &str) {
        match self {
            Self::Memory(cluster) => {
                cluster.load_yaml("object.yaml", yaml, namespace).unwrap();
            }
            Self::Operator(client) => {
                let object: DynamicObject = serde_saphyr::from_str(yaml).unwrap();
                let kind = object.types.clone().unwrap().try_into().unwrap();
                let (resource, capabilities) = discovery::pinned_kind(client, &kind).await.unwrap();
                let api: Api<DynamicObject> = match capabilities.scope {
                    Scope::Namespaced => {
                        let namespace = object.namespace().unwrap_or_else(|| namespace.to_owned());
                        Api::namespaced_with(client.clone(), &namespace, &resource)
                    }
                    Scope::Cluster => Api::all_with(client.clone(), &resource),
                };
                let params = PatchParams::apply("kubectl").force();
                api.patch(&object.name_any(), &params, &Patch::Apply(&object)).await.unwrap();
            }
        }
    }

    async fn delete_service(&self, namespace: &str, name: &str) {
        match self {
            Self::Memory(cluster) => assert!(cluster.delete(Kind::Service, namespace, name)),
            Self::Operator(client) => {
                let services: Api<Service> = Api::namespaced(client.clone(), namespace);
                services.delete(name, &DeleteParams::default()).await.unwrap();
            }
        }
    }
}

/// Waits until something is so.
#[track_caller]
pub(super) fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let started = Instant::now();
        while !is_so().await {
            assert!(started.elapsed() < UNTIL_TIMEOUT, "it did not come to be: {caller}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The file that tells the operator's way to the cluster.
#[expect(clippy::disallowed_methods, reason = "the tier hands the cluster over by this variable")]
pub(super) fn operator_kubeconfig() -> String {
    env::var(KUBECONFIG).unwrap()
}

/// A file of the tier's folder.
#[expect(clippy::disallowed_methods, reason = "the tier hands the cluster over by this variable")]
pub(super) fn file(name: &str) -> PathBuf {
    PathBuf::from(env::var("TEST_CLUSTER").unwrap()).join(name)
}

/// The operator's way to the cluster.
pub(super) async fn operator() -> Config {
    let kubeconfig = Kubeconfig::read_from(operator_kubeconfig()).unwrap();
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

/// The same way with the token of the server's account.
pub(super) async fn signed_in(operator: &Client, config: Config) -> Config {
    signed_in_as(operator, config, ACCOUNT, ACCOUNT).await
}

/// The same way with the token of an account.
pub(super) async fn signed_in_as(operator: &Client, mut config: Config, namespace: &str, account: &str) -> Config {
    let accounts: Api<ServiceAccount> = Api::namespaced(operator.clone(), namespace);
    let asked = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let granted = accounts.create_token_request(account, &PostParams::default(), &asked).await.unwrap();
    config.auth_info =
        kube::config::AuthInfo { token: Some(granted.status.unwrap().token.into()), ..Default::default() };
    config
}
