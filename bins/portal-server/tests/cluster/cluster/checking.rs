//! `portal-server check` against the real cluster.

use std::fs;

use portal_adapters::cloudflare::ScriptedCloudflare;

use crate::api_server::{ApiServer, ITSELF, after, kubeconfig};
use crate::configuration::{Domain, configuration};
use crate::fixture::{DOMAIN, Fixture, until};
use crate::kubectl::file;
use crate::portal::run;

/// Every right that the server needs, as `check` lists them.
const RIGHTS: [&str; 32] = [
    "get namespaces",
    "list namespaces",
    "watch namespaces",
    "get services",
    "list services",
    "watch services",
    "list pods",
    "watch pods",
    "list resourcequotas",
    "watch resourcequotas",
    "list deployments.apps",
    "watch deployments.apps",
    "get ingressroutes.traefik.io",
    "list ingressroutes.traefik.io",
    "watch ingressroutes.traefik.io",
    "create ingressroutes.traefik.io",
    "patch ingressroutes.traefik.io",
    "delete ingressroutes.traefik.io",
    "list ingressroutetcps.traefik.io",
    "watch ingressroutetcps.traefik.io",
    "list ingressroutes.traefik.containo.us",
    "watch ingressroutes.traefik.containo.us",
    "list ingressroutetcps.traefik.containo.us",
    "watch ingressroutetcps.traefik.containo.us",
    "list ingresses.networking.k8s.io",
    "watch ingresses.networking.k8s.io",
    "list httproutes.gateway.networking.k8s.io",
    "watch httproutes.gateway.networking.k8s.io",
    "list grpcroutes.gateway.networking.k8s.io",
    "watch grpcroutes.gateway.networking.k8s.io",
    "list tlsroutes.gateway.networking.k8s.io",
    "watch tlsroutes.gateway.networking.k8s.io",
];

/// Returns the line of `check` about a right.
fn status_of<'a>(table: &'a str, right: &str) -> Option<&'a str> {
    let row = table.lines().find_map(|line| line.strip_prefix(&format!("cluster: {right} ")))?;
    row.split_whitespace().next()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn the_shipped_role_is_all_that_check_asks_for() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let (is_content, table) = run("check", fixture.config())?;
    assert!(is_content, "{table}");
    for right in RIGHTS {
        assert_eq!(status_of(&table, right), Some("ok"), "{right}: {table}");
    }
    assert!(
        table.contains("cluster: Traefik's routes") && table.matches("cluster: ").count() == RIGHTS.len() + 1,
        "{table}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_role_that_lacks_rights_fails_the_check_by_their_names() -> anyhow::Result<()> {
    let (fixture, folder) = (Fixture::start().await?, tempfile::tempdir()?);
    let domain = Domain::at_cloudflare(DOMAIN, &fixture.cloudflare);
    let config = configuration(folder.path(), &file("provisioner.kubeconfig")?, &[domain])?;
    assert!(run("migrate", &config)?.0);
    let (is_content, table) = run("check", &config)?;
    assert!(!is_content);
    assert_eq!(status_of(&table, "get namespaces"), Some("ok"), "the provisioner has it: {table}");
    assert_eq!(status_of(&table, "list namespaces"), Some("FAILED"), "{table}");
    assert_eq!(status_of(&table, "create ingressroutes.traefik.io"), Some("FAILED"), "{table}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_cluster_without_traefik_fails_the_check_whatever_the_rights() -> anyhow::Result<()> {
    // A cluster of its own beside the other, in which nothing was installed.
    let server = ApiServer::start_in(tempfile::tempdir()?, &["--etcd-prefix=/bare"])?;
    let certificate = server.certificate(ITSELF).await?;
    let operator = fs::read_to_string(file("kubeconfig")?)?;
    let url = format!("https://127.0.0.1:{}", server.port);
    let token = format!("token: {}", after(&operator, "token: ", "}")?);
    let (folder, path) = (tempfile::tempdir()?, server.folder.path().join("operator"));
    fs::write(&path, kubeconfig(&url, &certificate, &token))?;
    let cloudflare = ScriptedCloudflare::start(&[DOMAIN]).await?;
    let config = configuration(folder.path(), &path, &[Domain::at_cloudflare(DOMAIN, &cloudflare)])?;
    assert!(run("migrate", &config)?.0);
    until("the rights are known", async || Ok(run("check", &config)?.1.contains("cluster: get namespaces"))).await?;
    let (is_content, table) = run("check", &config)?;
    assert!(!is_content);
    assert_eq!(status_of(&table, "create ingressroutes.traefik.io"), Some("ok"), "{table}");
    assert_eq!(status_of(&table, "Traefik's routes"), Some("FAILED"), "{table}");
    Ok(())
}
