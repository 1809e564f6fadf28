//! Log lines of the demo when a backend is down.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::process::Demo;

#[tokio::test]
async fn a_failure_is_one_plain_line_with_the_request_id_that_the_friend_was_told() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let (demo, portal) = Demo::start_logging(&data, File::create(&log)?)?;
    fs::rename(data.join("agents/main"), data.join("agents/away"))?;
    let reply = portal.get("alice", "/api/portal/workspace/memory").await?;
    demo.kill()?;

    assert_eq!((reply.status.as_u16(), reply.body["code"].as_str()), (503, Some("workspace-unavailable")));
    let request_id = reply.body["request_id"].as_str().unwrap_or_default();
    let log = fs::read_to_string(log)?;
    let lines: Vec<_> = log.lines().filter(|line| line.contains(request_id)).collect();
    let names_the_request = |line: &str| {
        ["workspace-unavailable", "http.method=GET", "http.route=\"/api/portal/workspace/memory\""]
            .iter()
            .all(|part| line.contains(part))
    };
    assert!(matches!(lines.as_slice(), [line] if names_the_request(line)), "{log}");
    assert!(!log.contains('\u{1b}'), "colours in a file: {log}");
    Ok(())
}

#[tokio::test]
async fn a_table_that_is_gone_is_named_by_background_tasks_and_by_requests() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let (demo, portal) = Demo::start_logging(&data, File::create(&log)?)?;
    let path = data.join("portal.db");
    SqliteConnection::establish(&path.display().to_string())?.batch_execute(
        "pragma busy_timeout = 5000; pragma foreign_keys = off; drop table runs; drop table exposures;",
    )?;
    line_with(&log, &["a background pass could not finish", "pass=\"jobs\"", "no such table: runs"]).await?;
    let reply = portal.get("alice", "/api/portal/namespace").await?;
    let request_id = reply.body["request_id"].as_str().unwrap_or_default();
    assert_eq!(reply.status, 503, "{}", reply.body);
    let line = line_with(&log, &[request_id, "http.route=\"/api/portal/namespace\""]).await?;
    assert!(line.contains("no such table: exposures"), "{line}");
    demo.kill()
}

/// Waits for the first line of the log that contains all of these.
async fn line_with(log: &Path, parts: &[&str]) -> anyhow::Result<String> {
    let started = Instant::now();
    loop {
        let text = fs::read_to_string(log)?;
        if let Some(line) = text.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
            return Ok(line.to_owned());
        }
        ensure!(started.elapsed() < Duration::from_secs(20), "{parts:?} is in no line of {text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
