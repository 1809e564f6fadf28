//! What only a name server can show.

use std::sync::Arc;

use portal_adapters::SystemClock;
use portal_adapters::rfc2136::{Rfc2136Records, Rfc2136Settings};
use portal_core::{BackendError, BackendErrorKind};
use portal_dns::{DomainName, Ensured, Observed, Records, Removed};
use portal_testkit::contract::records::{address, alice, tunnel, wanted};

use super::{delete, resolve, settings, zone};

fn open(settings: &Rfc2136Settings) -> Rfc2136Records {
    Rfc2136Records::new(settings, Arc::new(SystemClock)).unwrap()
}

#[tokio::test]
#[ignore = "tier dns"]
async fn anybody_who_asks_the_server_is_told_the_record() {
    let zone = zone().await;
    for (label, target, kind, content) in
        [("cname-alice", tunnel(), "CNAME", "tunnel.example.net"), ("a-alice", address(7), "A", "192.0.2.7")]
    {
        let host = zone.host(label);
        assert_eq!(resolve(&host, kind).await, Vec::<String>::new());
        zone.ensure(&host, &wanted(1, target)).await;
        assert_eq!(resolve(&host, kind).await, [content]);
        assert_eq!(zone.remove(&host, 1).await, Removed::Done);
        assert_eq!(resolve(&host, kind).await, Vec::<String>::new());
    }
}

#[tokio::test]
#[ignore = "tier dns"]
async fn a_record_that_was_deleted_by_hand_is_put_back_by_its_mark() {
    let zone = zone().await;
    let (host, wanted) = (zone.host("app-alice"), wanted(1, address(7)));
    zone.ensure(&host, &wanted).await;
    delete(&host).await;
    assert_eq!(zone.records_at(&host).await, []);
    let Observed::Marked(shown) = zone.look(&host).await else { panic!("the marker is still there") };
    assert_eq!((&shown.marker, shown == wanted), (&wanted.marker, false));
    assert_eq!(zone.ensure(&host, &wanted).await, Ensured::Changed);
    assert_eq!(zone.look(&host).await, Observed::Marked(wanted));
}

#[tokio::test]
#[ignore = "tier dns"]
async fn a_mark_without_its_record_is_removed() {
    let zone = zone().await;
    let host = zone.host("app-alice");
    zone.ensure(&host, &wanted(1, address(7))).await;
    delete(&host).await;
    assert_eq!(zone.remove(&host, 1).await, Removed::Done);
    assert_eq!(zone.look(&host).await, Observed::Absent);
    assert_eq!(zone.ensure(&host, &wanted(2, tunnel())).await, Ensured::Created);
}

#[tokio::test]
#[ignore = "tier dns"]
async fn somebody_elses_addresses_beside_ours_stop_every_change_but_the_removal() {
    let zone = zone().await;
    let host = zone.host("app-alice");
    zone.ensure(&host, &wanted(1, address(7))).await;
    zone.insert_at(&host, "A", "198.51.100.1").await;
    let before = zone.editor.unmarked().await;
    assert_eq!(zone.ensure(&host, &wanted(1, address(7))).await, Ensured::Same);
    for target in [address(8), tunnel()] {
        assert_eq!(zone.ensure(&host, &wanted(1, target)).await, Ensured::Foreign);
    }
    assert_eq!(zone.remove(&host, 1).await, Removed::Done);
    assert_eq!(zone.editor.unmarked().await, before);
}

#[tokio::test]
#[ignore = "tier dns"]
async fn what_stands_where_the_mark_belongs_refuses_the_name() {
    let zone = zone().await;
    for (label, kind, content) in [("txt-alice", "TXT", "no marker"), ("cname-alice", "CNAME", "elsewhere.example.net")]
    {
        let host = zone.host(label);
        zone.editor.insert(&format!("_friend-portal.{host}"), kind, content).await;
        let before = zone.editor.unmarked().await;
        assert_eq!(zone.look(&host).await, Observed::Foreign, "{kind}");
        for seen in [Observed::Absent, Observed::Foreign] {
            let ensured = zone.ensure_observed(&host, &wanted(1, address(7)), &seen).await;
            assert_eq!(ensured, Ensured::Foreign, "{kind}");
        }
        assert!(zone.records.list().await.unwrap().contains(&(host.clone(), Observed::Foreign)), "{kind}");
        assert_eq!(zone.remove(&host, 1).await, Removed::Foreign, "{kind}");
        assert_eq!(zone.editor.unmarked().await, before, "{kind}");
    }
}

#[tokio::test]
#[ignore = "tier dns"]
async fn a_key_that_the_server_refuses_is_a_denial() {
    let given = settings();
    let host = zone().await.host("app-alice");
    let wrong_secret = Rfc2136Settings { key_secret: "d3Jvbmc=".to_owned().into(), ..given.clone() };
    let wrong_name = Rfc2136Settings { key_name: "stranger".to_owned(), ..given.clone() };
    let outside = DomainName::parse("example.org").unwrap();
    let not_served = Rfc2136Settings { zone: outside.clone(), domain: outside, ..given };
    for settings in [wrong_secret, wrong_name, not_served] {
        let records = open(&settings);
        let wanted = wanted(1, tunnel());
        for error in [
            records.ensure(&host, &wanted, &Observed::Absent, &alice()).await.unwrap_err(),
            records.list().await.unwrap_err(),
        ] {
            assert!(
                matches!(error, BackendError { kind: BackendErrorKind::Denied, .. }),
                "{}: {error:?}",
                settings.key_name
            );
        }
    }
}
