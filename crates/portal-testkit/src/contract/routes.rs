//! Routes and Services of a cluster, as exposing a service needs them.

use portal_core::FriendId;
use portal_dns::{
    ExposureId, ExposureName, Freshness, Hostname, InstanceId, ObservedRoute, ObservedRoutes, OwnershipMarker,
    RouteChanged, RouteCreated, RoutePlace, RouteSpec, RouteVersion, ServiceName, ServicePort, ServiceState, Tls,
};

use crate::fixture::ClusterFixture;

fn route_place(friend: &str, name: &str) -> RoutePlace {
    RoutePlace::of(&FriendId::parse(friend).unwrap(), &ExposureName::parse(name).unwrap())
}

fn host(label: &str) -> Hostname {
    Hostname::parse(&format!("{label}.example.org")).unwrap()
}

fn marker(number: u8) -> OwnershipMarker {
    OwnershipMarker {
        instance: InstanceId::parse(&"0".repeat(32)).unwrap(),
        exposure: ExposureId::parse(&format!("{number:032x}")).unwrap(),
    }
}

fn spec(labels: &[&str]) -> RouteSpec {
    RouteSpec {
        hosts: labels.iter().map(|label| host(label)).collect(),
        service: ServiceName::parse("web").unwrap(),
        port: ServicePort::parse(80).unwrap(),
        entry_points: vec!["websecure".to_owned()],
        tls: Tls::Default,
        priority: None,
    }
}

/// Somebody's route with this rule.
fn theirs(name: &str, rule: &str) -> String {
    format!(
        "{{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {{name: {name}}}, spec: {{routes: [{{kind: Rule, match: '{rule}', services: [{{name: web, port: 80}}]}}]}}}}"
    )
}

impl ClusterFixture {
    async fn look(&self, place: &RoutePlace, labels: &[&str]) -> ObservedRoutes {
        let hosts: Vec<_> = labels.iter().map(|label| host(label)).collect();
        self.routes.look(place, &hosts, Freshness::Live).await.unwrap()
    }

    /// Names of the objects that claim one of the hosts.
    async fn claimants(&self, place: &RoutePlace, labels: &[&str]) -> Vec<String> {
        let hosts: Vec<_> = labels.iter().map(|label| host(label)).collect();
        let claims = self.routes.claims(place, &hosts).await.unwrap();
        let mut names: Vec<_> = claims.into_iter().map(|claim| claim.place.name).collect();
        names.sort_unstable();
        names
    }

    async fn own(&self, place: &RoutePlace) -> ObservedRoute {
        self.look(place, &["none"]).await.own.unwrap()
    }

    async fn create(&self, place: &RoutePlace, spec: &RouteSpec) -> RouteCreated {
        self.routes.create(place, spec, &marker(1)).await.unwrap()
    }

    async fn change(&self, place: &RoutePlace, spec: &RouteSpec, number: u8, version: &RouteVersion) -> RouteChanged {
        self.routes.change(place, spec, &marker(number), version).await.unwrap()
    }

    async fn delete(&self, place: &RoutePlace, number: u8, version: &RouteVersion) -> RouteChanged {
        self.routes.delete(place, &marker(number), version).await.unwrap()
    }

    async fn service(&self, friend: &str, name: &str) -> ServiceState {
        let (friend, name) = (FriendId::parse(friend).unwrap(), ServiceName::parse(name).unwrap());
        self.services.look(&friend, &name, Freshness::Live).await.unwrap()
    }
}

pub async fn where_there_is_nothing_nothing_is_seen(cluster: &ClusterFixture) {
    let place = route_place("alice", "app");
    assert_eq!(cluster.look(&place, &["app-alice"]).await, ObservedRoutes::default());
    assert_eq!(cluster.routes.list().await.unwrap(), []);
    let version = RouteVersion { uid: "none".to_owned(), resource_version: "1".to_owned() };
    assert_eq!(cluster.change(&place, &spec(&["app-alice"]), 1, &version).await, RouteChanged::Absent);
    assert_eq!(cluster.delete(&place, 1, &version).await, RouteChanged::Absent);
}

pub async fn a_route_is_created_and_read_back_as_it_was_asked_for(cluster: &ClusterFixture) {
    let plain = spec(&["app-alice"]);
    for (name, spec) in [
        ("one", plain.clone()),
        ("two", spec(&["app-alice", "old-alice"])),
        ("off", RouteSpec { tls: Tls::Off, entry_points: Vec::new(), ..plain.clone() }),
        ("secret", RouteSpec { tls: Tls::Secret("wildcard".to_owned()), ..plain.clone() }),
        ("resolver", RouteSpec { tls: Tls::Resolver("letsencrypt".to_owned()), ..plain }),
    ] {
        let place = route_place("alice", name);
        assert_eq!(cluster.create(&place, &spec).await, RouteCreated::Done);
        let seen = cluster.own(&place).await;
        assert_eq!((&seen.place, seen.marker, seen.spec), (&place, Some(marker(1)), Some(spec)));
    }
}

