//! A server that is put to sleep for longer than its lease, while it looks and while a call of its own is on the way.

use std::time::Duration;

use anyhow::ensure;
use portal_dns::all_intents;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::fixture::Fixture;
use crate::process::{Portal, Reply, Server};

/// Longer than a lease (30 s), so that another server has taken over and finished by then.
const ON_THE_WAY: Duration = Duration::from_secs(40);
/// Delay of a zone's reply while the next call is slowed down.
const LOOK: Duration = Duration::from_secs(2);
/// More than a lease and two passes.
const TIMEOUT: Duration = Duration::from_mins(3);

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let started = Instant::now();
    while !is_so().await? {
        ensure!(started.elapsed() < TIMEOUT, "it did not come to be: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Two servers, and the request of a friend at one of them.
struct Scene {
    fixture: Fixture,
    _awake: Server,
    /// Address of the server that is not stopped.
    other: Portal,
    sleeper: Server,
    /// Final reply of the stopped server.
    asking: JoinHandle<anyhow::Result<Reply>>,
}

impl Scene {
    /// The sleeper is looking at what stands in the zone, and this takes a while.
    async fn new() -> anyhow::Result<Self> {
        let fixture = Fixture::new(&["f"]).await?;
        let (awake, other) = Server::start(&fixture.config).await?;
        let (sleeper, portal) = Server::start(&fixture.config).await?;
        // Both find and list both zones, by two calls each.
        until("both looked around", async || Ok(calls(&fixture, "GET", "") >= 8)).await?;
        fixture.cloudflare.delay_every_call(LOOK);
        let (token, wish) = (fixture.people[0].token.clone(), json!({"name": "app", "service": "web", "port": 80}));
        let asking = tokio::spawn(async move { portal.expose(&token, &wish).await });
        until("it looks", async || Ok(calls(&fixture, "GET", "name=app-") > 0)).await?;
        Ok(Self { fixture, _awake: awake, other, sleeper, asking })
    }

    /// Puts the sleeper to sleep, and has the exposure removed by the other server, which has to wait for the lease.
    async fn remove_meanwhile(&self) -> anyhow::Result<()> {
        let Self { fixture, other, sleeper, .. } = self;
        fixture.cloudflare.delay_every_call(Duration::ZERO);
        sleeper.freeze()?;
        let removed = other.remove(&fixture.people[0].token, "app").await?;
        ensure!(removed.status == 202, "somebody else holds the lease: {removed:?}");
        until("it is gone", async || Ok(all_intents(&*fixture.store).await?.is_empty())).await?;
        ensure!(fixture.marked().is_empty(), "nothing was to be made yet");
        Ok(())
    }

    /// Fails unless the exposure stays away and its name is free.
    async fn end(self) -> anyhow::Result<()> {
        // All of it is kept: a server that is dropped is killed.
        let Self { fixture, _awake, other, sleeper: _sleeper, asking } = self;
        let answer = asking.await??;
        ensure!([202, 503].contains(&answer.status.as_u16()), "it was said to stand: {answer:?}");
        ensure!(fixture.converged().await?.is_empty(), "the exposure came back");
        let wish = json!({"name": "app", "service": "api", "port": 8080});
        let again = other.expose(&fixture.people[0].token, &wish).await?;
        ensure!(again.status == 201, "{again:?}");
        ensure!(fixture.converged().await?.len() == 1);
        Ok(())
    }
}

/// Returns the number of calls of this method whose target contains `about`.
fn calls(fixture: &Fixture, method: &str, about: &str) -> usize {
    let calls = fixture.cloudflare.calls();
    calls.iter().filter(|call| call.method == method && call.target.contains(about)).count()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_sleeper_that_wakes_up_after_its_lease_does_nothing() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene.remove_meanwhile().await?;
    scene.sleeper.thaw()?;
    until("it answered", async || Ok(scene.asking.is_finished())).await?;
    ensure!(calls(&scene.fixture, "POST", "") == 0, "it went on with what it had begun");
    scene.end().await
}

/// The sleeper's route stands and its record is on the way when it falls asleep. The exposure is removed; then the
/// record arrives, and then the sleeper wakes up.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn what_arrives_after_the_lease_of_a_sleeper_is_swept_away() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene.fixture.cloudflare.delay_every_call(ON_THE_WAY);
    until("it makes a record", async || Ok(calls(&scene.fixture, "POST", "") > 0)).await?;
    scene.remove_meanwhile().await?;
    until("the record arrives", async || Ok(!scene.fixture.marked().is_empty())).await?;
    scene.sleeper.thaw()?;
    scene.end().await
}

/// The sleeper is removing the exposure when it falls asleep. The other server finishes the removal and exposes the name
/// again, under the id of its former life. If the sleeper then removes the new record, a pass puts it back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn what_a_sleeper_removes_of_the_next_life_is_put_back() -> anyhow::Result<()> {
    let fixture = Fixture::new(&["f"]).await?;
    let (_awake, other) = Server::start(&fixture.config).await?;
    let (sleeper, portal) = Server::start(&fixture.config).await?;
    until("both looked around", async || Ok(calls(&fixture, "GET", "") >= 8)).await?;
    let (token, wish) = (fixture.people[0].token.clone(), json!({"name": "app", "service": "web", "port": 80}));
    let exposed = portal.expose(&token, &wish).await?;
    ensure!(exposed.status == 201, "{exposed:?}");
    until("it was looked at once more", async || {
        Ok(all_intents(&*fixture.store).await?.iter().all(|intent| intent.established))
    })
    .await?;
    let former = all_intents(&*fixture.store).await?.remove(0).exposure.id;

    let looks = calls(&fixture, "GET", "name=app-");
    fixture.cloudflare.delay_every_call(LOOK);
    let sleepers = token.clone();
    let removing = tokio::spawn(async move { portal.remove(&sleepers, "app").await });
    until("it looks", async || Ok(calls(&fixture, "GET", "name=app-") > looks)).await?;
    fixture.cloudflare.delay_every_call(ON_THE_WAY);
    until("it removes", async || Ok(calls(&fixture, "GET", "name=app-") > looks + 1)).await?;
    fixture.cloudflare.delay_every_call(Duration::ZERO);
    sleeper.freeze()?;
    until("the other server removed it", async || Ok(all_intents(&*fixture.store).await?.is_empty())).await?;
    let again = other.expose(&token, &wish).await?;
    ensure!(again.status == 201, "{again:?}");
    sleeper.thaw()?;
    until("it answered", async || Ok(removing.is_finished())).await?;
    let intents = fixture.converged().await?;
    ensure!(intents.len() == 1 && intents[0].exposure.id == former, "{intents:?}");
    Ok(())
}
