//! What a cluster promises: to show namespaces, to know Services, and to keep routes. Run in memory always, and in the
//! tier `cluster` against the API server of the kubeconfig in `TEST_KUBECONFIG`, where the adapters sign in as the
//! service account of `deploy/` and so have its rights and no others.

mod agent;
mod fixture;
mod manifests;
mod namespaces;
mod rights;

use portal_dns::{
    Freshness, Hostname, InstanceId, ObservedRoute, OwnershipMarker, RouteChanged, RouteCreated, RoutePlace, RouteSpec,
    RouteVersion, ServiceName, ServicePort, ServiceState, Tls,
};
use portal_k8s::Phase;

use fixture::{Fixture, until};

macro_rules! promises {
    ($($promise:ident,)+) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(&super::fixture::Fixture::in_memory()).await;
            })+
        }

        mod cluster {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "tier cluster"]
            async fn $promise() {
                super::$promise(&super::fixture::Fixture::in_cluster().await).await;
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

fn route_place(fixture: &Fixture) -> RoutePlace {
    RoutePlace { namespace: fixture.namespace(), name: "expose-my-app".to_owned() }
}

fn host(fixture: &Fixture) -> Hostname {
    Hostname::parse(&format!("my-app-{}.your-domain.net", fixture.friend)).unwrap()
}

fn spec(fixture: &Fixture, port: i64) -> RouteSpec {
    RouteSpec {
        hosts: vec![host(fixture)],
        service: ServiceName::parse("my-app").unwrap(),
        port: ServicePort::parse(port).unwrap(),
        entry_points: vec!["websecure".to_owned()],
        tls: Tls::Off,
        priority: None,
    }
}

async fn own(fixture: &Fixture, freshness: Freshness) -> Option<ObservedRoute> {
    fixture.routes.look(&route_place(fixture), &[host(fixture)], freshness).await.unwrap().own
}

/// A route of ours, made and looked at.
async fn made(fixture: &Fixture) -> RouteVersion {
    fixture.make_namespace().await;
    let created = fixture.routes.create(&route_place(fixture), &spec(fixture, 80), &marker('a')).await.unwrap();
    assert_eq!(created, RouteCreated::Done);
    own(fixture, Freshness::Live).await.unwrap().version
}

async fn a_route_is_seen_as_it_was_written_and_at_once(fixture: &Fixture) {
    let version = made(fixture).await;
    for freshness in [Freshness::Live, Freshness::Watched] {
        let seen = own(fixture, freshness).await.unwrap();
        assert_eq!((seen.place, seen.marker), (route_place(fixture), Some(marker('a'))));
        assert_eq!(seen.spec, Some(spec(fixture, 80)));
        assert_eq!(seen.version, version);
    }
    let listed = fixture.routes.list().await.unwrap();
    assert!(listed.iter().any(|route| route.place == route_place(fixture)));
    let shown = fixture.cluster.overview(&fixture.friend).await.unwrap();
    assert_eq!(shown.routes[0].hostname.as_deref(), Some(host(fixture).as_str()));
}

async fn what_exists_is_never_created_over(fixture: &Fixture) {
    let version = made(fixture).await;
    let again = fixture.routes.create(&route_place(fixture), &spec(fixture, 81), &marker('b')).await.unwrap();
    assert_eq!(again, RouteCreated::Exists);
    assert_eq!(own(fixture, Freshness::Live).await.unwrap().version, version);
}

async fn there_is_no_route_without_a_namespace(fixture: &Fixture) {
    let created = fixture.routes.create(&route_place(fixture), &spec(fixture, 80), &marker('a')).await.unwrap();
    assert_eq!(created, RouteCreated::NamespaceGone);
    for freshness in [Freshness::Live, Freshness::Watched] {
        assert_eq!(own(fixture, freshness).await, None);
    }
}

async fn a_route_is_changed_if_it_is_the_version_that_was_seen_and_carries_the_mark(fixture: &Fixture) {
    let seen = made(fixture).await;
    let change = |marker: OwnershipMarker, version: RouteVersion| async move {
        fixture.routes.change(&route_place(fixture), &spec(fixture, 81), &marker, &version).await.unwrap()
    };
    let other_uid = RouteVersion { uid: "00000000-0000-4000-8000-ffffffffffff".to_owned(), ..seen.clone() };
    let older = RouteVersion { resource_version: "1".to_owned(), ..seen.clone() };
    assert_eq!(change(marker('b'), seen.clone()).await, RouteChanged::Stale);
    assert_eq!(change(marker('a'), other_uid).await, RouteChanged::Stale);
    assert_eq!(change(marker('a'), older).await, RouteChanged::Stale);
    assert_eq!(own(fixture, Freshness::Live).await.unwrap().spec, Some(spec(fixture, 80)));

    assert_eq!(change(marker('a'), seen.clone()).await, RouteChanged::Done);
    for freshness in [Freshness::Live, Freshness::Watched] {
        let now = own(fixture, freshness).await.unwrap();
        assert_eq!(now.spec, Some(spec(fixture, 81)), "{freshness:?}");
        assert_eq!(now.version.uid, seen.uid);
        assert_ne!(now.version, seen);
    }
    assert_eq!(change(marker('a'), seen).await, RouteChanged::Stale);
}

async fn what_was_added_by_hand_is_seen_and_taken_back(fixture: &Fixture) {
    made(fixture).await;
    fixture.edit_route_by_hand(&route_place(fixture)).await;
    let edited = own(fixture, Freshness::Live).await.unwrap();
    assert_eq!((edited.spec, edited.marker), (None, Some(marker('a'))));
    let changed =
        fixture.routes.change(&route_place(fixture), &spec(fixture, 80), &marker('a'), &edited.version).await.unwrap();
    assert_eq!(changed, RouteChanged::Done);
    assert_eq!(own(fixture, Freshness::Live).await.unwrap().spec, Some(spec(fixture, 80)));
}

async fn a_route_is_deleted_if_it_is_the_object_that_was_seen_and_carries_the_mark(fixture: &Fixture) {
    let seen = made(fixture).await;
    let delete = |marker: OwnershipMarker, version: RouteVersion| async move {
        fixture.routes.delete(&route_place(fixture), &marker, &version).await.unwrap()
    };
    let other_uid = RouteVersion { uid: "00000000-0000-4000-8000-ffffffffffff".to_owned(), ..seen.clone() };
    assert_eq!(delete(marker('b'), seen.clone()).await, RouteChanged::Stale);
    assert_eq!(delete(marker('a'), other_uid).await, RouteChanged::Stale);
    assert!(own(fixture, Freshness::Live).await.is_some());

    assert_eq!(delete(marker('a'), seen.clone()).await, RouteChanged::Done);
    for freshness in [Freshness::Live, Freshness::Watched] {
        assert_eq!(own(fixture, freshness).await, None, "{freshness:?}");
    }
    assert_eq!(delete(marker('a'), seen.clone()).await, RouteChanged::Absent);
    let changed = fixture.routes.change(&route_place(fixture), &spec(fixture, 80), &marker('a'), &seen).await.unwrap();
    assert_eq!(changed, RouteChanged::Absent);
    assert!(fixture.cluster.overview(&fixture.friend).await.unwrap().routes.is_empty());
}

async fn whoever_claims_the_hostname_is_seen_wherever_they_are(fixture: &Fixture) {
    fixture.make_namespace().await;
    let host = host(fixture);
    let elsewhere = format!("elsewhere-{}", fixture.friend);
    fixture.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {elsewhere}}}}}")).await;
    let ingress = format!("{{rules: [{{host: {host}}}]}}");
    let metadata = format!("{{name: ingress, namespace: {elsewhere}}}");
    fixture
        .apply(&format!("{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {metadata}, spec: {ingress}}}"))
        .await;
    let metadata = format!("{{name: tcp, namespace: {elsewhere}}}");
    let tcp = format!("{{routes: [{{match: 'HostSNI(`*.your-domain.net`) && HostSNI(`{host}`)'}}]}}");
    fixture
        .apply(&format!(
            "{{apiVersion: traefik.io/v1alpha1, kind: IngressRouteTCP, metadata: {metadata}, spec: {tcp}}}"
        ))
        .await;
    for (name, rule) in [
        ("inside", format!("PathPrefix(`/x`) || Host(`other.net`) || Host(`{host}`)")),
        ("pattern", format!("HostRegexp(`^my-app-{}[.]your-domain[.]net$`)", fixture.friend)),
        ("dashboard", "PathPrefix(`/dashboard`)".to_owned()),
        ("other", "Host(`other.net`)".to_owned()),
    ] {
        let spec = format!("{{routes: [{{kind: Rule, match: '{rule}', services: [{{name: a, port: 80}}]}}]}}");
        let metadata = format!("{{name: {name}, namespace: {elsewhere}}}");
        fixture
            .apply(&format!(
                "{{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {metadata}, spec: {spec}}}"
            ))
            .await;
    }
    let hosts = [host];
    let claims = || async { fixture.routes.claims(&route_place(fixture), &hosts).await.unwrap() };
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
        let look = fixture.routes.look(&route_place(fixture), &hosts, freshness).await.unwrap();
        assert_eq!(look.others, [], "none of them carries a marker");
    }
}

