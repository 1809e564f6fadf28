//! The demo as its users meet it: a process that is started, asked, killed and started again.

mod log;
mod login;
mod process;
mod survival;
mod tour;

use std::process::Stdio;

use process::{Demo, server};

#[tokio::test]
async fn the_demo_says_what_to_try() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (demo, _) = Demo::start(data.path())?;
    for word in ["demo-alice", "demo-bob", "/docs/", "/api/portal/me"] {
        assert!(demo.greeting.contains(word), "{word}: {}", demo.greeting);
    }
    Ok(())
}

#[test]
fn the_demo_listens_on_loopback_only() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let mut command = server(["demo", "--listen", "0.0.0.0:0", "--data"]);
    let output = command.arg(data.path().join("demo")).stdout(Stdio::piped()).output()?;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("loopback"), "{output:?}");
    assert!(!data.path().join("demo").exists(), "nothing is written before the address is accepted");
    Ok(())
}

#[tokio::test]
async fn a_demo_that_is_asked_to_stop_ends_well() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (demo, portal) = Demo::start(data.path())?;
    assert_eq!(portal.get("alice", "/api/portal/me").await?.status, 200);
    let status = demo.stop()?;
    assert!(status.success(), "{status}");
    Ok(())
}
