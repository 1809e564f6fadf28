//! What a cluster promises: to show namespaces, to know Services, and to keep routes. Run in memory always, and in the
//! tier `cluster` against the API server of the kubeconfig in `TEST_KUBECONFIG`, where the adapters sign in as the
//! service account of `deploy/` and so have its rights and no others.

mod ground;
mod manifests;
mod rights;

use std::sync::Arc;

use portal_dns::{
    Freshness, Hostname, InstanceId, ObservedRoute, OwnershipMarker, RouteChanged, RouteCreated, RoutePlace, RouteSpec,
    RouteVersion, ServiceName, ServicePort, ServiceState, Tls,
};
use portal_k8s::Phase;

use ground::{Ground, until};

macro_rules! promises {
    ($($promise:ident,)+) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&super::ground::Ground::in_memory()).await;
            })+
        }

        mod cluster {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "tier cluster"]
            async fn $promise() {
                super::$promise(&super::ground::Ground::in_cluster().await).await;
            })+
        }
    };
}

fn marker(digit: char) -> OwnershipMarker {
    let id = |digit: char| digit.to_string().repeat(32);
    OwnershipMarker {
        instance: InstanceId::parse(&id('0')).unwrap(),
        exposure: portal_dns::ExposureId::parse(&id(digit)).unwrap(),
    }
}

fn place(ground: &Ground) -> RoutePlace {
    RoutePlace { namespace: ground.namespace(), name: "expose-my-app".to_owned() }
}

fn host(ground: &Ground) -> Hostname {
    Hostname::parse(&format!("my-app-{}.your-domain.net", ground.friend)).unwrap()
}

fn spec(ground: &Ground, port: i64) -> RouteSpec {
    RouteSpec {
        hosts: vec![host(ground)],
        service: ServiceName::parse("my-app").unwrap(),
        port: ServicePort::parse(port).unwrap(),
        entry_points: vec!["websecure".to_owned()],
        tls: Tls::Off,
        priority: None,
    }
}

async fn own(ground: &Ground, freshness: Freshness) -> Option<ObservedRoute> {
    ground.routes.look(&place(ground), &[host(ground)], freshness).await.unwrap().own
}

/// A route of ours, made and looked at.
async fn made(ground: &Ground) -> RouteVersion {
    ground.make_namespace().await;
    let created = ground.routes.create(&place(ground), &spec(ground, 80), &marker('a')).await.unwrap();
    assert_eq!(created, RouteCreated::Done);
    own(ground, Freshness::Live).await.unwrap().version
}

async fn a_route_is_seen_as_it_was_written_and_at_once(ground: &Ground) {
    let version = made(ground).await;
    for freshness in [Freshness::Live, Freshness::Watched] {
        let seen = own(ground, freshness).await.unwrap();
        assert_eq!((seen.place, seen.marker), (place(ground), Some(marker('a'))));
        assert_eq!(seen.spec, Some(spec(ground, 80)));
        assert_eq!(seen.version, version);
    }
    let listed = ground.routes.list().await.unwrap();
    assert!(listed.iter().any(|route| route.place == place(ground)));
    let shown = ground.cluster.overview(&ground.friend).await.unwrap();
    assert_eq!(shown.routes[0].hostname.as_deref(), Some(host(ground).as_str()));
}

async fn what_exists_is_never_created_over(ground: &Ground) {
    let version = made(ground).await;
    let again = ground.routes.create(&place(ground), &spec(ground, 81), &marker('b')).await.unwrap();
    assert_eq!(again, RouteCreated::Exists);
    assert_eq!(own(ground, Freshness::Live).await.unwrap().version, version);
}

async fn there_is_no_route_without_a_namespace(ground: &Ground) {
    let created = ground.routes.create(&place(ground), &spec(ground, 80), &marker('a')).await.unwrap();
    assert_eq!(created, RouteCreated::NamespaceGone);
    for freshness in [Freshness::Live, Freshness::Watched] {
        assert_eq!(own(ground, freshness).await, None);
    }
}

