//! The demo as its users meet it: a process that is started, asked, killed and started again. Its page is tested before a
//! configured portal as well.

#[path = "../serve/database.rs"]
mod database;
mod log;
mod login;
mod page;
mod process;
mod served;
mod survival;
mod tour;

use std::process::Stdio;

use process::{Demo, server};

#[tokio::test]
async fn the_demo_says_what_to_try() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (demo, _) = Demo::start(data.path())?;
    for word in ["demo-alice", "demo-bob", "demo-agent", "/docs/", "/api/portal/me"] {
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
async fn the_demo_listens_elsewhere_for_who_knows_that_its_tokens_are_public() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let mut command = server(["demo", "--i-know-that-the-tokens-are-public", "--listen", "0.0.0.0:0", "--data"]);
    let (_demo, portal) = Demo::start_command(command.arg(data.path()), Stdio::inherit())?;
    assert_eq!(portal.get("alice", "/api/portal/me").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_demo_whose_database_file_is_replaced_ends() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (demo, portal) = Demo::start(data.path())?;
    assert_eq!(portal.get("alice", "/api/portal/me").await?.status, 200);
    std::fs::copy(data.path().join("portal.db"), data.path().join("copy.db"))?;
    std::fs::rename(data.path().join("copy.db"), data.path().join("portal.db"))?;
    assert!(!demo.wait()?.success(), "a supervisor starts it again");
    Ok(())
}

#[test]
fn a_configuration_that_is_not_there_is_one_line() -> anyhow::Result<()> {
    let mut command = server(["serve", "--config", "not/there.toml"]);
    let output = command.env("RUST_BACKTRACE", "1").output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.starts_with("error: ") && error.contains("not/there.toml"), "{error}");
    assert!(!error.contains("backtrace") && !error.contains("Stack"), "{error}");
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
