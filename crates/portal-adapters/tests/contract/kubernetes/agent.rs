//! An agent in the namespaces of its friends: everything else is refused by the API server itself.

mod cluster {
    use std::fmt::Debug;

    use k8s_openapi::NamespaceResourceScope;
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::authentication::v1::TokenRequest;
    use k8s_openapi::api::batch::v1::Job;
    use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ResourceQuota, Secret, Service, ServiceAccount};
    use k8s_openapi::api::networking::v1::NetworkPolicy;
    use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
    use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
    use kube::{Api, Client, Error, Resource};
    use portal_adapters::kube::{KubeNamespaces, connect};
    use portal_core::FriendId;
    use portal_k8s::{IngressRoute, Namespaces, Provisioned, Provisioning, ServiceAccountName};
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::super::fixture::{file, operator, signed_in_as};

    /// An agent of alice's, and not of bob's.
    struct Fixture {
        alice: FriendId,
        bob: FriendId,
        account: ServiceAccountName,
        agent: Client,
    }

    impl Fixture {
        async fn new() -> Self {
            let config = operator().await;
            let operator = Client::try_from(config.clone()).unwrap();
            let number = rand::random::<u32>();
            let friend = |name: &str| FriendId::parse(&format!("{name}-{number:08x}")).unwrap();
            let account = ServiceAccountName::parse(&format!("openclaw-{number:08x}/main")).unwrap();
            let namespace: Namespace = read(json!({"metadata": {"name": account.namespace}}));
            Api::all(operator.clone()).create(&PostParams::default(), &namespace).await.unwrap();
            let object: ServiceAccount = read(json!({"metadata": {"name": account.name}}));
            let accounts: Api<ServiceAccount> = Api::namespaced(operator.clone(), &account.namespace);
            accounts.create(&PostParams::default(), &object).await.unwrap();
            let signed_in = signed_in_as(&operator, config, &account.namespace, &account.name).await;
            let agent = Client::try_from(signed_in).unwrap();
            let fixture = Self { alice: friend("alice"), bob: friend("bob"), account, agent };
            fixture.provision(true).await;
            fixture
        }

        /// Provisions both namespaces, with the rights of `deploy/provisioner`.
        async fn provision(&self, is_bound: bool) {
            let client = connect(Some(&file("provisioner.kubeconfig"))).await.unwrap();
            let namespaces = KubeNamespaces::new(client);
            for (friend, is_bound) in [(&self.alice, is_bound), (&self.bob, false)] {
                let accounts: Vec<_> = is_bound.then(|| self.account.clone()).into_iter().collect();
                let manifests = Provisioning::default().manifests(friend, &accounts);
                assert_eq!(namespaces.provision(&manifests).await.unwrap(), Provisioned::Done);
            }
        }

        fn of_alice<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
            Api::namespaced(self.agent.clone(), &self.alice.namespace())
        }

        fn of_bob<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
            Api::namespaced(self.agent.clone(), &self.bob.namespace())
        }
    }

    fn read<K: DeserializeOwned>(object: Value) -> K {
        serde_json::from_value(object).unwrap()
    }

    /// A pod that the profile `restricted` admits.
    fn pod() -> Value {
        json!({
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "restartPolicy": "Never",
            "containers": [{
                "name": "app", "image": "app",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        })
    }

    #[track_caller]
    fn check_forbidden<T: Debug>(answer: Result<T, Error>) {
        match answer {
            Err(Error::Api(status)) => assert_eq!(status.code, 403, "{status:?}"),
            other => panic!("{other:?}"),
        }
    }

    /// Creates an object, reads, lists and changes it, and removes it again.
    async fn check_managed<K>(api: &Api<K>, object: Value)
    where
        K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        api.create(&PostParams::default(), &read(object)).await.unwrap();
        let mut made = api.get(&name).await.unwrap();
        assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 1);
        // Controllers write its status meanwhile; whether the agent may replace it does not depend on the version.
        made.meta_mut().resource_version = None;
        api.replace(&name, &PostParams::default(), &made).await.unwrap();
        let label = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
        api.patch(&name, &PatchParams::default(), &label).await.unwrap();
        api.delete(&name, &DeleteParams::background()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier cluster"]
    async fn an_agent_deploys_for_its_friend() {
        let fixture = Fixture::new().await;
        let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": pod()});
        let mut always = template.clone();
        always["spec"]["restartPolicy"] = "Always".into();
        let selector = json!({"matchLabels": {"app": "a"}});
        let deployment =
            json!({"metadata": {"name": "a"}, "spec": {"replicas": 0, "selector": selector, "template": always}});
        check_managed(&fixture.of_alice::<Deployment>(), deployment).await;
        let service = json!({"metadata": {"name": "a"}, "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]}});
        check_managed(&fixture.of_alice::<Service>(), service).await;
        check_managed(
            &fixture.of_alice::<Job>(),
            json!({"metadata": {"name": "a"}, "spec": {"suspend": true, "template": template}}),
        )
        .await;
        // Beside the one with the cluster's certificates that every namespace has.
        let maps: Api<ConfigMap> = fixture.of_alice();
        let map: ConfigMap = read(json!({"metadata": {"name": "a"}, "data": {"key": "value"}}));
        maps.create(&PostParams::default(), &map).await.unwrap();
        maps.delete("a", &DeleteParams::default()).await.unwrap();

        let pods: Api<Pod> = fixture.of_alice();
        pods.create(&PostParams::default(), &read(json!({"metadata": {"name": "b"}, "spec": pod()}))).await.unwrap();
        // No node runs it, so nothing is in the log; but nobody refuses to look.
        let log = pods.logs("b", &LogParams::default()).await;
        assert!(!matches!(&log, Err(Error::Api(status)) if status.code == 403), "{log:?}");
        pods.delete("b", &DeleteParams::default()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier cluster"]
    async fn an_agent_may_nothing_that_is_not_deploying() {
        let fixture = Fixture::new().await;
        let (create, delete, list) = (PostParams::default(), DeleteParams::default(), ListParams::default());
        let nothing = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
        let secrets: Api<Secret> = fixture.of_alice();
        let secret: Secret = read(json!({"metadata": {"name": "key"}, "stringData": {"key": "value"}}));
        secrets.create(&create, &secret).await.unwrap();
        check_forbidden(secrets.get("key").await);
        check_forbidden(secrets.list(&list).await);
        check_forbidden(secrets.delete("key", &delete).await);
        // What docs/agents.md says: the answer to a change shows the Secret.
        let patched = secrets.patch("key", &PatchParams::default(), &nothing).await.unwrap();
        assert!(patched.data.is_some_and(|data| data.contains_key("key")));

        let shell = format!("/api/v1/namespaces/{}/pods/b/exec?command=sh&stdout=true", fixture.alice.namespace());
        check_forbidden(fixture.agent.request_text(http::Request::post(shell).body(Vec::new()).unwrap()).await);
        let unrestricted = json!({"hostNetwork": true, "containers": [{"name": "a", "image": "a"}]});
        let unrestricted: Pod = read(json!({"metadata": {"name": "c"}, "spec": unrestricted}));
        check_forbidden(fixture.of_alice::<Pod>().create(&create, &unrestricted).await);
        let params = PatchParams::default();
        check_forbidden(fixture.of_alice::<IngressRoute>().list(&list).await);
        let route: IngressRoute = read(
            json!({"metadata": {"name": "a"}, "spec": {"routes": [{"match": "Host(`a.example.org`)", "kind": "Rule", "services": [{"name": "a", "port": 80}]}]}}),
        );
        check_forbidden(fixture.of_alice::<IngressRoute>().create(&create, &route).await);
        check_forbidden(fixture.of_alice::<ResourceQuota>().patch("friend-portal", &params, &nothing).await);
        check_forbidden(fixture.of_alice::<ResourceQuota>().delete("friend-portal", &delete).await);
        check_forbidden(fixture.of_alice::<NetworkPolicy>().delete("friend-portal", &delete).await);
        check_forbidden(
            Api::<Namespace>::all(fixture.agent.clone()).patch(&fixture.alice.namespace(), &params, &nothing).await,
        );
        let role: Role = read(json!({"metadata": {"name": "a"}}));
        check_forbidden(fixture.of_alice::<Role>().create(&create, &role).await);
        check_forbidden(fixture.of_alice::<RoleBinding>().patch("friend-portal-agent", &params, &nothing).await);
        let token = TokenRequest::default();
        check_forbidden(fixture.of_alice::<ServiceAccount>().create_token_request("default", &create, &token).await);
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier cluster"]
    async fn an_agent_may_nothing_where_it_has_no_friend_and_nothing_once_it_is_not_named() {
        let fixture = Fixture::new().await;
        let list = ListParams::default();
        let map: ConfigMap = read(json!({"metadata": {"name": "a"}}));
        check_forbidden(fixture.of_bob::<ConfigMap>().create(&PostParams::default(), &map).await);
        check_forbidden(fixture.of_bob::<Pod>().list(&list).await);
        check_forbidden(
            fixture.of_bob::<Secret>().create(&PostParams::default(), &read(json!({"metadata": {"name": "a"}}))).await,
        );
        check_forbidden(Api::<Deployment>::all(fixture.agent.clone()).list(&list).await);
        fixture.of_alice::<Pod>().list(&list).await.unwrap();
        fixture.provision(false).await;
        let refused = || async { fixture.of_alice::<Pod>().list(&list).await.is_err() };
        super::super::fixture::until(refused).await;
        check_forbidden(fixture.of_alice::<Pod>().list(&list).await);
    }
}