async fn a_route_is_changed_if_it_is_the_version_that_was_seen_and_carries_the_mark(ground: &Ground) {
    let seen = made(ground).await;
    let change = |marker: OwnershipMarker, version: RouteVersion| async move {
        ground.routes.change(&place(ground), &spec(ground, 81), &marker, &version).await.unwrap()
    };
    let other_uid = RouteVersion { uid: "00000000-0000-4000-8000-ffffffffffff".to_owned(), ..seen.clone() };
    let older = RouteVersion { resource_version: "1".to_owned(), ..seen.clone() };
    assert_eq!(change(marker('b'), seen.clone()).await, RouteChanged::Stale);
    assert_eq!(change(marker('a'), other_uid).await, RouteChanged::Stale);
    assert_eq!(change(marker('a'), older).await, RouteChanged::Stale);
    assert_eq!(own(ground, Freshness::Live).await.unwrap().spec, Some(spec(ground, 80)));

    assert_eq!(change(marker('a'), seen.clone()).await, RouteChanged::Done);
    for freshness in [Freshness::Live, Freshness::Watched] {
        let now = own(ground, freshness).await.unwrap();
        assert_eq!(now.spec, Some(spec(ground, 81)), "{freshness:?}");
        assert_eq!(now.version.uid, seen.uid);
        assert_ne!(now.version, seen);
    }
    assert_eq!(change(marker('a'), seen).await, RouteChanged::Stale);
}

async fn what_was_added_by_hand_is_seen_and_taken_back(ground: &Ground) {
    made(ground).await;
    ground.edit_route_by_hand(&place(ground)).await;
    let edited = own(ground, Freshness::Live).await.unwrap();
    assert_eq!((edited.spec, edited.marker), (None, Some(marker('a'))));
    let changed = ground.routes.change(&place(ground), &spec(ground, 80), &marker('a'), &edited.version).await.unwrap();
    assert_eq!(changed, RouteChanged::Done);
    assert_eq!(own(ground, Freshness::Live).await.unwrap().spec, Some(spec(ground, 80)));
}

async fn a_route_is_deleted_if_it_is_the_object_that_was_seen_and_carries_the_mark(ground: &Ground) {
    let seen = made(ground).await;
    let delete = |marker: OwnershipMarker, version: RouteVersion| async move {
        ground.routes.delete(&place(ground), &marker, &version).await.unwrap()
    };
    let other_uid = RouteVersion { uid: "00000000-0000-4000-8000-ffffffffffff".to_owned(), ..seen.clone() };
    assert_eq!(delete(marker('b'), seen.clone()).await, RouteChanged::Stale);
    assert_eq!(delete(marker('a'), other_uid).await, RouteChanged::Stale);
    assert!(own(ground, Freshness::Live).await.is_some());

    assert_eq!(delete(marker('a'), seen.clone()).await, RouteChanged::Done);
    for freshness in [Freshness::Live, Freshness::Watched] {
        assert_eq!(own(ground, freshness).await, None, "{freshness:?}");
    }
    assert_eq!(delete(marker('a'), seen.clone()).await, RouteChanged::Absent);
    let changed = ground.routes.change(&place(ground), &spec(ground, 80), &marker('a'), &seen).await.unwrap();
    assert_eq!(changed, RouteChanged::Absent);
    assert!(ground.cluster.overview(&ground.friend).await.unwrap().routes.is_empty());
}

async fn whoever_claims_the_hostname_is_seen_wherever_they_are(ground: &Ground) {
    ground.make_namespace().await;
    let host = host(ground);
    let elsewhere = format!("elsewhere-{}", ground.friend);
    ground.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {elsewhere}}}}}")).await;
    let ingress = format!("{{rules: [{{host: {host}}}]}}");
    let metadata = format!("{{name: ingress, namespace: {elsewhere}}}");
    ground
        .apply(&format!("{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {metadata}, spec: {ingress}}}"))
        .await;
    let metadata = format!("{{name: tcp, namespace: {elsewhere}}}");
    let tcp = format!("{{routes: [{{match: 'HostSNI(`*.your-domain.net`) && HostSNI(`{host}`)'}}]}}");
    ground
        .apply(&format!(
            "{{apiVersion: traefik.io/v1alpha1, kind: IngressRouteTCP, metadata: {metadata}, spec: {tcp}}}"
        ))
        .await;
    for (name, rule) in [
        ("inside", format!("PathPrefix(`/x`) || Host(`other.net`) || Host(`{host}`)")),
        ("pattern", format!("HostRegexp(`^my-app-{}[.]your-domain[.]net$`)", ground.friend)),
        ("dashboard", "PathPrefix(`/dashboard`)".to_owned()),
        ("other", "Host(`other.net`)".to_owned()),
    ] {
        let spec = format!("{{routes: [{{kind: Rule, match: '{rule}', services: [{{name: a, port: 80}}]}}]}}");
        let metadata = format!("{{name: {name}, namespace: {elsewhere}}}");
        ground
            .apply(&format!(
                "{{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {metadata}, spec: {spec}}}"
            ))
            .await;
    }
    let hosts = [host];
    let claims = || async { ground.routes.claims(&place(ground), &hosts).await.unwrap() };
    until(|| async { claims().await.len() == 4 }).await;
    let mut names: Vec<_> =
        claims().await.into_iter().map(|claim| format!("{} {}", claim.kind, claim.place.name)).collect();
    names.sort();
    let expected = [
        "ingress.networking.k8s.io ingress",
        "ingressroute.traefik.io inside",
        "ingressroute.traefik.io pattern",
        "ingressroutetcp.traefik.io tcp",
    ];
    assert_eq!(names, expected);
    for freshness in [Freshness::Live, Freshness::Watched] {
        let look = ground.routes.look(&place(ground), &hosts, freshness).await.unwrap();
        assert_eq!(look.others, [], "none of them carries a marker");
    }
}

