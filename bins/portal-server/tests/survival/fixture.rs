//! State that outlives every server: database, zones and cluster, with objects in them that are not the portal's.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Service, ServiceAccount};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use portal_adapters::RandomIds;
use portal_adapters::cloudflare::{SCRIPTED_TOKEN, ScriptedCloudflare};
use portal_adapters::db::{Db, DbSettings};
use portal_core::Ids;
use portal_dns::IntentStore;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::people::{self, Person};
use crate::process;

/// The server's account, as `deploy/` makes it.
const ACCOUNT: &str = "friend-portal";
/// Lifetime of its token in seconds, longer than the longest run.
const TOKEN_SECONDS: i64 = 12 * 3600;
/// Services of every friend and their ports.
const SERVICES: [(&str, &[u16]); 2] = [("web", &[80, 9090]), ("api", &[8080])];

/// A world of its own in the cluster of the tier.
pub(crate) struct Fixture {
    /// The zones of both domains.
    pub(crate) cloudflare: ScriptedCloudflare,
    /// The domains on offer, the default first; nobody else in the cluster uses them.
    pub(crate) domains: [String; 2],
    /// The friends.
    pub(crate) people: Vec<Person>,
    /// The exposures, read beside the servers.
    pub(crate) store: Arc<dyn IntentStore>,
    /// Prefix of this portal's ownership markers.
    pub(crate) instance: String,
    /// The operator's way to the cluster.
    pub(crate) client: Client,
    /// The servers' configuration.
    pub(crate) config: PathBuf,
    foreign: Vec<Value>,
    _folder: TempDir,
}

impl Fixture {
    /// Friends of these ids, each followed by what makes it unique in the cluster, and nothing exposed.
    pub(crate) async fn new(friends: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let unique = RandomIds.id().chars().take(8).collect::<String>();
        let domains = ["a", "b"].map(|zone| format!("{zone}{unique}.test"));
        let cloudflare = ScriptedCloudflare::start(&[&domains[0], &domains[1]]).await?;
        let (client, kubeconfig) = accounts().await?;
        let way = folder.path().join("kubeconfig");
        std::fs::write(&way, serde_json::to_vec(&kubeconfig)?)?;
        let config = folder.path().join("portal.toml");
        std::fs::create_dir(folder.path().join(people::AGENT))?;
        std::fs::write(&config, configuration(&folder, &domains, cloudflare.url()))?;
        let migrated = process::server("migrate", &config).output()?;
        ensure!(migrated.status.success(), "the database was not made: {migrated:?}");
        let database = DbSettings::new(format!("sqlite:{}", folder.path().join("portal.db").display()));
        let db = Db::open(&database, Handle::current())?;
        people::register_agent(&db).await?;
        let mut fixture = Self {
            cloudflare,
            domains,
            people: Vec::new(),
            store: db.exposures(),
            instance: db.instance(&RandomIds).await?,
            client,
            config,
            foreign: Vec::new(),
            _folder: folder,
        };
        for friend in friends {
            fixture.settle_in(people::register(&db, &format!("{friend}-{unique}")).await?).await?;
        }
        fixture.insert_foreign_objects().await?;
        fixture.foreign = fixture.not_ours().await?;
        Ok(fixture)
    }

    /// Everything around the exposures that is not the portal's, in every detail.
    pub(crate) async fn not_ours(&self) -> anyhow::Result<Vec<Value>> {
        let records = self.domains.iter().flat_map(|zone| self.cloudflare.records(zone));
        let mut found: Vec<_> = records.filter(|record| !self.is_marked(record)).collect();
        found.push(serde_json::to_value(self.routes_of(&self.people[0]).get("theirs").await?)?);
        Ok(found)
    }

    /// Fails if anything changed that is not the portal's.
    pub(crate) async fn check_not_ours(&self) -> anyhow::Result<()> {
        let found = self.not_ours().await?;
        ensure!(found == self.foreign, "not ours, and changed: {found:?} instead of {:?}", self.foreign);
        Ok(())
    }

    /// Returns true if a record carries an ownership marker of this portal.
    pub(crate) fn is_marked(&self, record: &Value) -> bool {
        let marker = format!("friend-portal/{}/", self.instance);
        record["comment"].as_str().is_some_and(|comment| comment.starts_with(&marker))
    }

