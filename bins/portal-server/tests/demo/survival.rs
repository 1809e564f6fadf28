//! Kill -9 and a start on the same folder: what was acknowledged is there.

use std::path::Path;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::process::{Demo, Portal};

const MEMORY: &str = "/api/portal/workspace/memory";
const CRONS: &str = "/api/portal/workspace/crons";
const EXPOSE: &str = "/api/portal/namespace/expose";

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (demo, portal) = Demo::start(data.path())?;
    assert_eq!(portal.put("alice", MEMORY, &json!({"content": "kept"})).await?.status, 200);
    assert_eq!(portal.post("alice", CRONS, &job("kept")).await?.status, 201);
    let wanted = json!({"name": "kept", "service": "my-app", "port": 80});
    assert_eq!(portal.post("alice", EXPOSE, &wanted).await?.status, 201);
    demo.kill()?;

    let (_demo, portal) = Demo::start(data.path())?;
    assert_eq!(portal.get("alice", MEMORY).await?.body["content"], "kept");
    assert_eq!(portal.get("alice", CRONS).await?.body["jobs"][0]["name"], "kept");
    let again = portal.post("alice", EXPOSE, &wanted).await?;
    assert_eq!((again.status.as_u16(), &again.body["ok"]), (200, &json!(true)), "{}", again.body);
    Ok(())
}

#[tokio::test]
async fn a_session_that_was_ended_is_refused_until_the_demo_starts_again() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (demo, portal) = Demo::start(data.path())?;
    assert_eq!(portal.delete("bob", "/api/portal/sessions/current").await?.status, 200);
    let refused = portal.get("bob", "/api/portal/me").await?;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (401, &json!("session-invalid")));
    demo.kill()?;

    let (_demo, portal) = Demo::start(data.path())?;
    for friend in ["alice", "bob"] {
        assert_eq!(portal.get(friend, "/api/portal/me").await?.status, 200, "the demo prints the token of {friend}");
    }
    Ok(())
}

/// Each round ends a little later than the one before, at a moment that nobody chose.
#[tokio::test]
async fn writes_that_are_cut_off_in_the_middle_are_there_or_not_and_nothing_before_them_is_lost() -> anyhow::Result<()>
{
    let data = tempfile::tempdir()?;
    let mut known = 0;
    for round in 1..=4 {
        known = killed_while_writing(data.path(), known, round * 3).await?;
    }
    Ok(())
}

/// Writes texts and jobs that are numbered from `known + 1` on, kills the server once `count` of them were
/// acknowledged, starts it again and compares. Returns the highest number that is now there.
async fn killed_while_writing(data: &Path, known: usize, count: usize) -> anyhow::Result<usize> {
    let (demo, portal) = Demo::start(data)?;
    let (acknowledge, mut acknowledged) = watch::channel(known);
    let writer = tokio::spawn(write_numbers(portal, known + 1, acknowledge));
    acknowledged.wait_for(|number| *number >= known + count).await?;
    demo.kill()?;
    writer.await??;
    let acknowledged = *acknowledged.borrow();

    let (_demo, portal) = Demo::start(data)?;
    let content = portal.get("alice", MEMORY).await?.body;
    let written: usize = content.get("content").and_then(Value::as_str).unwrap_or_default().parse()?;
    assert!(written == acknowledged || written == acknowledged + 1, "{acknowledged} acknowledged, {written} there");
    let jobs = portal.get("alice", CRONS).await?.body;
    let names: Vec<&Value> = jobs
        .pointer("/jobs")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|job| job.get("name"))
        .collect();
    for number in known + 1..=acknowledged {
        assert!(names.iter().any(|name| *name == &format!("job-{number}")), "job-{number} is not among {names:?}");
    }
    // The next round begins behind what may have been written without being acknowledged.
    Ok(written)
}

/// Writes one number after the other into the memory and as a job, until the server is gone.
async fn write_numbers(portal: Portal, first: usize, acknowledge: watch::Sender<usize>) -> anyhow::Result<()> {
    for number in first.. {
        let Ok(text) = portal.put("alice", MEMORY, &json!({"content": number.to_string()})).await else {
            return Ok(());
        };
        ensure!(text.status == 200, "{}", text.body);
        let Ok(job) = portal.post("alice", CRONS, &job(&format!("job-{number}"))).await else { return Ok(()) };
        ensure!(job.status == 201, "{}", job.body);
        acknowledge.send_replace(number);
    }
    Ok(())
}

fn job(name: &str) -> Value {
    json!({"name": name, "message": "Check my portfolio", "cron": "0 9 * * *", "tz": "Europe/Berlin"})
}
