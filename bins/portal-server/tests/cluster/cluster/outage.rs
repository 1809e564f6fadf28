//! An API server that is killed and comes back, and a token that is replaced.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::backend::Backend;
use crate::kubectl::{apply, file, kubectl};
use crate::portal::{Answer, Door};
use crate::world::{World, somebody, until, until_within};

/// An API server of the test's own, on the data of the one that all tests use.
struct ApiServer {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl ApiServer {
    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = run(&folder, port)?;
        Ok(Self { folder, port, process })
    }

    /// Ends it at once, as a power failure would.
    fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts it again at the same port, with the same certificate.
    fn restart(&mut self) -> anyhow::Result<()> {
        self.process = run(&self.folder, self.port)?;
        Ok(())
    }

    /// A kubeconfig of the portal's account for this server, once it has a certificate.
    async fn kubeconfig(&self) -> anyhow::Result<PathBuf> {
        let certificate = self.folder.path().join("apiserver.crt");
        until("the API server has a certificate", async || Ok(certificate.exists())).await?;
        let shared = fs::read_to_string(file("portal.kubeconfig")?)?;
        let token = after(&shared, "token: ", "}")?;
        let path = self.folder.path().join("kubeconfig");
        let server = format!("https://127.0.0.1:{}", self.port);
        fs::write(&path, kubeconfig(&server, &certificate.display().to_string(), &format!("token: {token}")))?;
        Ok(path)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The tier's script replaces itself by the API server, so the process is the server's.
fn run(folder: &TempDir, port: u16) -> anyhow::Result<Child> {
    let log = fs::File::options().create(true).append(true).open(folder.path().join("log"))?;
    let mut command = Command::new("sh");
    command.arg(file("apiserver.sh")?).arg(port.to_string()).arg(folder.path());
    Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?)
}

fn kubeconfig(server: &str, certificate: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\n\
         clusters: [{{name: test, cluster: {{server: '{server}', certificate-authority: '{certificate}'}}}}]\n\
         users: [{{name: portal, user: {{{user}}}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: portal}}}}]\ncurrent-context: test\n"
    )
}

/// What stands between two marks of a text.
fn after<'a>(text: &'a str, start: &str, end: &str) -> anyhow::Result<&'a str> {
    let (_, rest) = text.split_once(start).context("the kubeconfig is not the tier's")?;
    rest.split(end).next().context("the kubeconfig ends early")
}

/// Reads the namespace over and over until it is told to stop: each answer has the Service in it or is a 503 that says
/// when to come back. How many of both there were.
async fn read_on(door: Door, stop: Arc<AtomicBool>) -> anyhow::Result<(usize, usize)> {
    let (mut shown, mut refused) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let Answer { status, retry_after, body } = door.get("/namespace").await?;
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

async fn status(world: &World) -> anyhow::Result<StatusCode> {
    Ok(world.portal.door.get("/namespace").await?.status)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_cluster_that_is_gone_is_never_taken_for_an_empty_one() -> anyhow::Result<()> {
    let mut server = ApiServer::start()?;
    let friend = somebody()?;
    apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {}}}}}", friend.namespace())).await?;
    let world = World::of(friend, &server.kubeconfig().await?).await?;
    let one = Backend::start("one").await?;
    world.serve(&[&one]).await?;
    world.exposed().await?;

    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(world.portal.door.clone(), stop.clone()));
    server.kill()?;
    // What cannot be confirmed is not stored.
    let other = json!({"name": "other", "service": "web", "port": 80});
    let Answer { status: refused, retry_after, body } = world.portal.door.post("/namespace/expose", &other).await?;
    assert_eq!((refused, retry_after.is_some()), (StatusCode::SERVICE_UNAVAILABLE, true), "{body}");
    until_within(Duration::from_secs(40), "the cluster counts as unknown", async || {
        Ok(status(&world).await? == StatusCode::SERVICE_UNAVAILABLE)
    })
    .await?;
    server.restart()?;
    until_within(Duration::from_mins(1), "the cluster is shown again", async || {
        Ok(status(&world).await? == StatusCode::OK)
    })
    .await?;
    stop.store(true, Ordering::Relaxed);
    let (shown, refused) = reader.await??;
    assert!(shown > 0 && refused > 0, "{shown} shown, {refused} refused");

    let exposures = world.portal.door.namespace().await?["ingressRoutes"].take();
    assert_eq!(exposures.as_array().map(Vec::len), Some(1), "{exposures}");
    assert_eq!(world.exposure().await?["status"], "active");
    world.delete("service", "web").await?;
    until("the portal follows again", async || Ok(world.exposure().await?["status"] == "failed")).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_portal_that_starts_without_its_cluster_shows_nothing_until_it_knows() -> anyhow::Result<()> {
    let mut server = ApiServer::start()?;
    let friend = somebody()?;
    apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {}}}}}", friend.namespace())).await?;
    let mut world = World::of(friend, &server.kubeconfig().await?).await?;
    let one = Backend::start("one").await?;
    world.serve(&[&one]).await?;
    world.exposed().await?;

    server.kill()?;
    world.restart_portal()?;
    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(world.portal.door.clone(), stop.clone()));
    assert_eq!(status(&world).await?, StatusCode::SERVICE_UNAVAILABLE);
    server.restart()?;
    until_within(Duration::from_mins(1), "the cluster is shown", async || Ok(status(&world).await? == StatusCode::OK))
        .await?;
    stop.store(true, Ordering::Relaxed);
    let (_, refused) = reader.await??;
    assert!(refused > 0);
    assert_eq!(world.exposure().await?["status"], "active");
    assert_eq!(world.visit().await?, (StatusCode::OK, "one".to_owned()));
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
    let friend = somebody()?;
    let secret = |digit: u8| format!("{friend}-{digit}");
    apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {}}}}}", friend.namespace())).await?;
    let folder = tempfile::tempdir()?;
    let (token_file, path) = (folder.path().join("token"), folder.path().join("kubeconfig"));
    let first = token(&secret(1)).await?;
    fs::write(&token_file, &first)?;
    let shared = fs::read_to_string(file("portal.kubeconfig")?)?;
    let (server, certificate) = (after(&shared, "server: \"", "\"")?, after(&shared, "authority: ", "}")?);
    fs::write(&path, kubeconfig(server, certificate, &format!("tokenFile: '{}'", token_file.display())))?;
    let world = World::of(friend.clone(), &path).await?;
    let one = Backend::start("one").await?;
    world.serve(&[&one]).await?;

    // As the kubelet does it: another file under the same name.
    let next = folder.path().join("next");
    fs::write(&next, token(&secret(2)).await?)?;
    fs::rename(&next, &token_file)?;
    kubectl(&["delete", "secret", &secret(1), "-n", "friend-portal"], "").await?;

    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_on(world.portal.door.clone(), stop.clone()));
    // The API server remembers for a few seconds that it knew the first one.
    until("the first token is refused", async || {
        let asked = kubectl(&["auth", "can-i", "list", "pods", "--token", &first], "").await;
        Ok(asked.is_err_and(|refusal| refusal.to_string().contains("must be logged in")))
    })
    .await?;
    // The file is read again after a minute at the latest.
    until_within(Duration::from_secs(100), "the second token is used", async || {
        let Answer { status, body, .. } = world.expose(80).await?;
        let is_known = [StatusCode::CREATED, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
        ensure!(is_known, "{status}: {body}");
        Ok(status == StatusCode::CREATED)
    })
    .await?;
    stop.store(true, Ordering::Relaxed);
    let (shown, _) = reader.await??;
    assert!(shown > 0);
    Ok(())
}
