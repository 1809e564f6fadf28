//! Rules and hosts, tried on Traefik itself: whatever it routes, we call claimed.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use portal_k8s::{ClaimKind, HostClaims, IngressRoute};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::fixture::until;
use crate::kubectl::{apply, kubectl, tier_variable};

/// Rules of version 3 of Traefik's syntax.
const RULES: [&str; 27] = [
    "Host(`app-alice.example.net`)",
    "HOST(`App-Alice.example.net.`)",
    "Host (`app-alice.example.net`,)",
    r#"Host("\x61pp-\u0061lice.example.net")"#,
    "Host(`*.example.net`)",
    "Host(`*.EXAMPLE.net.`)",
    "Host(`*.net`)",
    "Host(`app-*.example.net`)",
    "Host(`*.*.net`)",
    "Host(`b.net`) || Host(`app-alice.example.net`)",
    "Host(`app-alice.example.net`) && !Host(`b.net`)",
    "Host(`app-alice.example.net`) && !Host(`app-alice.example.net`)",
    "Host(`app-alice.example.net`, `b.net`)",
    "HostHeader(`app-alice.example.net`)",
    r"HostRegexp(`^.+\.example\.net$`)",
    r#"HostRegexp("^app-alice\\.example\\.net$")"#,
    r"hostregexp(`example`)",
    r"HostRegexp(`(?i)^APP-ALICE`)",
    r"HostRegexp(`^\pL+-alice`)",
    r"HostRegexp(`^[[:alpha:]-]+\.example\.net\z`)",
    r"HostRegexp(`^\Qapp-alice.\E`)",
    r"HostRegexp(`(?P<name>app)-alice`)",
    r"HostRegexp(`[^\x00]lice`)",
    r"HostRegexp(`\bapp\b`)",
    r"HostRegexp(`(?U)app.*net`)",
    r"HostRegexp(`^(?!www\.).+\.example\.net$`)",
    "HostRegexp(`{name:[a-z-]+}.example.net`)",
];
/// Rules of version 2.
const OLD_RULES: [&str; 9] = [
    "Host(`b.net`, `app-alice.example.net`)",
    "HostHeader(`App-alice.example.net.`)",
    "HostRegexp(`{name:[a-z-]+}.example.net`)",
    "HostRegexp(`{name}.example.net`)",
    "HostRegexp(`app-{name:[a-z]{5}}.example.net`)",
    "HostRegexp(`{name:app|b}-alice.example.net`, `b.net`)",
    "HostRegexp(`APP-alice.example.net`)",
    "HostRegexp(`{name:(?i)[A-Z-]+}.example.net`)",
    "Host(`*.example.net`)",
];
/// Rules that name no host in particular: they match every host, and claim none.
const CATCH_ALL: [&str; 4] = ["PathPrefix(`/`)", "Host(`*`)", "HostRegexp(`.*`)", "!Host(`b.net`)"];
/// Rules of TCP routers, in a domain `{}` of their own each.
const TCP_RULES: [&str; 5] = [
    "HostSNI(`app-alice.{}`)",
    "HostSNI(`App-Alice.{}.`)",
    "HostSNI(`*.{}`)",
    r"HostSNIRegexp(`^.+\.{}$`)",
    "HostSNI(`app-alice.{}`) && ClientIP(`127.0.0.1`)",
];
/// Hosts of Ingresses and of routes of the Gateway API.
const PATTERNS: [&str; 5] = ["app-alice.example.net", "*.example.net", "*.net", "*.app-alice.example.net", "b.net"];
const HOSTS: [&str; 5] =
    ["app-alice.example.net", "x.app-alice.example.net", "bob.example.net", "example.net", "other.org"];

/// An object, and the path that it answers for besides its host.
struct Row {
    object: Value,
    path: String,
    claims: HostClaims,
}

/// Objects of one namespace, before Traefik.
struct Table {
    namespace: String,
    entry_point: SocketAddr,
    rows: Vec<Row>,
}

