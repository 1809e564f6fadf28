//! A service on the internet, from the first request to the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::ensure;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::fixture::{DOMAIN, Fixture, OTHER_DOMAIN, until};
use crate::portal::Reply;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_service_is_reached_under_its_hostname_until_it_is_removed() -> anyhow::Result<()> {
    let (fixture, one) = (Fixture::start().await?, Backend::start("one").await?);
    fixture.serve(&[&one]).await?;
    assert_eq!(fixture.visit().await?.0, StatusCode::NOT_FOUND);

    let Reply { status, body, .. } = fixture.expose(80).await?;
    assert_eq!((status, &body["status"]), (StatusCode::CREATED, &json!("active")), "{body}");
    assert_eq!(body["hostname"], fixture.hostname());
    assert!(fixture.has_record());
    until("Traefik knows the hostname", async || Ok(fixture.visit().await? == (StatusCode::OK, "one".to_owned())))
        .await?;

    let shown = fixture.portal.api.namespace().await?;
    let route = &shown["ingressRoutes"][0];
    assert_eq!(shown["ingressRoutes"].as_array().map(Vec::len), Some(1));
    assert_eq!((&route["name"], &route["service"]), (&json!("expose-web"), &json!("web")));
    assert_eq!(route["hostname"], fixture.hostname());
    assert_eq!(route["exposure"]["status"], "active");

    let Reply { status, body, .. } = fixture.portal.api.delete("/namespace/expose/web").await?;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("removed")), "{body}");
    assert_eq!(fixture.portal.api.namespace().await?["ingressRoutes"], json!([]));
    assert!(!fixture.has_record());
    until("Traefik forgot the hostname", async || Ok(fixture.visit().await?.0 == StatusCode::NOT_FOUND)).await?;
    // Nothing was wrong, not even while the cluster was still being listed.
    let warnings = fixture.portal.logged_at("WARN");
    assert!(warnings.is_empty(), "{warnings:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn no_request_fails_while_the_port_is_changed() -> anyhow::Result<()> {
    let (one, two) = (Backend::start("one").await?, Backend::start("two").await?);
    let fixture = Arc::new(Fixture::start().await?);
    fixture.serve(&[&one, &two]).await?;
    fixture.exposed().await?;

    let (stop, visits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (visitor, stopped, counted) = (fixture.clone(), stop.clone(), visits.clone());
    let hammer = tokio::spawn(async move {
        let mut seen = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            let (status, who) = visitor.visit().await?;
            ensure!(status == StatusCode::OK, "visit {}: {status} {who}", counted.load(Ordering::Relaxed));
            counted.fetch_add(1, Ordering::Relaxed);
            if seen.last() != Some(&who) {
                seen.push(who);
            }
        }
        Ok(seen)
    });
    until("some visits", async || Ok(visits.load(Ordering::Relaxed) >= 20)).await?;
    let Reply { status, body, .. } = fixture.expose(81).await?;
    assert_eq!((status, &body["port"], &body["status"]), (StatusCode::OK, &json!(81), &json!("active")), "{body}");
    until("the other backend answers", async || Ok(fixture.visit().await?.1 == "two")).await?;
    let so_far = visits.load(Ordering::Relaxed);
    until("some more visits", async || Ok(visits.load(Ordering::Relaxed) >= so_far + 20)).await?;
    stop.store(true, Ordering::Relaxed);
    assert_eq!(hammer.await??, ["one", "two"]);
    assert_eq!(fixture.exposure().await?["port"], 81);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn no_request_fails_while_the_domain_is_changed() -> anyhow::Result<()> {
    let one = Backend::start("one").await?;
    let fixture = Arc::new(Fixture::start().await?);
    fixture.serve(&[&one]).await?;
    fixture.exposed().await?;

    let stop = Arc::new(AtomicBool::new(false));
    let visits = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let (visitor, is_over, counted) = (fixture.clone(), stop.clone(), visits.clone());
    let hammer = tokio::spawn(async move {
        let [old, new] = [DOMAIN, OTHER_DOMAIN].map(|domain| visitor.hostname_in(domain));
        let reaches = async |host: &str| Ok::<_, anyhow::Error>(visitor.visit_at(host).await?.0 == StatusCode::OK);
        let [before, after] = &counted;
        while !is_over.load(Ordering::Relaxed) {
            if after.load(Ordering::Relaxed) > 0 {
                ensure!(reaches(&new).await?, "the new hostname was lost again");
                after.fetch_add(1, Ordering::Relaxed);
            } else if reaches(&new).await? {
                after.fetch_add(1, Ordering::Relaxed);
            } else if reaches(&old).await? {
                before.fetch_add(1, Ordering::Relaxed);
            } else {
                // No gap if Traefik took up the move between the two questions.
                ensure!(reaches(&new).await?, "neither hostname answers");
            }
        }
        Ok(())
    });
    let [before, after] = &visits;
    until("some visits", async || Ok(before.load(Ordering::Relaxed) >= 20)).await?;
    let Reply { status, body, .. } = fixture.expose_in(OTHER_DOMAIN).await?;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("active")), "{body}");
    assert_eq!(body["hostname"], fixture.hostname_in(OTHER_DOMAIN));
    assert_eq!((fixture.has_record(), fixture.has_record_in(OTHER_DOMAIN)), (false, true));
    until("visits after the move", async || Ok(hammer.is_finished() || after.load(Ordering::Relaxed) >= 100)).await?;
    stop.store(true, Ordering::Relaxed);
    hammer.await??;
    until("the old hostname is forgotten", async || Ok(fixture.visit().await?.0 == StatusCode::NOT_FOUND)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn nothing_is_exposed_that_is_not_there() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let Reply { status, body, .. } = fixture.expose(80).await?;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    let one = Backend::start("one").await?;
    fixture.serve(&[&one]).await?;
    let Reply { status, body, .. } = fixture.expose(8080).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    assert_eq!(fixture.exposure().await?, Value::Null);
    assert!(!fixture.has_record());
    Ok(())
}
