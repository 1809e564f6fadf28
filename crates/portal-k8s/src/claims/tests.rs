//! Claims of every kind of object.

use serde_json::{Value, json};

use super::{Claim, ClaimKind, HostClaims};

const HOST: &str = "app-alice.example.net";

fn claims(kind: ClaimKind, spec: &Value) -> HostClaims {
    HostClaims::read(kind, None, spec)
}

#[track_caller]
fn check(kind: ClaimKind, spec: &Value, claimed: bool) {
    assert_eq!(claims(kind, spec).claim(HOST).is_some(), claimed, "{kind:?} {spec}");
}

#[test]
fn an_ingress_claims_its_hosts_and_a_wildcard_one_label() {
    for (host, claimed) in [
        (HOST, true),
        ("APP-alice.example.net", true),
        ("*.example.net", true),
        ("*.net", false),
        ("*.app-alice.example.net", false),
        ("other.example.net", false),
    ] {
        check(ClaimKind::Ingress, &json!({"rules": [{"http": {}}, {"host": host}]}), claimed);
    }
    check(ClaimKind::Ingress, &json!({"defaultBackend": {}, "tls": [{"hosts": [HOST]}]}), false);
}

#[test]
fn an_ingress_claims_its_aliases() {
    let annotations = [("nginx.ingress.kubernetes.io/server-alias".to_owned(), format!("a.net, {HOST}"))].into();
    let claims = HostClaims::read(ClaimKind::Ingress, Some(&annotations), &json!({}));
    assert!(claims.claim(HOST).is_some() && claims.claim("b.net").is_none());
}

#[test]
fn routes_of_the_gateway_api_claim_their_hostnames_and_a_wildcard_any_depth() {
    for kind in [ClaimKind::HttpRoute, ClaimKind::GrpcRoute, ClaimKind::TlsRoute] {
        for (host, claimed) in [(HOST, true), ("*.example.net", true), ("*.net", true), ("*.other.net", false)] {
            check(kind, &json!({"hostnames": ["a.net", host]}), claimed);
        }
        check(kind, &json!({"parentRefs": []}), false);
    }
}

#[test]
fn tcp_routes_claim_by_server_name() {
    for kind in [ClaimKind::IngressRouteTcp, ClaimKind::LegacyIngressRouteTcp] {
        for (rule, claimed) in [
            ("HostSNI(`app-alice.example.net`)", true),
            ("HostSNI(`a.net`, `App-Alice.example.net.`)", true),
            ("HostSNI(`*.example.net`) && ClientIP(`10.0.0.0/8`)", true),
            (r"HostSNIRegexp(`^.+\.example\.net$`)", true),
            ("HostSNIRegexp(`{name:[a-z-]+}.example.net`)", true),
            ("HostSNI(`*`)", false),
            ("Host(`app-alice.example.net`)", false),
        ] {
            check(kind, &json!({"routes": [{"match": rule}]}), claimed);
        }
    }
}

#[test]
fn the_old_group_is_read_like_the_new_one() {
    check(ClaimKind::LegacyIngressRoute, &json!({"routes": [{"match": "HostHeader(`app-alice.example.net`)"}]}), true);
    assert_eq!(ClaimKind::of("traefik.containo.us/v1alpha1", "IngressRoute"), Some(ClaimKind::LegacyIngressRoute));
    assert_eq!(ClaimKind::of("traefik.io/v1alpha1", "IngressRoute"), None);
    assert_eq!(ClaimKind::of("v1", "Service"), None);
}

#[test]
fn an_object_of_another_shape_claims_nothing() {
    for kind in ClaimKind::ALL {
        for spec in [
            json!(null),
            json!(7),
            json!({"routes": 1, "rules": {}, "hostnames": [1, null]}),
            json!({"routes": [7, {}]}),
        ] {
            assert_eq!(claims(kind, &spec).claim(HOST), None, "{kind:?} {spec}");
        }
    }
}

#[test]
fn the_strongest_of_several_claims_counts() {
    let unreadable = r"HostRegexp(`^(?!www).+\.example\.net$`)";
    let spec = json!({"routes": [{"match": unreadable, "priority": 900}]});
    let kind = ClaimKind::LegacyIngressRoute;
    assert_eq!(claims(kind, &spec).claim(HOST), Some(Claim { is_certain: false, priority: 900 }));
    let rule = format!("Host(`{HOST}`)");
    let spec = json!({"routes": [{"match": unreadable, "priority": 900}, {"match": rule}]});
    assert_eq!(claims(kind, &spec).claim(HOST), Some(Claim { is_certain: true, priority: 900 }));
    let spec = json!({"routes": [{"match": rule, "priority": 0}]});
    let length = i64::try_from(rule.len()).unwrap();
    assert_eq!(claims(kind, &spec).claim(HOST), Some(Claim { is_certain: true, priority: length }));
}

#[test]
fn a_priority_of_0_is_none_in_an_ingress_too() {
    let spec = json!({"rules": [{"host": HOST}]});
    for (set, expected) in [("7", 7), ("0", super::COMPUTED_PRIORITY), ("high", super::COMPUTED_PRIORITY)] {
        let annotations = [(super::INGRESS_PRIORITY.to_owned(), set.to_owned())].into();
        let claim = HostClaims::read(ClaimKind::Ingress, Some(&annotations), &spec).claim(HOST);
        assert_eq!(claim, Some(Claim { is_certain: true, priority: expected }), "{set}");
    }
}

#[test]
fn names_are_listed_where_nothing_else_can_be_claimed() {
    let names = |rule: &str| claims(ClaimKind::LegacyIngressRoute, &json!({"routes": [{"match": rule}]})).names();
    assert_eq!(names("Host(`b.net`) && PathPrefix(`/`) || Host(`A.net`)"), Some(vec!["a.net".into(), "b.net".into()]));
    assert_eq!(names("PathPrefix(`/`)"), Some(vec![]));
    for rule in ["Host(`*.a.net`)", "HostRegexp(`a`)", "Host(`a.net`", "Host(`a.net`) || HostRegexp(`(`)"] {
        assert_eq!(names(rule), None, "{rule}");
    }
}