impl Table {
    fn path(&self) -> String {
        format!("/row-{}/", self.rows.len())
    }

    fn object(&self, api_version: &str, kind: &str, name: &str, spec: &Value) -> Value {
        let metadata = json!({"name": name, "namespace": self.namespace});
        json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
    }

    fn push(&mut self, api_version: &str, kind: &str, spec: &Value) -> anyhow::Result<()> {
        let path = self.path();
        let object = self.object(api_version, kind, path.trim_matches('/'), spec);
        let claims = match ClaimKind::of(api_version, kind) {
            Some(claiming) => HostClaims::read(claiming, None, spec),
            None => HostClaims::of_route(&serde_json::from_value::<IngressRoute>(object.clone())?),
        };
        self.rows.push(Row { object, path, claims });
        Ok(())
    }

    fn push_rule(&mut self, rule: &str, syntax: &str) -> anyhow::Result<()> {
        let rule = format!("({rule}) && PathPrefix(`{}`)", self.path());
        let services = json!([{"name": "web", "port": 80}]);
        let routes = json!([{"kind": "Rule", "match": rule, "syntax": syntax, "services": services}]);
        self.push("traefik.io/v1alpha1", "IngressRoute", &json!({"entryPoints": ["web"], "routes": routes}))
    }

    fn push_ingress(&mut self, host: &str) -> anyhow::Result<()> {
        let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
        let paths = json!([{"path": self.path(), "pathType": "Prefix", "backend": backend}]);
        self.push("networking.k8s.io/v1", "Ingress", &json!({"rules": [{"host": host, "http": {"paths": paths}}]}))
    }

    fn push_http_route(&mut self, host: &str) -> anyhow::Result<()> {
        let matches = json!([{"path": {"type": "PathPrefix", "value": self.path().trim_end_matches('/')}}]);
        let rules = json!([{"matches": matches, "backendRefs": [{"name": "web", "port": 80}]}]);
        let spec = json!({"parentRefs": [{"name": "gateway"}], "hostnames": [host], "rules": rules});
        self.push("gateway.networking.k8s.io/v1", "HTTPRoute", &spec)
    }

    fn push_tcp(&mut self, rule: &str, domain: &str) -> anyhow::Result<()> {
        let services = json!([{"name": "web", "port": 80}]);
        let routes = json!([{"match": rule.replace("{}", domain), "services": services}]);
        self.push(
            "traefik.io/v1alpha1",
            "IngressRouteTCP",
            &json!({"entryPoints": ["web"], "routes": routes, "tls": {}}),
        )
    }

