//! Domains that come and go while exposures stand.

use anyhow::{Context as _, ensure};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::configuration::Domain;
use crate::fixture::{DOMAIN, Fixture, until};
use crate::name_server::NameServer;
use crate::portal::{Reply, run};

/// A friend's portal with exposures at two providers.
struct Setup {
    fixture: Fixture,
    server: NameServer,
    /// At Cloudflare, and offered first.
    old: Domain,
    /// A name below the zone of the name server.
    new: Domain,
}

impl Setup {
    async fn start() -> anyhow::Result<Self> {
        let (fixture, server) = (Fixture::start().await?, NameServer::of_tier()?);
        let old = Domain::at_cloudflare(DOMAIN, &fixture.cloudflare);
        let new = Domain::at_name_server(&format!("new.{}", server.zone), &server);
        Ok(Self { fixture, server, old, new })
    }

    fn hostname(&self, name: &str, domain: &Domain) -> String {
        format!("{name}-{}.{}", self.fixture.friend, domain.name)
    }

    async fn expose(&self, name: &str, domain: Option<&Domain>) -> anyhow::Result<Reply> {
        let mut body = json!({"name": name, "service": "web", "port": 80});
        if let Some(domain) = domain {
            body["domain"] = json!(domain.name);
        }
        self.fixture.portal.api.post("/namespace/expose", &body).await
    }

    /// Exposes, and wants it to stand at once.
    async fn exposed(&self, name: &str, domain: Option<&Domain>, status: StatusCode) -> anyhow::Result<Value> {
        let answer = self.expose(name, domain).await?;
        ensure!(answer.status == status && answer.body["status"] == "active", "{name}: {answer:?}");
        Ok(answer.body)
    }

    async fn offered(&self) -> anyhow::Result<Value> {
        Ok(self.fixture.portal.api.get("/domains").await?.body)
    }

    /// Which names Cloudflare has records at.
    fn at_cloudflare(&self) -> Vec<String> {
        let records = self.fixture.cloudflare.records(&self.old.name);
        records.iter().filter_map(|record| record["name"].as_str().map(str::to_owned)).collect()
    }

    async fn at_name_server(&self, hostname: &str) -> anyhow::Result<(ResponseCode, Vec<String>)> {
        self.server.ask(hostname, RecordType::A).await
    }

    /// Waits until a hostname leads to the backend.
    async fn leads(&self, hostname: &str) -> anyhow::Result<()> {
        let leads = async || Ok(self.fixture.visit_at(hostname).await? == (StatusCode::OK, "one".to_owned()));
        until(&format!("{hostname} leads to the backend"), leads).await
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn domains_come_and_go_and_what_stands_on_them_stays() -> anyhow::Result<()> {
    let (mut setup, one) = (Setup::start().await?, Backend::start("one").await?);
    setup.fixture.serve(&[&one]).await?;
    for name in ["kept", "moved"] {
        setup.exposed(name, None, StatusCode::CREATED).await?;
    }
    let [kept, moved] = ["kept", "moved"].map(|name| setup.hostname(name, &setup.old));

    // A second domain comes, at another provider.
    setup.fixture.offer(&[setup.old.clone(), setup.new.clone()]).await?;
    assert_eq!(setup.offered().await?, json!([setup.old.name, setup.new.name]));
    for (name, hostname) in [("kept", &kept), ("moved", &moved)] {
        let body = setup.exposed(name, None, StatusCode::OK).await?;
        assert_eq!(body["hostname"], **hostname, "it stays where it is while no domain is named");
    }
    let body = setup.exposed("fresh", Some(&setup.new), StatusCode::CREATED).await?;
    let fresh = setup.hostname("fresh", &setup.new);
    assert_eq!(body["hostname"], fresh);
    assert_eq!(setup.at_name_server(&fresh).await?, (ResponseCode::NoError, vec!["127.0.0.1".to_owned()]));
    setup.leads(&fresh).await?;

    let body = setup.exposed("moved", Some(&setup.new), StatusCode::OK).await?;
    let moved_to = setup.hostname("moved", &setup.new);
    assert_eq!(body["hostname"], moved_to);
    assert_eq!(setup.at_cloudflare(), [&*kept]);
    assert_eq!(setup.at_name_server(&moved_to).await?.1, ["127.0.0.1"]);
    setup.leads(&moved_to).await?;
    until("Traefik forgot the old hostname", async || {
        Ok(setup.fixture.visit_at(&moved).await?.0 == StatusCode::NOT_FOUND)
    })
    .await?;

    // The first one is retired: nothing new stands there, and what does is still looked after.
    let records = setup.fixture.cloudflare.records(&setup.old.name);
    let id = records.first().and_then(|record| record["id"].as_str()).context("a record has an id")?;
    assert!(setup.fixture.cloudflare.take(id));
    setup.fixture.offer(&[setup.old.retired(), setup.new.clone()]).await?;
    assert_eq!(setup.offered().await?, json!([setup.new.name]));
    until("the lost record is back", async || Ok(setup.at_cloudflare() == [&*kept])).await?;
    let Reply { status, body, .. } = setup.expose("refused", Some(&setup.old)).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    let Reply { status, body, .. } = setup.expose("moved", Some(&setup.old)).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "no way back: {body}");
    assert_eq!(setup.exposed("kept", None, StatusCode::OK).await?["hostname"], kept);
    let body = setup.exposed("default", None, StatusCode::CREATED).await?;
    assert_eq!(body["hostname"], setup.hostname("default", &setup.new));
    setup.leads(&kept).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_domain_that_is_in_use_cannot_be_left_out() -> anyhow::Result<()> {
    let (mut setup, one) = (Setup::start().await?, Backend::start("one").await?);
    setup.fixture.serve(&[&one]).await?;
    setup.fixture.offer(&[setup.old.clone(), setup.new.clone()]).await?;
    setup.exposed("kept", None, StatusCode::CREATED).await?;
    setup.exposed("fresh", Some(&setup.new), StatusCode::CREATED).await?;
    let (kept, fresh) = (setup.hostname("kept", &setup.old), setup.hostname("fresh", &setup.new));

    let refusal = setup.fixture.offer(std::slice::from_ref(&setup.new)).await.map_err(|error| error.to_string());
    let says = |text: &str| text.contains(&*kept) && !text.contains(&*fresh) && text.contains("retired = true");
    assert!(refusal.as_ref().is_err_and(|text| says(text)), "{refusal:?}");
    let (is_content, table) = run("check", setup.fixture.config())?;
    assert!(!is_content && says(&table), "{table}");
    assert_eq!(setup.at_cloudflare(), [&*kept], "a portal that did not start has touched nothing");

    // Once the last exposure is gone, the domain may go as well.
    setup.fixture.offer(&[setup.old.retired(), setup.new.clone()]).await?;
    let Reply { status, body, .. } = setup.fixture.portal.api.delete("/namespace/expose/kept").await?;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("removed")), "{body}");
    setup.fixture.offer(std::slice::from_ref(&setup.new)).await?;
    assert_eq!(setup.offered().await?, json!([setup.new.name]));
    assert_eq!(setup.exposed("fresh", None, StatusCode::OK).await?["hostname"], fresh);
    setup.leads(&fresh).await
}
