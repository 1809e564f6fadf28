//! The root of the repository, and cargo commands in it.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that holds the workspace's `Cargo.toml`.
#[must_use]
pub fn root() -> PathBuf {
    // Where this crate was built, not where the caller stands: `cargo xtask` works in every folder.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A cargo command that runs in [`root`], coloured when somebody is watching.
#[must_use]
pub fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root()).args(arguments);
    if io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
}