pub async fn what_exists_is_never_overwritten(cluster: &ClusterFixture) {
    let place = route_place("alice", "app");
    cluster.editor.apply("friend-alice", &theirs("expose-app", "Host(`x.example.org`)")).await;
    let before = cluster.editor.route(&place).await;
    assert_eq!(cluster.create(&place, &spec(&["app-alice"])).await, RouteCreated::Exists);
    assert_eq!(cluster.editor.route(&place).await, before);
    assert_eq!(cluster.own(&place).await.marker, None);
}

pub async fn a_route_is_changed_only_as_it_was_seen(cluster: &ClusterFixture) {
    let place = route_place("alice", "app");
    cluster.create(&place, &spec(&["app-alice"])).await;
    let first = cluster.own(&place).await;
    let both = spec(&["new-alice", "app-alice"]);
    assert_eq!(cluster.change(&place, &both, 1, &first.version).await, RouteChanged::Done);
    let second = cluster.own(&place).await;
    assert_eq!((&second.spec, &second.version.uid), (&Some(both), &first.version.uid));
    let before = cluster.editor.route(&place).await;
    assert_eq!(cluster.change(&place, &spec(&["late-alice"]), 1, &first.version).await, RouteChanged::Stale);
    assert_eq!(cluster.editor.route(&place).await, before);
}

pub async fn a_route_without_our_marker_is_neither_changed_nor_deleted(cluster: &ClusterFixture) {
    let place = route_place("alice", "app");
    cluster.create(&place, &spec(&["app-alice"])).await;
    for unlabelled in [false, true] {
        if unlabelled {
            cluster.editor.remove_labels(&place).await;
        }
        let number = if unlabelled { 1 } else { 2 };
        let (before, seen) = (cluster.editor.route(&place).await, cluster.own(&place).await);
        assert_eq!(cluster.change(&place, &spec(&["x-alice"]), number, &seen.version).await, RouteChanged::Stale);
        assert_eq!(cluster.delete(&place, number, &seen.version).await, RouteChanged::Stale);
        assert_eq!(cluster.editor.route(&place).await, before);
    }
}

pub async fn a_route_is_deleted_only_if_it_is_the_one_that_was_seen(cluster: &ClusterFixture) {
    let place = route_place("alice", "app");
    cluster.create(&place, &spec(&["app-alice"])).await;
    let first = cluster.own(&place).await;
    assert_eq!(cluster.delete(&place, 1, &first.version).await, RouteChanged::Done);
    assert_eq!(cluster.delete(&place, 1, &first.version).await, RouteChanged::Absent);
    cluster.create(&place, &spec(&["app-alice"])).await;
    assert_eq!(cluster.delete(&place, 1, &first.version).await, RouteChanged::Stale, "another object of that name");
    let second = cluster.own(&place).await;
    assert_ne!(second.version.uid, first.version.uid);
    assert_eq!(cluster.delete(&place, 1, &second.version).await, RouteChanged::Done);
    assert_eq!(cluster.editor.route(&place).await, None);
}

pub async fn a_route_that_was_edited_does_not_say_what_we_said(cluster: &ClusterFixture) {
    let place = route_place("alice", "app");
    let wanted = spec(&["app-alice"]);
    for rule in ["Host(`evil.example.net`)", "Host(`app-alice.example.org`) && PathPrefix(`/x`)", "PathPrefix(`/`)"] {
        cluster.create(&place, &wanted).await;
        cluster.editor.set_rule(&place, rule).await;
        let edited = cluster.own(&place).await;
        assert_eq!(edited.marker, Some(marker(1)), "{rule}");
        assert_ne!(edited.spec.as_ref(), Some(&wanted), "{rule}");
        assert_eq!(cluster.change(&place, &wanted, 1, &edited.version).await, RouteChanged::Done, "{rule}");
        assert_eq!(cluster.own(&place).await.spec.as_ref(), Some(&wanted), "{rule}");
    }
}

