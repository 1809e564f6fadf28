//! API servers for tests that want to kill one.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::fixture::until;
use crate::kubectl::{file, kubectl};

/// An API server of the test's own, on the data of the one that all tests use.
pub(crate) struct ApiServer {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    flags: &'static [&'static str],
    process: Child,
}

impl ApiServer {
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?, &[])
    }

    /// Starts one with flags of its own and the certificate that lies in a folder; without one, with one that it signs
    /// itself.
    pub(crate) fn start_in(folder: TempDir, flags: &'static [&'static str]) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = run(&folder, port, flags)?;
        Ok(Self { folder, port, flags, process })
    }

    /// Ends it at once, as a power failure would.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts it again at the same port, with the same certificate.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.process = run(&self.folder, self.port, self.flags)?;
        Ok(())
    }

    /// Its certificate, which `authority` signed, once it has one.
    pub(crate) async fn certificate(&self, authority: &str) -> anyhow::Result<String> {
        let certificate = self.folder.path().join(authority);
        until("the API server has a certificate", async || Ok(certificate.exists())).await?;
        Ok(certificate.display().to_string())
    }

    /// A kubeconfig of the portal's account for this server, once it serves that account; `authority` signed its
    /// certificate.
    pub(crate) async fn kubeconfig(&self, authority: &str) -> anyhow::Result<PathBuf> {
        let certificate = self.certificate(authority).await?;
        let shared = fs::read_to_string(file("portal.kubeconfig")?)?;
        let token = after(&shared, "token: ", "}")?;
        let path = self.folder.path().join("kubeconfig");
        let server = format!("https://127.0.0.1:{}", self.port);
        fs::write(&path, kubeconfig(&server, &certificate, &format!("token: {token}")))?;
        // A server that has just started answers 503 for IngressRoutes and 403 for whatever it did not read the rights of.
        let here = ["--server", &server, "--certificate-authority", &certificate, "--token", token];
        let list = [&["get", "ingressroutes.traefik.io", "--all-namespaces"], &here[..]].concat();
        until("the API server serves the portal's account", async || Ok(kubectl(&list, "").await.is_ok())).await?;
        Ok(path)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The certificate of a server that signs it itself.
pub(crate) const ITSELF: &str = "apiserver.crt";
/// The certificate of the test's own authority.
pub(crate) const AUTHORITY: &str = "ca.crt";

/// Runs openssl in a folder.
pub(crate) fn openssl(folder: &TempDir, arguments: &str) -> anyhow::Result<()> {
    let output = Command::new("openssl").current_dir(folder.path()).args(arguments.split(' ')).output()?;
    ensure!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Puts a new key and a new certificate for it into the folder, signed by the authority there.
pub(crate) fn certify(folder: &TempDir) -> anyhow::Result<()> {
    fs::write(folder.path().join("names"), "subjectAltName=IP:127.0.0.1\n")?;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout apiserver.key";
    openssl(folder, &format!("req {key} -subj /CN=apiserver -out apiserver.csr"))?;
    let authority = "-CA ca.crt -CAkey ca.key -CAcreateserial";
    openssl(folder, &format!("x509 -req -in apiserver.csr {authority} -days 2 -extfile names -out apiserver.crt"))
}

/// The tier's script replaces itself by the API server, so the process is the server's.
fn run(folder: &TempDir, port: u16, flags: &[&str]) -> anyhow::Result<Child> {
    let log = fs::File::options().create(true).append(true).open(folder.path().join("log"))?;
    let mut command = Command::new("sh");
    command.arg(file("apiserver.sh")?).arg(port.to_string()).arg(folder.path()).args(flags);
    Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?)
}

/// A kubeconfig of one user of one server.
pub(crate) fn kubeconfig(server: &str, certificate: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\n\
         clusters: [{{name: test, cluster: {{server: '{server}', certificate-authority: '{certificate}'}}}}]\n\
         users: [{{name: portal, user: {{{user}}}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: portal}}}}]\ncurrent-context: test\n"
    )
}

/// Returns the text between two others.
pub(crate) fn after<'a>(text: &'a str, start: &str, end: &str) -> anyhow::Result<&'a str> {
    let (_, rest) = text.split_once(start).context("the kubeconfig is not the tier's")?;
    rest.split(end).next().context("the kubeconfig ends early")
}
