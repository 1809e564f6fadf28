//! Domains that come and go while exposures stand.

use anyhow::{Context as _, ensure};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::configuration::Domain;
use crate::name_server::NameServer;
use crate::portal::{Answer, told};
use crate::world::{DOMAIN, World, until};

/// A friend's portal with exposures at two providers.
struct Ground {
    world: World,
    server: NameServer,
    /// At Cloudflare, and offered first.
    old: Domain,
    /// A name below the zone of the name server.
    new: Domain,
}

impl Ground {
    async fn start() -> anyhow::Result<Self> {
        let (world, server) = (World::start().await?, NameServer::of_tier()?);
        let old = Domain::at_cloudflare(DOMAIN, &world.cloudflare);
        let new = Domain::at_name_server(&format!("new.{}", server.zone), &server);
        Ok(Self { world, server, old, new })
    }

    fn hostname(&self, name: &str, domain: &Domain) -> String {
        format!("{name}-{}.{}", self.world.friend, domain.name)
    }

    async fn expose(&self, name: &str, domain: Option<&Domain>) -> anyhow::Result<Answer> {
        let mut body = json!({"name": name, "service": "web", "port": 80});
        if let Some(domain) = domain {
            body["domain"] = json!(domain.name);
        }
        self.world.portal.door.post("/namespace/expose", &body).await
    }

    /// Exposes, and wants it to stand at once.
    async fn exposed(&self, name: &str, domain: Option<&Domain>, status: StatusCode) -> anyhow::Result<Value> {
        let answer = self.expose(name, domain).await?;
        ensure!(answer.status == status && answer.body["status"] == "active", "{name}: {answer:?}");
        Ok(answer.body)
    }

    async fn offered(&self) -> anyhow::Result<Value> {
        Ok(self.world.portal.door.get("/domains").await?.body)
    }

    /// Which names Cloudflare has records at.
    fn at_cloudflare(&self) -> Vec<String> {
        let records = self.world.cloudflare.records(&self.old.name);
        records.iter().filter_map(|record| record["name"].as_str().map(str::to_owned)).collect()
    }

    async fn at_name_server(&self, hostname: &str) -> anyhow::Result<(ResponseCode, Vec<String>)> {
        self.server.ask(hostname, RecordType::A).await
    }

    /// Waits until a hostname leads to the backend.
    async fn leads(&self, hostname: &str) -> anyhow::Result<()> {
        let leads = async || Ok(self.world.visit_at(hostname).await? == (StatusCode::OK, "one".to_owned()));
        until(&format!("{hostname} leads to the backend"), leads).await
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn domains_come_and_go_and_what_stands_on_them_stays() -> anyhow::Result<()> {
    let (mut ground, one) = (Ground::start().await?, Backend::start("one").await?);
    ground.world.serve(&[&one]).await?;
    for name in ["kept", "moved"] {
        ground.exposed(name, None, StatusCode::CREATED).await?;
    }
    let [kept, moved] = ["kept", "moved"].map(|name| ground.hostname(name, &ground.old));

    // A second domain comes, at another provider.
    ground.world.offer(&[ground.old.clone(), ground.new.clone()]).await?;
    assert_eq!(ground.offered().await?, json!([ground.old.name, ground.new.name]));
    for (name, hostname) in [("kept", &kept), ("moved", &moved)] {
        let body = ground.exposed(name, None, StatusCode::OK).await?;
        assert_eq!(body["hostname"], **hostname, "it stays where it is while no domain is named");
    }
    let body = ground.exposed("fresh", Some(&ground.new), StatusCode::CREATED).await?;
    let fresh = ground.hostname("fresh", &ground.new);
    assert_eq!(body["hostname"], fresh);
    assert_eq!(ground.at_name_server(&fresh).await?, (ResponseCode::NoError, vec!["127.0.0.1".to_owned()]));
    ground.leads(&fresh).await?;

    let body = ground.exposed("moved", Some(&ground.new), StatusCode::OK).await?;
    let moved_to = ground.hostname("moved", &ground.new);
    assert_eq!(body["hostname"], moved_to);
    assert_eq!(ground.at_cloudflare(), [&*kept]);
    assert_eq!(ground.at_name_server(&moved_to).await?.1, ["127.0.0.1"]);
    ground.leads(&moved_to).await?;
    until("Traefik forgot the old hostname", async || {
        Ok(ground.world.visit_at(&moved).await?.0 == StatusCode::NOT_FOUND)
    })
    .await?;

    // The first one is retired: nothing new stands there, and what does is still looked after.
    let records = ground.world.cloudflare.records(&ground.old.name);
    let id = records.first().and_then(|record| record["id"].as_str()).context("a record has an id")?;
    assert!(ground.world.cloudflare.take(id));
    ground.world.offer(&[ground.old.retired(), ground.new.clone()]).await?;
    assert_eq!(ground.offered().await?, json!([ground.new.name]));
    until("the lost record is back", async || Ok(ground.at_cloudflare() == [&*kept])).await?;
    let Answer { status, body, .. } = ground.expose("refused", Some(&ground.old)).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    let Answer { status, body, .. } = ground.expose("moved", Some(&ground.old)).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "no way back: {body}");
    assert_eq!(ground.exposed("kept", None, StatusCode::OK).await?["hostname"], kept);
    let body = ground.exposed("default", None, StatusCode::CREATED).await?;
    assert_eq!(body["hostname"], ground.hostname("default", &ground.new));
    ground.leads(&kept).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_domain_that_is_in_use_cannot_be_left_out() -> anyhow::Result<()> {
    let (mut ground, one) = (Ground::start().await?, Backend::start("one").await?);
    ground.world.serve(&[&one]).await?;
    ground.world.offer(&[ground.old.clone(), ground.new.clone()]).await?;
    ground.exposed("kept", None, StatusCode::CREATED).await?;
    ground.exposed("fresh", Some(&ground.new), StatusCode::CREATED).await?;
    let (kept, fresh) = (ground.hostname("kept", &ground.old), ground.hostname("fresh", &ground.new));

    let refusal = ground.world.offer(std::slice::from_ref(&ground.new)).await.map_err(|error| error.to_string());
    let says = |text: &str| text.contains(&*kept) && !text.contains(&*fresh) && text.contains("retired = true");
    assert!(refusal.as_ref().is_err_and(|text| says(text)), "{refusal:?}");
    let (is_content, table) = told("check", ground.world.config())?;
    assert!(!is_content && says(&table), "{table}");
    assert_eq!(ground.at_cloudflare(), [&*kept], "a portal that did not start has touched nothing");

    // Once the last exposure is gone, the domain may go as well.
    ground.world.offer(&[ground.old.retired(), ground.new.clone()]).await?;
    let Answer { status, body, .. } = ground.world.portal.door.delete("/namespace/expose/kept").await?;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("removed")), "{body}");
    ground.world.offer(std::slice::from_ref(&ground.new)).await?;
    assert_eq!(ground.offered().await?, json!([ground.new.name]));
    assert_eq!(ground.exposed("fresh", None, StatusCode::OK).await?["hostname"], fresh);
    ground.leads(&fresh).await
}
