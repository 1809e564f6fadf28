//! `cargo xtask check`: everything that can be said about the code without running the product.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::page::{self, Compared};
use crate::{table, workspace};

/// Outcome of a step.
enum Outcome {
    Passed,
    Failed,
    LeftOut(&'static str),
}

/// Runs every step, also after one failed, and says whether all of them passed.
///
/// # Errors
/// A cargo that cannot be started.
pub fn run() -> anyhow::Result<bool> {
    let mut steps = Vec::new();
    for (name, command) in own_steps() {
        steps.push((name, step(command)?));
    }
    steps.push(("page", page_is_built()?));
    // Optional: it takes long to install, and a contributor may go without.
    let deny_is_here = workspace::cargo(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if deny_is_here.success() {
        steps.push(("deny", step(workspace::cargo(["deny", "check", "bans", "licenses", "sources"]))?));
        steps.push(("advisories", advisories()?));
    } else {
        steps.push(("deny", Outcome::LeftOut("cargo-deny is not installed: cargo install cargo-deny --locked")));
    }
    report(&steps)?;
    Ok(!steps.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed)))
}

/// The steps that need nothing but the toolchain.
fn own_steps() -> [(&'static str, Command); 4] {
    let mut documentation = workspace::cargo(["doc", "--workspace", "--no-deps", "--quiet"]);
    // Broken links are warnings of rustdoc, which has no `-D warnings` of its own.
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    [
        ("fmt", workspace::cargo(["fmt", "--all", "--check"])),
        ("clippy", workspace::cargo(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])),
        ("doc", documentation),
        ("tidy", workspace::cargo(["test", "--package", "xtask", "--quiet"])),
    ]
}

fn step(mut command: Command) -> anyhow::Result<Outcome> {
    let passed = command.status().with_context(|| format!("running {command:?}"))?.success();
    Ok(if passed { Outcome::Passed } else { Outcome::Failed })
}

/// Compares the committed page with a build of its sources, where Node.js is there.
fn page_is_built() -> anyhow::Result<Outcome> {
    Ok(match page::compare()? {
        Compared::Same => Outcome::Passed,
        Compared::Different => Outcome::Failed,
        Compared::Missing(why) => Outcome::LeftOut(why),
    })
}

/// Known vulnerabilities, where the database of them can be reached.
fn advisories() -> anyhow::Result<Outcome> {
    let output = workspace::cargo(["deny", "check", "advisories"]).stdin(Stdio::null()).output()?;
    if String::from_utf8_lossy(&output.stderr).contains("failed to fetch advisory database") {
        return Ok(Outcome::LeftOut("the advisory database cannot be reached from here"));
    }
    io::stderr().write_all(&output.stderr)?;
    Ok(if output.status.success() { Outcome::Passed } else { Outcome::Failed })
}

fn report(steps: &[(&str, Outcome)]) -> anyhow::Result<()> {
    let rows: Vec<[String; 3]> = steps
        .iter()
        .map(|(name, outcome)| {
            let (word, note) = match outcome {
                Outcome::Passed => ("passed", ""),
                Outcome::Failed => ("failed", ""),
                Outcome::LeftOut(why) => ("left out", *why),
            };
            [name, word, note].map(str::to_owned)
        })
        .collect();
    let mut out = io::stdout().lock();
    writeln!(out)?;
    table::write(&mut out, ["step", "outcome", "note"], &rows)?;
    Ok(())
}
