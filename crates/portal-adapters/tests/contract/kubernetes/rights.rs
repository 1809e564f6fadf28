//! What the portal may not do is refused by the API server itself.

mod cluster {
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::core::v1::{Namespace, Pod, Secret, Service};
    use kube::api::{DeleteParams, ListParams, PostParams};
    use kube::{Api, Client, Error};
    use portal_adapters::kube::{KubeNamespaces, connect};
    use portal_core::FriendId;
    use portal_k8s::{IngressRoute, Namespaces, Provisioned, Provisioning};
    use std::fmt::Debug;
    use std::path::Path;

    use super::super::fixture::{file, operator, operator_kubeconfig, signed_in};

    async fn portal() -> Client {
        let config = operator().await;
        let operator = Client::try_from(config.clone()).unwrap();
        Client::try_from(signed_in(&operator, config).await).unwrap()
    }

    #[track_caller]
    fn check_forbidden<T: Debug>(answer: Result<T, Error>) {
        match answer {
            Err(Error::Api(status)) => assert_eq!(status.code, 403, "{status:?}"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier cluster"]
    async fn secrets_cannot_be_read_by_the_portal() {
        let client = portal().await;
        check_forbidden(Api::<Secret>::all(client.clone()).list(&ListParams::default()).await);
        check_forbidden(Api::<Secret>::namespaced(client, "friend-portal").get("friend-portal").await);
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier cluster"]
    async fn nothing_but_routes_can_be_written_by_the_portal() {
        let client = portal().await;
        let (name, all) = ("friend-portal", DeleteParams::default());
        check_forbidden(Api::<Service>::namespaced(client.clone(), name).delete(name, &all).await);
        check_forbidden(Api::<Deployment>::namespaced(client.clone(), name).delete(name, &all).await);
        check_forbidden(Api::<Pod>::namespaced(client.clone(), name).delete(name, &all).await);
        check_forbidden(Api::<Namespace>::all(client.clone()).delete(name, &all).await);
        check_forbidden(
            Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &Namespace::default()).await,
        );
        let routes: Api<IngressRoute> = Api::namespaced(client, "friend-portal");
        check_forbidden(routes.delete_collection(&all, &ListParams::default()).await);
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier cluster"]
    async fn a_namespace_is_provisioned_once_and_for_its_friend_only() {
        let client = connect(Some(Path::new(&operator_kubeconfig()))).await.unwrap();
        // The role of `deploy/provisioner` suffices, and grants nothing else.
        let provisioner = connect(Some(&file("provisioner.kubeconfig"))).await.unwrap();
        check_forbidden(Api::<Secret>::all(provisioner.clone()).list(&ListParams::default()).await);
        check_forbidden(Api::<Namespace>::all(provisioner.clone()).delete("default", &DeleteParams::default()).await);
        let namespaces = KubeNamespaces::new(provisioner);
        let friend = FriendId::parse(&format!("p-{:08x}", rand::random::<u32>())).unwrap();
        let manifests = Provisioning::default().manifests(&friend, &[]);
        for _ in 0..2 {
            assert_eq!(namespaces.provision(&manifests).await.unwrap(), Provisioned::Done);
        }
        let made = Api::<Namespace>::all(client.clone()).get(&friend.namespace()).await.unwrap();
        assert!(manifests.is_ours(&made));

        let unrestricted: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "unrestricted"},
            "spec": {"hostNetwork": true, "containers": [{"name": "a", "image": "a"}]},
        }))
        .unwrap();
        let pods: Api<Pod> = Api::namespaced(client.clone(), &friend.namespace());
        check_forbidden(pods.create(&PostParams::default(), &unrestricted).await);

        let other = FriendId::parse(&format!("q-{:08x}", rand::random::<u32>())).unwrap();
        let mut foreign = Provisioning::default().manifests(&other, &[]).namespace;
        foreign.metadata.labels = None;
        Api::all(client).create(&PostParams::default(), &foreign).await.unwrap();
        let refused = namespaces.provision(&Provisioning::default().manifests(&other, &[])).await.unwrap();
        assert_eq!(refused, Provisioned::Foreign);
    }
}
