//! A server that sleeps through its lease while a call of its own is still on the way.

use std::time::Duration;

use anyhow::ensure;
use portal_dns::all_intents;
use serde_json::json;
use tokio::time::Instant;

use crate::ground::Ground;
use crate::process::Server;

/// Longer than a lease (30 s), so that another server has taken over and finished by then.
const ON_THE_WAY: Duration = Duration::from_secs(40);
/// How long the zone takes over a look, while the next call is made to last.
const LOOK: Duration = Duration::from_secs(2);
/// More than a lease and two passes.
const PATIENCE: Duration = Duration::from_mins(3);

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let started = Instant::now();
    while !is_so().await? {
        ensure!(started.elapsed() < PATIENCE, "it did not come to be: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The sleeper's route stands and its record is on the way when it falls asleep. The friend has the exposure removed
/// elsewhere; then the record arrives, and then the sleeper wakes up.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn what_a_sleeper_leaves_behind_after_its_lease_is_swept_away() -> anyhow::Result<()> {
    let ground = Ground::new(&["f"]).await?;
    let token = &ground.people[0].token;
    let calls = |method: &str, about: &str| {
        let calls = ground.cloudflare.calls();
        calls.iter().filter(|call| call.method == method && call.target.contains(about)).count()
    };
    let (awake, other) = Server::start(&ground.config).await?;
    let (sleeper, portal) = Server::start(&ground.config).await?;
    // Both have found and listed both zones, by two calls each.
    until("both looked around", async || Ok(calls("GET", "") >= 8)).await?;

    ground.cloudflare.delay_every_call(LOOK);
    let wish = json!({"name": "app", "service": "web", "port": 80});
    let asking = {
        let (portal, token) = (portal.clone(), token.clone());
        tokio::spawn(async move { portal.expose(&token, &wish).await })
    };
    until("it looks", async || Ok(calls("GET", "name=app-") > 0)).await?;
    ground.cloudflare.delay_every_call(ON_THE_WAY);
    until("it makes a record", async || Ok(calls("POST", "") > 0)).await?;
    ground.cloudflare.delay_every_call(Duration::ZERO);
    sleeper.freeze()?;
    let asleep_since = Instant::now();

    let removed = other.remove(token, "app").await?;
    ensure!(removed.status == 202, "somebody else holds the lease: {removed:?}");
    until("it is gone", async || Ok(all_intents(&ground.store).await?.is_empty())).await?;
    ensure!(ground.marked().is_empty(), "the record was not to arrive yet");
    until("the record arrives", async || Ok(!ground.marked().is_empty())).await?;
    sleeper.thaw()?;
    ensure!(asleep_since.elapsed() > Duration::from_secs(30), "it did not sleep long enough");
    ensure!(ground.converged().await?.is_empty(), "the exposure came back");
    // The sleeper is as good as any other now, and the name is free.
    drop(asking.await?);
    let again = portal.expose(token, &json!({"name": "app", "service": "api", "port": 8080})).await?;
    ensure!(again.status == 201, "{again:?}");
    ensure!(ground.converged().await?.len() == 1);
    drop(awake);
    Ok(())
}