    /// Applies everything, with a namespace, a Service and a gateway to it.
    async fn apply(&self, backend: &Backend) -> anyhow::Result<()> {
        let labels = json!({"kubernetes.io/service-name": "web"});
        let class = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": {"name": "traefik"}, "spec": {"controllerName": "traefik.io/gateway-controller"}});
        let listener = json!({"name": "web", "protocol": "HTTP", "port": self.entry_point.port()});
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "web", "namespace": self.namespace, "labels": labels},
            "addressType": if backend.address.is_ipv6() { "IPv6" } else { "IPv4" },
            "endpoints": [{"addresses": [backend.address], "conditions": {"ready": true}}],
            "ports": [{"name": "http", "port": backend.port}]});
        let gateway = json!({"gatewayClassName": "traefik", "listeners": [listener]});
        let mut objects = vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}),
            class,
            self.object("gateway.networking.k8s.io/v1", "Gateway", "gateway", &gateway),
            self.object("v1", "Service", "web", &json!({"ports": [{"name": "http", "port": 80}]})),
            slice,
        ];
        objects.extend(self.rows.iter().map(|row| row.object.clone()));
        let texts: Vec<_> = objects.iter().map(Value::to_string).collect();
        apply(&texts.join("\n---\n")).await
    }

    /// Tells whether Traefik routes a request for this host and path to the backend.
    async fn routes(&self, client: &Client, host: &str, path: &str) -> anyhow::Result<bool> {
        let request = client.get(format!("http://{}{path}", self.entry_point)).header("Host", host);
        Ok(request.send().await?.status() == StatusCode::OK)
    }

    /// Tells whether Traefik routes a TLS connection for this host to the backend.
    async fn routes_tls(&self, host: &str) -> anyhow::Result<bool> {
        let client = Client::builder().no_proxy().danger_accept_invalid_certs(true).resolve(host, self.entry_point);
        let client = client.timeout(Duration::from_secs(10)).build()?;
        let request = client.get(format!("https://{host}:{}/", self.entry_point.port()));
        Ok(request.send().await?.status() == StatusCode::OK)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn whatever_traefik_routes_is_claimed() -> anyhow::Result<()> {
    let backend = Backend::start("one").await?;
    let namespace = format!("claims-{:08x}", rand::random::<u32>());
    let mut table = Table { namespace, entry_point: tier_variable("TEST_INGRESS")?.parse()?, rows: Vec::new() };
    for rule in RULES {
        table.push_rule(rule, "v3")?;
    }
    for rule in OLD_RULES {
        table.push_rule(rule, "v2")?;
    }
    for host in PATTERNS {
        table.push_ingress(host)?;
        table.push_http_route(host)?;
    }
    let catch_all = table.rows.len();
    for rule in CATCH_ALL {
        table.push_rule(rule, "v3")?;
    }
    let tcp = table.rows.len();
    let domain = |index: usize| format!("tcp{index}.test");
    for (index, rule) in TCP_RULES.iter().enumerate() {
        table.push_tcp(rule, &domain(index))?;
    }
    table.apply(&backend).await?;

    let client = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    // Each provider takes its objects up as a whole: once the last one of a kind is routed, all are that can be.
    let paths: Vec<_> = table.rows.iter().map(|row| row.path.clone()).collect();
    let is_routed = async |row: usize| table.routes(&client, HOSTS[0], paths.get(row).context("no such row")?).await;
    let (ingress, http_route) = (RULES.len() + OLD_RULES.len() + 2, RULES.len() + OLD_RULES.len() + 3);
    until("Traefik knows the objects", async || {
        Ok(is_routed(ingress).await? && is_routed(http_route).await? && is_routed(catch_all).await?)
    })
    .await?;
    until("Traefik knows the TCP routes", async || table.routes_tls(&format!("app-alice.{}", domain(4))).await).await?;

    let mut routed_rows = 0;
    for (index, row) in table.rows.iter().enumerate().take(tcp) {
        let mut routed = Vec::new();
        for host in HOSTS {
            if table.routes(&client, host, &row.path).await? {
                routed.push(host);
            }
        }
        let missed: Vec<_> = routed.iter().copied().filter(|host| row.claims.claim(host).is_none()).collect();
        routed_rows += usize::from(!routed.is_empty());
        if index < catch_all {
            assert_eq!(missed, [""; 0], "routed and not claimed: {}", row.object);
        } else {
            assert_eq!((routed.as_slice(), missed.as_slice()), (HOSTS.as_slice(), HOSTS.as_slice()), "{}", row.object);
        }
    }
    // Some rules are refused, and some patterns are for none of the hosts.
    assert!(routed_rows >= 35, "only {routed_rows} of {tcp} rows were routed for any host");
    for (index, row) in table.rows.iter().skip(tcp).enumerate() {
        let host = format!("app-alice.{}", domain(index));
        assert!(table.routes_tls(&host).await?, "not routed: {}", row.object);
        assert!(row.claims.claim(&host).is_some(), "routed and not claimed: {}", row.object);
    }
    kubectl(&["delete", "namespace", &table.namespace, "--wait=false"], "").await?;
    Ok(())
}
