//! Actions of an operator in the cluster.

use std::env;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Reads a variable that the tier sets.
#[expect(clippy::disallowed_methods, reason = "the tier hands the cluster over by variables")]
pub(crate) fn tier_variable(name: &str) -> anyhow::Result<String> {
    env::var(name).with_context(|| format!("{name} is set by the tier"))
}

/// A file of the tier's folder.
pub(crate) fn file(name: &str) -> anyhow::Result<PathBuf> {
    Ok(PathBuf::from(tier_variable("TEST_CLUSTER")?).join(name))
}

/// Runs `kubectl` with the operator's rights; what it said, or why it did not do it.
pub(crate) async fn kubectl(arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let mut command = Command::new(file("kubectl")?);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("kubectl")?;
    let mut stdin = child.stdin.take().context("kubectl takes no input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let refusal = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {}: {refusal}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// Applies manifests.
pub(crate) async fn apply(manifests: &str) -> anyhow::Result<()> {
    kubectl(&["apply", "-f", "-"], manifests).await.map(drop)
}

/// An object as the API server has it, with everything that is in it.
pub(crate) async fn object(kind: &str, name: &str, namespace: &str) -> anyhow::Result<Value> {
    let arguments = ["get", kind, name, "--namespace", namespace, "--show-managed-fields", "-o", "json"];
    Ok(serde_json::from_str(&kubectl(&arguments, "").await?)?)
}