async fn a_service_is_known_by_its_tcp_ports(fixture: &Fixture) {
    let web = ServiceName::parse("web").unwrap();
    let look = |freshness| {
        let web = web.clone();
        async move { fixture.services.look(&fixture.friend, &web, freshness).await.unwrap() }
    };
    let both = [Freshness::Live, Freshness::Watched];
    for freshness in both {
        assert_eq!(look(freshness).await, ServiceState::NamespaceGone);
    }
    fixture.make_namespace().await;
    for freshness in both {
        assert_eq!(look(freshness).await, ServiceState::Absent);
    }
    let namespace = fixture.namespace();
    let ports = "[{name: a, port: 8080}, {name: b, port: 80, protocol: TCP}, {name: c, port: 53, protocol: UDP}]";
    fixture.apply(&format!("{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: {namespace}}}, spec: {{ports: {ports}}}}}")).await;
    let expected = ServiceState::Tcp([80, 8080].map(|port| ServicePort::parse(port).unwrap()).to_vec());
    for freshness in both {
        until(|| async { look(freshness).await == expected }).await;
    }
    assert_eq!(look(Freshness::Live).await, expected);
}

async fn an_external_name_and_a_namespace_that_ends_are_told_apart(fixture: &Fixture) {
    fixture.make_namespace().await;
    let namespace = fixture.namespace();
    let spec = "{type: ExternalName, externalName: example.net}";
    fixture
        .apply(&format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: {namespace}}}, spec: {spec}}}"
        ))
        .await;
    let web = ServiceName::parse("web").unwrap();
    let look = || async { fixture.services.look(&fixture.friend, &web, Freshness::Live).await.unwrap() };
    assert_eq!(look().await, ServiceState::ExternalName);
    fixture.end_namespace().await;
    until(|| async { look().await == ServiceState::NamespaceGone }).await;
    let shown = || async { fixture.cluster.overview(&fixture.friend).await.unwrap() };
    until(|| async { shown().await.phase != Some(Phase::Active) }).await;
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
}
