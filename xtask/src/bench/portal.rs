//! The portals on one database.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use super::build::Programs;
use super::fixture::Folder;
use super::server::{Server, free_address};

/// Kubernetes at a port on which nobody listens: jobs do not need it.
const KUBECONFIG: &str = "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: \
                          'http://127.0.0.1:9'}}], users: [{name: u, user: {token: none}}], contexts: [{name: c, context: \
                          {cluster: c, user: u}}]}";

/// What portals are started from.
pub(super) struct Portals<'a> {
    pub(super) programs: &'a Programs,
    pub(super) folder: &'a Folder,
    /// Of the database.
    pub(super) url: String,
    /// Of the receiver.
    pub(super) receiver: SocketAddr,
}

impl Portals<'_> {
    /// Makes the database, with jobs that are due at `start` and every minute after it.
    pub(super) fn fill(&self, friends: u32, jobs: u32, start: Duration) -> anyhow::Result<()> {
        let mut fill = Command::new(self.programs.get("measured")?);
        fill.arg("jobs").arg(&self.url).args([friends.to_string(), jobs.to_string(), start.as_secs().to_string()]);
        ensure!(fill.status()?.success(), "the database could not be filled");
        Ok(())
    }

    /// Starts a portal as operators run it.
    pub(super) fn start(&self, number: u32) -> anyhow::Result<Server> {
        let folder = self.folder.path();
        let (config, kubeconfig) = (folder.join(format!("portal-{number}.toml")), folder.join("kubeconfig"));
        let (listen, operations) = (free_address()?, free_address()?);
        fs::write(&kubeconfig, KUBECONFIG)?;
        fs::create_dir_all(folder.join("main"))?;
        let text = format!(
            "[page]\nenabled = false\n[server]\nlisten = \"{listen}\"\noperations_listen = \"{operations}\"\n[log]\nfilter = \"warn\"\n\
             [database]\nurl = \"{}\"\n[cluster]\nkubeconfig = \"{}\"\n\
             [[agents]]\nid = \"main\"\nworkspace = \"{}\"\nengine = \"embedded\"\n\
             [delivery]\nwebhook_url = \"http://{}/\"\nsignature = \"legacy\"\nwebhook_secret = \"{}\"\n",
            self.url,
            kubeconfig.display(),
            folder.join("main").display(),
            self.receiver,
            "measured-secret-".repeat(4),
        );
        fs::write(&config, text)?;
        let mut command = Command::new(self.programs.get("portal-server")?);
        command.arg("serve").arg("--config").arg(&config);
        Server::start_at(listen, command)
    }
}
