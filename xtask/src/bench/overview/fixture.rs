//! The control plane, and what is started on it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::{Server, free_address};
use crate::bench::build::Programs;
use crate::bench::fixture::Folder;
use crate::tiers::{self, Machine, Peers, Start};

/// The tier of tests whose control plane this is, and where that says which folder holds the way to it.
const TIER: (&str, &str) = ("cluster", "TEST_CLUSTER");

/// A control plane of its own, with the programs that use it.
pub(super) struct Fixture {
    pub(super) programs: Programs,
    pub(super) folder: Folder,
    /// Folder of kubectl and the kubeconfigs.
    cluster: PathBuf,
    _control_plane: Peers,
}

impl Fixture {
    pub(super) fn start(programs: Programs, machine: &Machine) -> anyhow::Result<Self> {
        let tier = tiers::TIERS.into_iter().find(|tier| tier.name == TIER.0).context("there is no such tier")?;
        let control_plane = match (tier.start)(machine)? {
            Start::Ready(peers) => peers,
            Start::Missing(why) => bail!("the overview cannot be measured: {why}"),
        };
        let told = control_plane.env.iter().find(|(name, _)| *name == TIER.1);
        let (_, cluster) = told.context("the control plane names no folder")?;
        Ok(Self { programs, folder: Folder::new()?, cluster: PathBuf::from(cluster), _control_plane: control_plane })
    }

    /// The kubeconfig of the account that the portal has, with the rights that are shipped and no others.
    fn kubeconfig(&self) -> PathBuf {
        self.cluster.join("portal.kubeconfig")
    }

    /// Makes the namespaces of the friends `from..to`.
    pub(super) fn fill(&self, from: u32, to: u32) -> anyhow::Result<()> {
        let mut fill = Command::new(self.programs.get("measured")?);
        fill.arg("fill").arg(self.cluster.join("kubeconfig")).args([from.to_string(), to.to_string()]);
        ensure!(fill.status()?.success(), "the cluster could not be filled");
        Ok(())
    }

    /// The portal as operators run it; what its database knew before does not matter here.
    pub(super) fn portal(&self) -> anyhow::Result<Server> {
        let data = self.folder.path().join("portal");
        let status = Command::new(self.programs.get("measured")?).arg("seed").arg(&data).status()?;
        ensure!(status.success(), "the database could not be filled");
        let program = self.programs.get("portal-server")?;
        let config = data.join("portal.toml");
        let operations = free_address()?;
        let listen = free_address()?;
        let text = format!(
            "[page]\nenabled = false\n[server]\nlisten = \"{listen}\"\noperations_listen = \"{operations}\"\n[log]\nfilter = \"warn\"\n\
                 [database]\nurl = \"sqlite:{}\"\n[cluster]\nkubeconfig = \"{}\"\n",
            data.join("portal.db").display(),
            self.kubeconfig().display(),
        );
        fs::write(&config, text)?;
        Server::start_at(listen, {
            let mut command = Command::new(program);
            command.arg("serve").arg("--config").arg(&config);
            command
        })
    }

    /// A portal that lists with every request.
    pub(super) fn lists(&self) -> anyhow::Result<Server> {
        let data = self.folder.path().join("lists");
        let program = self.programs.get("measured")?;
        Server::start(|address| {
            let mut command = Command::new(program);
            command.args(["lists", &address.to_string()]).arg(data).arg(self.kubeconfig());
            command
        })
    }

    /// `kubectl proxy`.
    pub(super) fn proxy(&self) -> anyhow::Result<Server> {
        Server::start(|address| {
            let mut command = Command::new(self.cluster.join("kubectl"));
            command.args(["proxy", "--port", &address.port().to_string()]);
            command
        })
    }
}