    /// A friend's routes.
    pub(crate) fn routes_of(&self, person: &Person) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("traefik.io", "v1alpha1", "IngressRoute"));
        Api::namespaced_with(self.client.clone(), &person.id.namespace(), &kind)
    }

    /// Makes a friend's namespace and what runs in it.
    async fn settle_in(&mut self, person: Person) -> anyhow::Result<()> {
        let namespace = person.id.namespace();
        let object: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
        Api::all(self.client.clone()).create(&PostParams::default(), &object).await?;
        for (name, ports) in SERVICES {
            let ports: Vec<_> = ports.iter().map(|port| json!({"name": format!("p{port}"), "port": port})).collect();
            let service: Service =
                serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"ports": ports}}))?;
            Api::namespaced(self.client.clone(), &namespace).create(&PostParams::default(), &service).await?;
        }
        self.people.push(person);
        Ok(())
    }

    /// Puts things into zones and cluster that somebody else made.
    async fn insert_foreign_objects(&self) -> anyhow::Result<()> {
        let [zone, other] = &self.domains;
        let somebody = format!("friend-portal/{}/{}", "9".repeat(32), "1".repeat(32));
        for (zone, name, kind, content, comment) in [
            (zone, format!("www.{zone}"), "A", "198.51.100.1", json!("the shop")),
            (zone, format!("*.{zone}"), "CNAME", "elsewhere.test", Value::Null),
            (zone, format!("old-app.{zone}"), "A", "198.51.100.2", json!(somebody)),
            (other, format!("_dmarc.{other}"), "TXT", "v=DMARC1", Value::Null),
        ] {
            let record =
                json!({"name": name, "type": kind, "content": content, "ttl": 1, "proxied": false, "comment": comment});
            ensure!(self.cloudflare.put(zone, record).is_some(), "no zone {zone}");
        }
        let rule =
            json!({"kind": "Rule", "match": format!("Host(`www.{zone}`)"), "services": [{"name": "web", "port": 80}]});
        let theirs = json!({"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": {"name": "theirs"}, "spec": {"routes": [rule]}});
        self.routes_of(&self.people[0]).create(&PostParams::default(), &serde_json::from_value(theirs)?).await?;
        Ok(())
    }
}

/// The operator's way to the cluster, and the one of the server's account.
#[expect(clippy::disallowed_methods, reason = "the tier hands the cluster over by this variable")]
async fn accounts() -> anyhow::Result<(Client, Kubeconfig)> {
    let mut kubeconfig = Kubeconfig::read_from(env::var("TEST_KUBECONFIG")?)?;
    let config = Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let asked = TokenRequest { spec, ..TokenRequest::default() };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), ACCOUNT);
    let granted = accounts.create_token_request(ACCOUNT, &PostParams::default(), &asked).await?;
    let token = granted.status.context("no token was granted")?.token;
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = Some(AuthInfo { token: Some(token.clone().into()), ..AuthInfo::default() });
    }
    Ok((client, kubeconfig))
}

fn configuration(folder: &TempDir, [first, second]: &[String; 2], cloudflare: &str) -> String {
    let folder = folder.path().display();
    let provider =
        format!("cloudflare = {{ token = \"{SCRIPTED_TOKEN}\", proxied = false, api_url = \"{cloudflare}\" }}");
    format!(
        r#"
        server = {{ listen = "127.0.0.1:0", operations_listen = "127.0.0.1:0" }}
        limits = {{ enabled = false }}
        log = {{ format = "json", filter = "info" }}
        page = {{ enabled = false }}
        database = {{ url = "sqlite:{folder}/portal.db" }}
        cluster = {{ kubeconfig = "{folder}/kubeconfig" }}
        agents = [{{ id = "{agent}", workspace = "{folder}/{agent}", engine = "embedded" }}]
        delivery = {{ webhook_url = "http://127.0.0.1:9/", signature = "legacy", webhook_secret = "{secret}" }}

        [[domains]]
        name = "{first}"
        target = {{ cname = "ingress.example.org" }}
        ttl = 300
        entry_points = ["websecure"]
        tls = {{}}
        {provider}

        [[domains]]
        name = "{second}"
        target = {{ a = "192.0.2.1" }}
        ttl = 300
        entry_points = ["websecure"]
        tls = {{}}
        {provider}
        "#,
        agent = people::AGENT,
        secret = "survival-secret-".repeat(4),
    )
}
