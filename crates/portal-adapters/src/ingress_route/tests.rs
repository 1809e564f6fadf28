//! Routes of ours come back as they were written; anything else does not look like ours.

use portal_core::SeededIds;
use portal_dns::{
    EXPOSURE_LABEL, ExposureId, Hostname, InstanceId, OwnershipMarker, RoutePlace, RouteSpec, ServiceName, ServicePort,
    Tls,
};
use portal_k8s::IngressRoute;
use serde_json::json;

use super::{object, observed};

fn route_place() -> RoutePlace {
    RoutePlace { namespace: "friend-alice".to_owned(), name: "expose-my-app".to_owned() }
}

fn marker() -> OwnershipMarker {
    let ids = SeededIds::from_seed(7);
    OwnershipMarker {
        instance: InstanceId::parse("00112233445566778899aabbccddeeff").unwrap(),
        exposure: ExposureId::random(&ids),
    }
}

fn spec(tls: Tls) -> RouteSpec {
    RouteSpec {
        hosts: ["my-app-alice.new.net", "my-app-alice.old.net"].map(|host| Hostname::parse(host).unwrap()).to_vec(),
        service: ServiceName::parse("my-app").unwrap(),
        port: ServicePort::parse(80).unwrap(),
        entry_points: vec!["websecure".to_owned()],
        tls,
        priority: None,
    }
}

/// The object as a cluster returns it.
fn stored(route: &IngressRoute) -> IngressRoute {
    let mut stored = route.clone();
    stored.metadata.uid = Some("u".to_owned());
    stored.metadata.resource_version = Some("1".to_owned());
    stored
}

/// Checks that the route still has a specification of ours after `edit`, or that it has none.
#[track_caller]
fn check_edited(edit: impl FnOnce(&mut serde_json::Value), understood: bool) {
    let mut wire = serde_json::to_value(stored(&object(&route_place(), &spec(Tls::Default), &marker()))).unwrap();
    edit(&mut wire);
    let route = observed(&serde_json::from_value(wire).unwrap()).unwrap();
    assert_eq!(route.spec.is_some(), understood);
}

#[test]
fn a_route_of_ours_is_read_as_it_was_written() {
    for tls in [Tls::Off, Tls::Default, Tls::Secret("cert".to_owned()), Tls::Resolver("le".to_owned())] {
        let route = observed(&stored(&object(&route_place(), &spec(tls.clone()), &marker()))).unwrap();
        assert_eq!(route.place, route_place());
        assert_eq!(route.marker, Some(marker()));
        assert_eq!(route.spec, Some(spec(tls)));
        assert_eq!((route.version.uid.as_str(), route.version.resource_version.as_str()), ("u", "1"));
    }
}

#[test]
fn a_route_is_sent_as_traefik_reads_it() {
    let sent = serde_json::to_value(object(&route_place(), &spec(Tls::Resolver("le".to_owned())), &marker())).unwrap();
    assert_eq!(sent["metadata"]["labels"][EXPOSURE_LABEL], json!(marker().exposure.to_string()));
    let expected = json!({
        "entryPoints": ["websecure"],
        "routes": [{
            "kind": "Rule",
            "match": "Host(`my-app-alice.new.net`) || Host(`my-app-alice.old.net`)",
            "services": [{"name": "my-app", "port": 80}],
        }],
        "tls": {"certResolver": "le"},
    });
    assert_eq!(sent["spec"], expected);
}

#[test]
fn a_priority_is_part_of_the_specification() {
    let wanted = RouteSpec { priority: Some(40), ..spec(Tls::Default) };
    let mut wire = serde_json::to_value(stored(&object(&route_place(), &wanted, &marker()))).unwrap();
    assert_eq!(wire["spec"]["routes"][0]["priority"], json!(40));
    assert_eq!(observed(&serde_json::from_value(wire.clone()).unwrap()).unwrap().spec, Some(wanted.clone()));
    wire["spec"]["routes"][0]["priority"] = json!(10);
    assert_ne!(observed(&serde_json::from_value(wire).unwrap()).unwrap().spec, Some(wanted));
}

#[test]
fn what_was_added_by_hand_is_not_overlooked() {
    check_edited(|_| {}, true);
    check_edited(|wire| wire["metadata"]["annotations"] = json!({"note": "mine"}), true);
    check_edited(|wire| wire["spec"]["routes"][0]["middlewares"] = json!([{"name": "auth"}]), false);
    check_edited(|wire| wire["spec"]["routes"][0]["services"][0]["weight"] = json!(1), false);
    check_edited(|wire| wire["spec"]["routes"][0]["services"][0]["port"] = json!("http"), false);
    check_edited(|wire| wire["spec"]["routes"][0]["match"] = json!("Host(`a.net`) && PathPrefix(`/`)"), false);
    check_edited(|wire| wire["spec"]["routes"][0]["match"] = json!("PathPrefix(`/`)"), false);
    check_edited(|wire| wire["spec"]["tls"]["options"] = json!({"name": "old"}), false);
    check_edited(|wire| wire["spec"]["tls"] = json!({"secretName": "a", "certResolver": "b"}), false);
    check_edited(|wire| wire["spec"]["routes"] = json!([]), false);
}

#[test]
fn a_mark_is_both_labels_well_formed() {
    for labels in [json!(null), json!({}), json!({EXPOSURE_LABEL: marker().exposure.to_string()})] {
        let mut wire = serde_json::to_value(stored(&object(&route_place(), &spec(Tls::Off), &marker()))).unwrap();
        wire["metadata"]["labels"] = labels;
        assert_eq!(observed(&serde_json::from_value(wire).unwrap()).unwrap().marker, None);
    }
}
