//! Kill -9 at random moments of exposing, changing and removing.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::join_all;
use portal_dns::Intent;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::process::{Portal, Reply, Server};

/// Deeds under way when the server is killed.
const AT_ONCE: usize = 2;
/// Deeds between two comparisons.
const OPERATIONS_PER_LIFE: usize = 100;
/// Names of exposures.
const NAMES: [&str; 4] = ["app", "my-app", "x", "a-b-c"];
/// The longest that a server is left alone before it is killed, in milliseconds: more than a operation takes.
const LONGEST: u64 = 800;

/// An exposure: which friend's, under which name.
type Key = (usize, &'static str);

/// Acknowledged states. Of each exposure, the states that it may be in: one after a reply, two and more after
/// requests that were cut off. A state is what was asked for, or nothing.
#[derive(Default)]
struct Acknowledged(BTreeMap<Key, Vec<Option<Value>>>);

impl Acknowledged {
    fn of(&self, key: Key) -> Vec<Option<Value>> {
        self.0.get(&key).cloned().unwrap_or_else(|| vec![None])
    }

    /// Takes down what came of a operation.
    fn note(&mut self, key: Key, wish: Option<Value>, answer: Option<&Reply>) -> anyhow::Result<()> {
        let mut states = self.of(key);
        match answer.map(|answer| answer.status.as_u16()) {
            Some(200..=202) => states = vec![wish],
            Some(404) => {
                ensure!(wish.is_none() && states.contains(&None), "{key:?} is missing, it may be {states:?}");
                states = vec![None];
            }
            // It may have been stored.
            None | Some(503) => states.push(wish),
            Some(_) => anyhow::bail!("{key:?}: {wish:?} was answered by {answer:?}"),
        }
        self.0.insert(key, states);
        Ok(())
    }

    /// Holds what is there against what was acknowledged; from here on what is there is known.
    fn check(&mut self, fixture: &Fixture, intents: &[Intent]) -> anyhow::Result<()> {
        for (friend, person) in fixture.people.iter().enumerate() {
            for name in NAMES {
                let mut here = intents.iter().map(|intent| &intent.exposure);
                let there = here.find(|it| it.friend == person.id && it.name.as_str() == name);
                let there = there
                    .map(|it| wish(name, it.spec.service.as_str(), it.spec.port.number(), it.spec.domain.as_str()));
                let acknowledged = self.of((friend, name));
                ensure!(acknowledged.contains(&there), "{name} of {friend} is {there:?}, it may be {acknowledged:?}");
                self.0.insert((friend, name), vec![there]);
            }
        }
        Ok(())
    }
}

fn wish(name: &str, service: &str, port: u16, domain: &str) -> Value {
    json!({"name": name, "service": service, "port": port, "domain": domain})
}

/// Picks a friend's next operation: two out of three times an expose.
fn next_wish(random: &mut StdRng, fixture: &Fixture, name: &str) -> Option<Value> {
    let (service, port) = *[("web", 80), ("web", 9090), ("api", 8080)].choose(random)?;
    random.random_bool(2.0 / 3.0).then(|| wish(name, service, port, &fixture.domains[random.random_range(0..2)]))
}

/// Asks for one thing; `None` if no answer came.
async fn ask(portal: &Portal, fixture: &Fixture, (friend, name): Key, wish: Option<&Value>) -> Option<Reply> {
    let token = &fixture.people[friend].token;
    match wish {
        Some(wish) => portal.expose(token, wish).await.ok(),
        None => portal.remove(token, name).await.ok(),
    }
}

/// Starts a server, lets friends ask for things and kills it in the middle. Returns how many were never answered.
async fn strike(fixture: &Fixture, random: &mut StdRng, acknowledged: &mut Acknowledged) -> anyhow::Result<usize> {
    // Now and then a server does not even get through its start, nor through the repairs that it begins with.
    if random.random_bool(0.2) {
        let server = Server::spawn(&fixture.config)?;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..2 * LONGEST))).await;
        server.kill()?;
    }
    let mut operations = BTreeMap::new();
    while operations.len() < AT_ONCE {
        let key: Key = (random.random_range(0..fixture.people.len()), NAMES[random.random_range(0..NAMES.len())]);
        operations.insert(key, next_wish(random, fixture, key.1));
    }
    let moment = Duration::from_millis(random.random_range(0..LONGEST));
    let (server, portal) = Server::start(&fixture.config).await?;
    let asking = join_all(operations.iter().map(|(key, wish)| ask(&portal, fixture, *key, wish.as_ref())));
    let killing = async {
        tokio::time::sleep(moment).await;
        server.kill()
    };
    let (answers, killed) = tokio::join!(asking, killing);
    killed?;
    let cut_off = answers.iter().filter(|answer| answer.is_none()).count();
    operations
        .into_iter()
        .zip(&answers)
        .try_for_each(|((key, wish), answer)| acknowledged.note(key, wish, answer.as_ref()))?;
    Ok(cut_off)
}

/// Starts a server that nobody kills, and compares everything once it is done.
async fn recover(fixture: &Fixture, acknowledged: &mut Acknowledged) -> anyhow::Result<()> {
    let (_server, _) = Server::start(&fixture.config).await?;
    let intents = fixture.converged().await?;
    acknowledged.check(fixture, &intents)
}

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by these variables")]
fn number(variable: &str, default: u64) -> anyhow::Result<u64> {
    env::var(variable).map_or(Ok(default), |text| text.parse().with_context(|| variable.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn whenever_it_is_killed_a_restart_finds_and_finishes_everything() -> anyhow::Result<()> {
    let (operations, seed) = (number("TEST_SURVIVAL_DEEDS", 40)?, number("TEST_SURVIVAL_SEED", 1)?);
    let mut random = StdRng::seed_from_u64(seed);
    let fixture = Fixture::new(&["k", "k-l", "m"]).await?;
    // A provider that takes its time, so that more of the moments lie within its calls.
    fixture.cloudflare.delay_every_call(Duration::from_millis(20));
    let (mut acknowledged, mut done, mut cut_off) = (Acknowledged::default(), 0, 0);
    while done < usize::try_from(operations)? {
        cut_off += strike(&fixture, &mut random, &mut acknowledged)
            .await
            .with_context(|| format!("seed {seed}, operation {done}"))?;
        done += AT_ONCE;
        if done % OPERATIONS_PER_LIFE == 0 {
            recover(&fixture, &mut acknowledged)
                .await
                .with_context(|| format!("seed {seed}, after operation {done}"))?;
        }
    }
    recover(&fixture, &mut acknowledged).await.with_context(|| format!("seed {seed}, at the end"))?;
    eprintln!("seed {seed}: {done} operations, {cut_off} of them cut off by {} kills", done / AT_ONCE);
    ensure!(cut_off > 0 && cut_off < done, "seed {seed}: the moments are not spread over the operations");
    Ok(())
}
