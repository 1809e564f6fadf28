//! The web page in a real browser: each scenario is a script in `crates/portal-page/ui/tests`, run against a demo of
//! its own, or against a configured portal between backends that fail.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use parking_lot::{Mutex, const_mutex};
use serde_json::json;

use super::process::Demo;
use super::served::Served;

/// Longest time for a scenario; a busy machine with two cores needs half a minute.
const TIMEOUT: Duration = Duration::from_mins(4);
/// Two browsers at once only make each other slow.
static BROWSER: Mutex<()> = const_mutex(());

/// Runs a scenario against a demo on a new folder.
fn run(scenario: &str) -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let _one_at_a_time = BROWSER.lock();
    let (_demo, portal) = Demo::start(data.path())?;
    finish(script(scenario, portal.base(), data.path()), scenario)
}

fn script(scenario: &str, base: &str, data: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg("tests/run.mjs").args([scenario, base]).arg(data);
    command.current_dir(sources()).stdin(Stdio::piped());
    command
}

/// Waits until a scenario has ended well.
fn finish(mut command: Command, scenario: &str) -> anyhow::Result<()> {
    // A script, and whatever it started, ends when its standard input does: also if this process is killed.
    let mut child = command.spawn()?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > TIMEOUT {
            drop(child.stdin.take());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    };
    ensure!(status.success(), "{scenario}: {status}, its reason is above");
    Ok(())
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/portal-page/ui")
}

#[test]
#[ignore = "tier page"]
fn every_function_works_when_it_is_clicked() -> anyhow::Result<()> {
    run("functions")
}

#[test]
#[ignore = "tier page"]
fn every_view_is_accessible_and_fits_in_both_themes() -> anyhow::Result<()> {
    run("views")
}

#[test]
#[ignore = "tier page"]
fn a_failure_loses_nothing_and_says_what_to_do() -> anyhow::Result<()> {
    run("failures")
}

#[test]
#[ignore = "tier page"]
fn whole_tasks_are_done_by_keyboard_alone() -> anyhow::Result<()> {
    run("keyboard")
}

#[test]
#[ignore = "tier page"]
fn changes_are_shown_as_the_stream_tells_of_them() -> anyhow::Result<()> {
    run("live")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier page"]
async fn every_backend_of_a_configured_portal_may_fail() -> anyhow::Result<()> {
    let served = Served::create().await?;
    let facts = json!({
        "program": env!("CARGO_BIN_EXE_portal-server"),
        "database": served.database()?,
        "zone": served.zone.url(),
        "zoneToken": portal_adapters::cloudflare::SCRIPTED_TOKEN,
        "tokens": {"alice": served.token},
    });
    let data = served.folder.path().to_owned();
    // The scenario blocks a thread of its own: the zone is served by this runtime.
    tokio::task::spawn_blocking(move || {
        let _one_at_a_time = BROWSER.lock();
        let mut command = script("served", "none", &data);
        command.env("PAGE_SERVED", facts.to_string());
        finish(command, "served")
    })
    .await?
}