pub async fn routes_of_any_namespace_that_could_match_are_seen(cluster: &ClusterFixture) {
    let mine = route_place("alice", "app");
    cluster.create(&mine, &spec(&["app-alice"])).await;
    for (namespace, name, rule) in [
        ("friend-bob", "host", "Host(`app-alice.example.org`)"),
        ("friend-bob", "path", "PathPrefix(`/x`) && Host(`App-Alice.example.org`)"),
        ("friend-alice", "either", "Host(`x.example.org`) || Host(`app-alice.example.org`)"),
        ("friend-bob", "other", "Host(`app-alicex.example.org`)"),
        ("friend-bob", "below", "Host(`x.app-alice.example.org`)"),
    ] {
        cluster.editor.apply(namespace, &theirs(name, rule)).await;
    }
    let copied = route_place("bob", "copied");
    cluster.create(&copied, &spec(&["app-alice"])).await;
    let seen = cluster.look(&mine, &["app-alice"]).await;
    assert_eq!(seen.others.iter().map(|other| &other.place).collect::<Vec<_>>(), [&copied]);
    assert_eq!(seen.own.unwrap().marker, Some(marker(1)));
    assert_eq!(cluster.claimants(&mine, &["app-alice"]).await, ["either", "host", "path"]);
    assert_eq!(cluster.claimants(&mine, &["none", "app-alicex"]).await, ["other"]);
}

pub async fn every_kind_that_can_claim_a_hostname_is_seen(cluster: &ClusterFixture) {
    let mine = route_place("alice", "app");
    for (name, version, kind, spec) in [
        (
            "old",
            "traefik.containo.us/v1alpha1",
            "IngressRoute",
            "{routes: [{match: 'HostHeader(`app-alice.example.org`)'}]}",
        ),
        ("tcp", "traefik.io/v1alpha1", "IngressRouteTCP", "{routes: [{match: 'HostSNI(`*.example.org`)'}]}"),
        ("tcp-all", "traefik.io/v1alpha1", "IngressRouteTCP", "{routes: [{match: 'HostSNI(`*`)'}]}"),
        ("ingress", "networking.k8s.io/v1", "Ingress", "{rules: [{host: '*.example.org'}]}"),
        ("ingress-other", "networking.k8s.io/v1", "Ingress", "{rules: [{host: other.example.org}]}"),
        ("http", "gateway.networking.k8s.io/v1", "HTTPRoute", "{hostnames: ['*.org']}"),
        ("grpc", "gateway.networking.k8s.io/v1", "GRPCRoute", "{hostnames: [app-alice.example.org]}"),
        ("tls", "gateway.networking.k8s.io/v1alpha2", "TLSRoute", "{hostnames: [app-alice.example.org]}"),
        ("odd", "gateway.networking.k8s.io/v1", "HTTPRoute", "{hostnames: {a: 1}}"),
    ] {
        let object = format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: {name}}}, spec: {spec}}}");
        cluster.editor.apply("friend-bob", &object).await;
    }
    assert_eq!(cluster.claimants(&mine, &["app-alice"]).await, ["grpc", "http", "ingress", "old", "tcp", "tls"]);
    assert_eq!(cluster.look(&mine, &["app-alice"]).await, ObservedRoutes::default());
}

pub async fn only_marked_routes_are_listed(cluster: &ClusterFixture) {
    cluster.create(&route_place("alice", "one"), &spec(&["one-alice"])).await;
    cluster.create(&route_place("bob", "two"), &spec(&["two-bob"])).await;
    cluster.editor.apply("friend-bob", &theirs("theirs", "Host(`x.example.org`)")).await;
    let mut listed: Vec<_> = cluster.routes.list().await.unwrap().into_iter().map(|route| route.place).collect();
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(listed, [route_place("alice", "one"), route_place("bob", "two")]);
}

pub async fn a_namespace_that_is_gone_takes_no_route(cluster: &ClusterFixture) {
    cluster
        .editor
        .apply("friend-alice", "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}")
        .await;
    cluster.editor.end_namespace("friend-alice").await;
    for friend in ["alice", "nobody"] {
        assert_eq!(
            cluster.create(&route_place(friend, "app"), &spec(&["app"])).await,
            RouteCreated::NamespaceGone,
            "{friend}"
        );
        assert_eq!(cluster.service(friend, "web").await, ServiceState::NamespaceGone, "{friend}");
    }
}

pub async fn a_service_is_known_by_its_tcp_ports(cluster: &ClusterFixture) {
    let services = r"
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: b, port: 9090}, {name: a, port: 80, protocol: TCP}, {name: dns, port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: example.org}
";
    cluster.editor.apply("friend-alice", services).await;
    let ports = |numbers: &[i64]| {
        ServiceState::Tcp(numbers.iter().map(|number| ServicePort::parse(*number).unwrap()).collect())
    };
    assert_eq!(cluster.service("alice", "web").await, ports(&[80, 9090]));
    assert_eq!(cluster.service("alice", "headless").await, ports(&[5432]));
    assert_eq!(cluster.service("alice", "outside").await, ServiceState::ExternalName);
    assert_eq!(cluster.service("alice", "none").await, ServiceState::Absent);
    assert_eq!(cluster.service("bob", "web").await, ServiceState::Absent);
}
