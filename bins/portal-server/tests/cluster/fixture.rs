//! A friend with a namespace in the real cluster, and a portal of their own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use portal_adapters::cloudflare::ScriptedCloudflare;
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, Friend, FriendId, Friendship, FriendshipStatus, Token, TokenKind,
};
use portal_runtime::admin::Admin;
use portal_runtime::config;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::backend::Backend;
use crate::configuration::{Domain, configuration};
use crate::kubectl::{apply, file, kubectl, tier_variable};
use crate::portal::{self, Portal, Reply};

/// The domain of an exposure, unless its test says otherwise; at Cloudflare.
pub(crate) const DOMAIN: &str = "portal.test";
/// Another domain at Cloudflare.
pub(crate) const OTHER_DOMAIN: &str = "other.test";
/// Timeout of a condition.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A friend, their namespace and their portal.
pub(crate) struct Fixture {
    pub(crate) friend: FriendId,
    pub(crate) namespace: String,
    pub(crate) cloudflare: ScriptedCloudflare,
    pub(crate) portal: Portal,
    folder: TempDir,
    kubeconfig: PathBuf,
    config: PathBuf,
    token: String,
    ingress: Client,
    entry_point: String,
}

impl Fixture {
    /// A friend with a namespace, whose portal has the account of `deploy/base` and no other rights.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let friend = at_home().await?;
        Self::of(friend, &file("portal.kubeconfig")?).await
    }

    /// The portal of a friend, which signs in to the cluster by `kubeconfig`.
    pub(crate) async fn of(friend: FriendId, kubeconfig: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let cloudflare = ScriptedCloudflare::start(&[DOMAIN, OTHER_DOMAIN]).await?;
        let domains = [DOMAIN, OTHER_DOMAIN].map(|name| Domain::at_cloudflare(name, &cloudflare));
        let config = configuration(folder.path(), kubeconfig, &domains)?;
        let token = register(&config, &friend).await?;
        let portal = Portal::start(&config, token.clone())?;
        let namespace = friend.namespace();
        let ingress = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let entry_point = tier_variable("TEST_INGRESS")?;
        let kubeconfig = kubeconfig.to_owned();
        let fixture =
            Self { friend, namespace, cloudflare, portal, folder, kubeconfig, config, token, ingress, entry_point };
        fixture.until_shown().await?;
        Ok(fixture)
    }

    /// Waits until the portal shows the namespace.
    async fn until_shown(&self) -> anyhow::Result<()> {
        until("the portal shows the namespace", async || {
            let Reply { status, body, .. } = self.portal.api.get("/namespace").await?;
            Ok(status == StatusCode::OK && body["phase"] == "Active")
        })
        .await
    }

    /// Kills the portal and starts it again, whatever the cluster does.
    pub(crate) fn restart_portal(&mut self) -> anyhow::Result<()> {
        self.portal.kill()?;
        self.portal = Portal::start(&self.config, self.token.clone())?;
        Ok(())
    }

    /// Kills the portal, and starts it again with these domains.
    pub(crate) async fn offer(&mut self, domains: &[Domain]) -> anyhow::Result<()> {
        self.portal.kill()?;
        configuration(self.folder.path(), &self.kubeconfig, domains)?;
        self.portal = Portal::start(&self.config, self.token.clone())?;
        self.until_shown().await
    }

    /// The portal's configuration.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// A Service `web` with a port for each backend, 80 and up.
    pub(crate) async fn serve(&self, backends: &[&Backend]) -> anyhow::Result<()> {
        let (mut ports, mut endpoints) = (Vec::new(), Vec::new());
        for (port, backend) in (80..).zip(backends) {
            ports.push(json!({"name": format!("p{port}"), "port": port}));
            endpoints.push(json!({"name": format!("p{port}"), "port": backend.port}));
        }
        let address = backends.first().context("a Service without backends")?.address;
        let labels = json!({"kubernetes.io/service-name": "web"});
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": self.namespace},
            "spec": {"ports": ports},
        });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "web", "namespace": self.namespace, "labels": labels},
            "addressType": if address.is_ipv6() { "IPv6" } else { "IPv4" },
            "endpoints": [{"addresses": [address], "conditions": {"ready": true}}], "ports": endpoints,
        });
        apply(&format!("{service}\n---\n{slice}\n")).await?;
        until("the Service is shown", async || {
            let shown = self.portal.api.namespace().await?;
            Ok(shown["services"][0]["ports"].as_array().map(Vec::len) == Some(backends.len()))
        })
        .await
    }

    /// Exposes the Service `web` under the name `web`.
    pub(crate) async fn expose(&self, port: u16) -> anyhow::Result<Reply> {
        let body = json!({"name": "web", "service": "web", "port": port});
        self.portal.api.post("/namespace/expose", &body).await
    }

    /// Exposes it in this domain.
    pub(crate) async fn expose_in(&self, domain: &str) -> anyhow::Result<Reply> {
        let body = json!({"name": "web", "service": "web", "port": 80, "domain": domain});
        self.portal.api.post("/namespace/expose", &body).await
    }

    /// Exposes the Service, and waits until it is reached.
    pub(crate) async fn exposed(&self) -> anyhow::Result<()> {
        let Reply { status, body, .. } = self.expose(80).await?;
        // 202: a busy machine did not finish within the five seconds that the answer waits.
        ensure!(matches!(status, StatusCode::CREATED | StatusCode::ACCEPTED), "{status}: {body}");
        until("the exposure is active", async || Ok(self.exposure().await?["status"] == "active")).await?;
        until("the hostname answers", async || Ok(self.visit().await?.0 == StatusCode::OK)).await
    }

    /// Returns the shown exposure `web`; null if there is none.
    pub(crate) async fn exposure(&self) -> anyhow::Result<Value> {
        let shown = self.portal.api.namespace().await?;
        let routes = shown["ingressRoutes"].as_array().cloned().unwrap_or_default();
        let exposures = routes.into_iter().map(|mut route| route["exposure"].take());
        Ok(exposures.into_iter().find(|exposure| exposure["name"] == "web").unwrap_or_default())
    }

    pub(crate) fn hostname(&self) -> String {
        self.hostname_in(DOMAIN)
    }

    pub(crate) fn hostname_in(&self, domain: &str) -> String {
        format!("web-{}.{domain}", self.friend)
    }

    /// Visits the hostname as anybody on the internet does: through Traefik.
    pub(crate) async fn visit(&self) -> anyhow::Result<(StatusCode, String)> {
        self.visit_at(&self.hostname()).await
    }

    /// Visits some other hostname.
    pub(crate) async fn visit_at(&self, hostname: &str) -> anyhow::Result<(StatusCode, String)> {
        let request = self.ingress.get(format!("http://{}/", self.entry_point)).header("host", hostname);
        let response = request.send().await?;
        Ok((response.status(), response.text().await?))
    }

    /// Deletes an object of the friend's namespace.
    pub(crate) async fn delete(&self, kind: &str, name: &str) -> anyhow::Result<()> {
        kubectl(&["delete", kind, name, "--namespace", &self.namespace], "").await.map(drop)
    }

    /// Returns true if the zone has a record at the hostname.
    pub(crate) fn has_record(&self) -> bool {
        self.has_record_in(DOMAIN)
    }

    pub(crate) fn has_record_in(&self, domain: &str) -> bool {
        self.cloudflare.records(domain).iter().any(|record| record["name"] == self.hostname_in(domain))
    }
}