async fn a_service_is_known_by_its_tcp_ports(ground: &Ground) {
    let web = ServiceName::parse("web").unwrap();
    let look = |freshness| {
        let web = web.clone();
        async move { ground.services.look(&ground.friend, &web, freshness).await.unwrap() }
    };
    let both = [Freshness::Live, Freshness::Watched];
    for freshness in both {
        assert_eq!(look(freshness).await, ServiceState::NamespaceGone);
    }
    ground.make_namespace().await;
    for freshness in both {
        assert_eq!(look(freshness).await, ServiceState::Absent);
    }
    let namespace = ground.namespace();
    let ports = "[{name: a, port: 8080}, {name: b, port: 80, protocol: TCP}, {name: c, port: 53, protocol: UDP}]";
    ground.apply(&format!("{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: {namespace}}}, spec: {{ports: {ports}}}}}")).await;
    let expected = ServiceState::Tcp([80, 8080].map(|port| ServicePort::parse(port).unwrap()).to_vec());
    for freshness in both {
        until(|| async { look(freshness).await == expected }).await;
    }
    assert_eq!(look(Freshness::Live).await, expected);
}

async fn an_external_name_and_a_namespace_that_ends_are_told_apart(ground: &Ground) {
    ground.make_namespace().await;
    let namespace = ground.namespace();
    let spec = "{type: ExternalName, externalName: example.net}";
    ground
        .apply(&format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: {namespace}}}, spec: {spec}}}"
        ))
        .await;
    let web = ServiceName::parse("web").unwrap();
    let look = || async { ground.services.look(&ground.friend, &web, Freshness::Live).await.unwrap() };
    assert_eq!(look().await, ServiceState::ExternalName);
    ground.end_namespace().await;
    until(|| async { look().await == ServiceState::NamespaceGone }).await;
    let shown = || async { ground.cluster.overview(&ground.friend).await.unwrap() };
    until(|| async { shown().await.phase != Some(Phase::Active) }).await;
}

async fn a_namespace_is_shown_and_stays_the_same_until_it_changes(ground: &Ground) {
    let shown = || async { ground.cluster.overview(&ground.friend).await.unwrap() };
    assert_eq!(shown().await.phase, None);
    ground.make_namespace().await;
    let namespace = ground.namespace();
    let template = "{metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: nginx, envFrom: [{secretRef: {name: key}}]}]}}";
    let spec = format!("{{replicas: 2, selector: {{matchLabels: {{app: a}}}}, template: {template}}}");
    ground
        .apply(&format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: a, namespace: {namespace}}}, spec: {spec}}}"
        ))
        .await;
    until(|| async { !shown().await.deployments.is_empty() }).await;
    let first = shown().await;
    assert_eq!(first.phase, Some(Phase::Active));
    assert_eq!((&*first.deployments[0].name, first.deployments[0].replicas()), ("a", "0/2".to_owned()));
    assert_eq!(&*first.deployments[0].secret_refs[0], "key");
    // A controller may still be writing; two answers in a row are the same one once it is done.
    until(|| async { Arc::ptr_eq(&shown().await, &shown().await) }).await;
    let settled = shown().await;

    ground.apply(&format!("{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: {namespace}}}, spec: {{ports: [{{port: 80}}]}}}}")).await;
    until(|| async { !shown().await.services.is_empty() }).await;
    assert!(shown().await.observed_at >= settled.observed_at);
}

promises! {
    a_route_is_seen_as_it_was_written_and_at_once,
    what_exists_is_never_created_over,
    there_is_no_route_without_a_namespace,
    a_route_is_changed_if_it_is_the_version_that_was_seen_and_carries_the_mark,
    what_was_added_by_hand_is_seen_and_taken_back,
    a_route_is_deleted_if_it_is_the_object_that_was_seen_and_carries_the_mark,
    whoever_claims_the_hostname_is_seen_wherever_they_are,
    a_service_is_known_by_its_tcp_ports,
    an_external_name_and_a_namespace_that_ends_are_told_apart,
    a_namespace_is_shown_and_stays_the_same_until_it_changes,
}
