//! A hostname as a browser gets to it: by the name server's answer, then through Traefik.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::backend::Backend;
use crate::configuration::Domain;
use crate::fixture::{Fixture, until};
use crate::kubectl::tier_variable;
use crate::name_server::NameServer;
use crate::portal::Reply;

/// Asks the name server where a hostname is and sends a request there, to the port where Traefik listens.
async fn browse(server: &NameServer, hostname: &str) -> anyhow::Result<(StatusCode, String)> {
    let (_, addresses) = server.ask(hostname, RecordType::A).await?;
    let [address] = &*addresses else { anyhow::bail!("{hostname} is at {addresses:?}") };
    visit(hostname, address.parse()?).await
}

async fn visit(hostname: &str, address: IpAddr) -> anyhow::Result<(StatusCode, String)> {
    let port = tier_variable("TEST_INGRESS")?.parse::<SocketAddr>()?.port();
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(10));
    let client = client.resolve(hostname, SocketAddr::new(address, port)).build()?;
    let response = client.get(format!("http://{hostname}:{port}/")).send().await?;
    Ok((response.status(), response.text().await?))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_hostname_leads_by_dns_and_traefik_to_the_service_until_it_is_removed() -> anyhow::Result<()> {
    let (mut fixture, one) = (Fixture::start().await?, Backend::start("one").await?);
    let server = NameServer::of_tier()?;
    fixture.offer(&[Domain::at_name_server(&server.zone, &server)]).await?;
    fixture.serve(&[&one]).await?;
    let hostname = format!("web-{}.{}", fixture.friend, server.zone);
    let marker = format!("_friend-portal.{hostname}");
    for name in [&hostname, &marker] {
        assert_eq!(server.ask(name, RecordType::ANY).await?, (ResponseCode::NXDomain, Vec::new()), "{name}");
    }

    let Reply { status, body, .. } = fixture.expose(80).await?;
    assert_eq!((status, &body["status"]), (StatusCode::CREATED, &json!("active")), "{body}");
    assert_eq!(body["hostname"], hostname);
    let told = server.ask(&hostname, RecordType::A).await?;
    assert_eq!(told, (ResponseCode::NoError, vec!["127.0.0.1".to_owned()]));
    let (_, markers) = server.ask(&marker, RecordType::TXT).await?;
    ensure!(matches!(&*markers, [marker] if marker.starts_with("friend-portal/")), "{markers:?}");
    until("the hostname leads to the backend", async || {
        Ok(browse(&server, &hostname).await? == (StatusCode::OK, "one".to_owned()))
    })
    .await?;

    let Reply { status, body, .. } = fixture.portal.api.delete("/namespace/expose/web").await?;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("removed")), "{body}");
    for name in [&hostname, &marker] {
        assert_eq!(server.ask(name, RecordType::ANY).await?, (ResponseCode::NXDomain, Vec::new()), "{name}");
    }
    // Whoever remembers the address is told by Traefik that there is nothing.
    let address = told.1.first().context("it had an address")?.parse()?;
    until("Traefik forgot the hostname", async || Ok(visit(&hostname, address).await?.0 == StatusCode::NOT_FOUND)).await
}
