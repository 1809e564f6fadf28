//! The web page in a real browser: each scenario is a script in `crates/portal-page/ui/tests`, run against a demo of
//! its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use parking_lot::{Mutex, const_mutex};

use super::process::Demo;

/// Longest time for a scenario; a busy machine with two cores needs half a minute.
const TIMEOUT: Duration = Duration::from_mins(4);
/// Two browsers at once only make each other slow.
static BROWSER: Mutex<()> = const_mutex(());

/// Runs a scenario against a demo on a new folder.
fn run(scenario: &str) -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let _one_at_a_time = BROWSER.lock();
    let (_demo, portal) = Demo::start(data.path())?;
    let mut command = Command::new("node");
    command.arg("tests/run.mjs").args([scenario, portal.base()]).arg(data.path());
    command.current_dir(sources()).stdin(Stdio::null());
    let mut child = command.spawn()?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > TIMEOUT {
            child.kill()?;
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