/// A friend whom no other test knows.
pub(crate) fn somebody() -> anyhow::Result<FriendId> {
    Ok(FriendId::parse(&format!("f-{:08x}", rand::random::<u32>()))?)
}

/// A friend who has a namespace.
pub(crate) async fn at_home() -> anyhow::Result<FriendId> {
    let friend = somebody()?;
    apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {}}}}}", friend.namespace())).await?;
    Ok(friend)
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    until_within(TIMEOUT, what, is_so).await
}

/// Waits until something is so, for as long as this.
pub(crate) async fn until_within(
    patience: Duration,
    what: &str,
    is_so: impl AsyncFn() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while !is_so().await? {
        ensure!(started.elapsed() < patience, "it did not come to be: {what}");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Makes the database with a friend and their agent; the token of their session.
async fn register(config: &Path, friend: &FriendId) -> anyhow::Result<String> {
    let settings = config::load(config)?;
    let (is_done, said) = portal::run("migrate", config)?;
    ensure!(is_done, "{said}");
    let admin = Admin::of_database(&settings.database)?;
    let (now, operator) = (admin.clock.now(), Actor::Operator("olga".to_owned()));
    let audit = |action, subject: &str| {
        AuditEntry::new(now, operator.clone(), action).with_friend(friend.clone()).with_subject(subject)
    };
    let person = Friend::new(friend.clone(), now);
    admin.friends.create(person, audit(Action::FriendCreate, friend.as_str())).await?;
    let agent = AgentId::parse("main")?;
    let token = Token::generate(TokenKind::Agent, &*admin.ids);
    let main = Agent { id: agent.clone(), created_at: now };
    admin.agents.create(main, token.hash(), audit(Action::AgentCreate, "main")).await?;
    let friendship = Friendship {
        agent: agent.clone(),
        friend: friend.clone(),
        status: FriendshipStatus::Active,
        heartbeat_writable: Some(true),
        created_at: now,
    };
    admin.friendships.set(friendship, audit(Action::FriendshipSet, "main")).await?;
    let issued = admin.sessions.issue(friend.clone(), agent, operator.clone()).await?;
    Ok(issued.context("no session")?.token.reveal().to_owned())
}
