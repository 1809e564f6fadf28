//! An API server that is killed and comes back, and a token that is replaced.

use std::fs;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;
use reqwest::StatusCode;
use serde_json::json;
use tokio::time::sleep;

use crate::api_server::{AUTHORITY, ApiServer, ITSELF, after, certify, kubeconfig, openssl};
use crate::backend::Backend;
use crate::fixture::{Fixture, at_home, until, until_within};
use crate::kubectl::{apply, file, kubectl};
use crate::portal::{ApiClient, Reply};

/// Reads the namespace over and over until it is told to stop: each answer has the Service in it or is a 503 that says
/// when to come back. How many of both there were.
async fn read_on(api: ApiClient, stop: Arc<AtomicBool>) -> anyhow::Result<(usize, usize)> {
    let (mut shown, mut refused) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let Reply { status, retry_after, body } = api.get("/namespace").await?;
        match status {
            StatusCode::OK => {
                ensure!(body["phase"] == "Active" && body["services"][0]["name"] == "web", "not what stands: {body}");
                shown += 1;
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                ensure!(retry_after.is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "no Retry-After: {body}");
                refused += 1;
            }
            other => anyhow::bail!("{other}: {body}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok((shown, refused))
}

/// Makes an authority, as whom and where is still to be said.
const NEW_AUTHORITY: &str =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -days 2 -subj";

async fn status(fixture: &Fixture) -> anyhow::Result<StatusCode> {
    Ok(fixture.portal.api.get("/namespace").await?.status)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_cluster_that_is_gone_is_never_taken_for_an_empty_one() -> anyhow::Result<()> {
    let mut server = ApiServer::start()?;
    let friend = at_home().await?;
    let fixture = Fixture::of(friend, &server.kubeconfig(ITSELF).await?).await?;
    let one = Backend::start("one").await?;
    fixture.serve(&[&one]).await?;
    fixture.exposed().await?;

    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(fixture.portal.api.clone(), stop.clone()));
    server.kill()?;
    // What cannot be confirmed is not stored.
    let other = json!({"name": "other", "service": "web", "port": 80});
    let Reply { status: refused, retry_after, body } = fixture.portal.api.post("/namespace/expose", &other).await?;
    assert_eq!((refused, retry_after.is_some()), (StatusCode::SERVICE_UNAVAILABLE, true), "{body}");
    until_within(Duration::from_secs(40), "the cluster counts as unknown", async || {
        Ok(status(&fixture).await? == StatusCode::SERVICE_UNAVAILABLE)
    })
    .await?;
    server.restart()?;
    until_within(Duration::from_mins(1), "the cluster is shown again", async || {
        Ok(status(&fixture).await? == StatusCode::OK)
    })
    .await?;
    stop.store(true, Ordering::Relaxed);
    let (shown, refused) = reader.await??;
    assert!(shown > 0 && refused > 0, "{shown} shown, {refused} refused");

    // A kind that is not watched again yet may still take the namespace away once more.
    until("the namespace stays shown", async || {
        let Reply { status, mut body, .. } = fixture.portal.api.get("/namespace").await?;
        let exposures = body["ingressRoutes"].take();
        if status == StatusCode::OK {
            ensure!(exposures.as_array().map(Vec::len) == Some(1), "not what stands: {exposures}");
            ensure!(exposures[0]["exposure"]["status"] == "active", "not what stands: {exposures}");
        }
        Ok(status == StatusCode::OK)
    })
    .await?;
    fixture.delete("service", "web").await?;
    until("the portal follows again", async || {
        let Reply { body, .. } = fixture.portal.api.get("/namespace").await?;
        Ok(body["ingressRoutes"][0]["exposure"]["status"] == "failed")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_portal_that_starts_without_its_cluster_shows_nothing_until_it_knows() -> anyhow::Result<()> {
    let mut server = ApiServer::start()?;
    let friend = at_home().await?;
    let mut fixture = Fixture::of(friend, &server.kubeconfig(ITSELF).await?).await?;
    let one = Backend::start("one").await?;
    fixture.serve(&[&one]).await?;
    fixture.exposed().await?;

    server.kill()?;
    fixture.restart_portal()?;
    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(fixture.portal.api.clone(), stop.clone()));
    assert_eq!(status(&fixture).await?, StatusCode::SERVICE_UNAVAILABLE);
    server.restart()?;
    until_within(
        Duration::from_mins(1),
        "the cluster is shown",
        async || Ok(status(&fixture).await? == StatusCode::OK),
    )
    .await?;
    stop.store(true, Ordering::Relaxed);
    let (_, refused) = reader.await??;
    assert!(refused > 0);
    assert_eq!(fixture.exposure().await?["status"], "active");
    assert_eq!(fixture.visit().await?, (StatusCode::OK, "one".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_replaced_certificate_of_the_same_authority_is_believed_and_so_is_a_replaced_authority() -> anyhow::Result<()>
{
    let folder = tempfile::tempdir()?;
    openssl(&folder, &format!("{NEW_AUTHORITY} /CN=one -out ca.crt"))?;
    certify(&folder)?;
    let mut server = ApiServer::start_in(folder, &[])?;
    let friend = at_home().await?;
    let fixture = Fixture::of(friend, &server.kubeconfig(AUTHORITY).await?).await?;
    let one = Backend::start("one").await?;
    fixture.serve(&[&one]).await?;

    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(fixture.portal.api.clone(), stop.clone()));
    let before = fs::read(server.folder.path().join(ITSELF))?;
    server.kill()?;
    certify(&server.folder)?;
    assert_ne!(fs::read(server.folder.path().join(ITSELF))?, before);
    server.restart()?;
    // Exposing asks the API server itself, by a connection made since.
    until_within(Duration::from_mins(1), "the new certificate is believed", async || {
        Ok(fixture.expose(80).await?.body["status"] == "active")
    })
    .await?;
    stop.store(true, Ordering::Relaxed);
    assert!(reader.await??.0 > 0);

    // Another authority, and a server that it certifies: somebody else, until the portal has read of it.
    server.kill()?;
    openssl(&server.folder, &format!("{NEW_AUTHORITY} /CN=two -out other.crt"))?;
    fs::rename(server.folder.path().join("other.crt"), server.folder.path().join(AUTHORITY))?;
    certify(&server.folder)?;
    server.restart()?;
    let (port, stop) = (server.port, Arc::new(AtomicBool::new(false)));
    let reader = tokio::spawn(read_on(fixture.portal.api.clone(), stop.clone()));
    until("the API server listens", async || Ok(TcpStream::connect(("127.0.0.1", port)).is_ok())).await?;
    until_within(Duration::from_secs(100), "the new authority is believed", async || {
        Ok(status(&fixture).await? == StatusCode::OK && fixture.expose(80).await?.status == StatusCode::OK)
    })
    .await?;
    stop.store(true, Ordering::Relaxed);
    assert!(reader.await??.0 > 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_server_that_another_authority_certified_is_not_believed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    openssl(&folder, &format!("{NEW_AUTHORITY} /CN=one -out ca.crt"))?;
    certify(&folder)?;
    let server = ApiServer::start_in(folder, &[])?;
    let mut fixture = Fixture::of(at_home().await?, &server.kubeconfig(AUTHORITY).await?).await?;
    openssl(&server.folder, &format!("{NEW_AUTHORITY} /CN=two -out ca.crt"))?;
    fixture.restart_portal()?;
    let Reply { status, body, .. } = fixture.expose(80).await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert_eq!(self::status(&fixture).await?, StatusCode::SERVICE_UNAVAILABLE);
    Ok(())
}

/// A token of the portal's account that ends with a Secret of this name.
async fn token(secret: &str) -> anyhow::Result<String> {
    apply(&format!("{{apiVersion: v1, kind: Secret, metadata: {{name: {secret}, namespace: friend-portal}}}}")).await?;
    let bound = ["--bound-object-kind", "Secret", "--bound-object-name", secret, "-n", "friend-portal"];
    let create = ["create", "token", "friend-portal"].into_iter().chain(bound).collect::<Vec<_>>();
    Ok(kubectl(&create, "").await?.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_replaced_token_is_taken_up() -> anyhow::Result<()> {
    let friend = at_home().await?;
    let secret = |digit: u8| format!("{friend}-{digit}");
    let folder = tempfile::tempdir()?;
    let (token_file, path) = (folder.path().join("token"), folder.path().join("kubeconfig"));
    let first = token(&secret(1)).await?;
    fs::write(&token_file, &first)?;
    let shared = fs::read_to_string(file("portal.kubeconfig")?)?;
    let (server, certificate) = (after(&shared, "server: \"", "\"")?, after(&shared, "authority: ", "}")?);
    fs::write(&path, kubeconfig(server, certificate, &format!("tokenFile: '{}'", token_file.display())))?;
    let fixture = Fixture::of(friend.clone(), &path).await?;
    let one = Backend::start("one").await?;
    fixture.serve(&[&one]).await?;

    // As the kubelet does it: another file under the same name.
    let next = folder.path().join("next");
    fs::write(&next, token(&secret(2)).await?)?;
    fs::rename(&next, &token_file)?;
    kubectl(&["delete", "secret", &secret(1), "-n", "friend-portal"], "").await?;

    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(fixture.portal.api.clone(), stop.clone()));
    // The API server remembers for a few seconds that it knew the first one.
    until("the first token is refused", async || {
        let asked = kubectl(&["auth", "can-i", "list", "pods", "--token", &first], "").await;
        Ok(asked.is_err_and(|refusal| refusal.to_string().contains("must be logged in")))
    })
    .await?;
    // The file is read again after a minute at the latest.
    until_within(Duration::from_secs(100), "the second token is used", async || {
        let Reply { status, body, .. } = fixture.expose(80).await?;
        // 202: the Service was read by the first token, and the route waits for the second.
        let is_known = status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE;
        ensure!(is_known, "{status}: {body}");
        Ok(body["status"] == "active")
    })
    .await?;
    stop.store(true, Ordering::Relaxed);
    let (shown, _) = reader.await??;
    assert!(shown > 0);
    Ok(())
}
