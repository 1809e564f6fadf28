//! What the demo says when something behind it is down.

use std::fs::{self, File};

use tempfile::TempDir;

use crate::process::Demo;

#[tokio::test]
async fn trouble_is_one_plain_line_with_the_request_id_that_the_friend_was_told() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let (demo, portal) = Demo::start_logging(&data, File::create(&log)?)?;
    fs::rename(data.join("agents/main"), data.join("agents/away"))?;
    let told = portal.get("alice", "/api/portal/workspace/memory").await?;
    demo.kill()?;

    assert_eq!((told.status.as_u16(), told.body["code"].as_str()), (503, Some("workspace-unavailable")));
    let request_id = told.body["request_id"].as_str().unwrap_or_default();
    let log = fs::read_to_string(log)?;
    let lines: Vec<_> = log.lines().filter(|line| line.contains(request_id)).collect();
    assert!(matches!(lines.as_slice(), [line] if line.contains("workspace-unavailable")), "{log}");
    assert!(!log.contains('\u{1b}'), "colours in a file: {log}");
    Ok(())
}
