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

use crate::ground::Ground;
use crate::process::{Answer, Portal, Server};

/// Deeds under way when the server is killed.
const AT_ONCE: usize = 2;
/// Deeds between two comparisons.
const STRETCH: usize = 100;
/// What friends call their exposures.
const NAMES: [&str; 4] = ["app", "my-app", "x", "a-b-c"];
/// The longest that a server is left alone before it is killed, in milliseconds: more than a deed takes.
const LONGEST: u64 = 800;

/// An exposure: which friend's, under which name.
type Key = (usize, &'static str);

/// What friends were told. Of each exposure, the states that it may be in: one after an answer, two and more after
/// requests that were cut off. A state is what was asked for, or nothing.
#[derive(Default)]
struct Told(BTreeMap<Key, Vec<Option<Value>>>);

impl Told {
    fn of(&self, key: Key) -> Vec<Option<Value>> {
        self.0.get(&key).cloned().unwrap_or_else(|| vec![None])
    }

    /// Takes down what came of a deed.
    fn note(&mut self, key: Key, wish: Option<Value>, answer: Option<&Answer>) -> anyhow::Result<()> {
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

    /// Holds what is there against what was told; from here on what is there is known.
    fn check(&mut self, ground: &Ground, intents: &[Intent]) -> anyhow::Result<()> {
        for (friend, person) in ground.people.iter().enumerate() {
            for name in NAMES {
                let mut here = intents.iter().map(|intent| &intent.exposure);
                let there = here.find(|it| it.friend == person.id && it.name.as_str() == name);
                let there = there.map(|it| wish(name, it.service.as_str(), it.port.number(), it.domain.as_str()));
                let told = self.of((friend, name));
                ensure!(told.contains(&there), "{name} of {friend} is {there:?}, it may be {told:?}");
                self.0.insert((friend, name), vec![there]);
            }
        }
        Ok(())
    }
}

fn wish(name: &str, service: &str, port: u16, domain: &str) -> Value {
    json!({"name": name, "service": service, "port": port, "domain": domain})
}

/// What a friend does next: twice out of three times they want something to be there.
fn next_wish(random: &mut StdRng, ground: &Ground, name: &str) -> Option<Value> {
    let (service, port) = *[("web", 80), ("web", 9090), ("api", 8080)].choose(random)?;
    random.random_bool(2.0 / 3.0).then(|| wish(name, service, port, &ground.domains[random.random_range(0..2)]))
}

/// Asks for one thing; `None` if no answer came.
async fn ask(portal: &Portal, ground: &Ground, (friend, name): Key, wish: Option<&Value>) -> Option<Answer> {
    let token = &ground.people[friend].token;
    match wish {
        Some(wish) => portal.expose(token, wish).await.ok(),
        None => portal.remove(token, name).await.ok(),
    }
}

/// Starts a server, lets friends ask for things and kills it in the middle. Returns how many were never answered.
async fn strike(ground: &Ground, random: &mut StdRng, told: &mut Told) -> anyhow::Result<usize> {
    // Now and then a server does not even get through its start, nor through the repairs that it begins with.
    if random.random_bool(0.2) {
        let server = Server::spawn(&ground.config)?;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..2 * LONGEST))).await;
        server.kill()?;
    }
    let mut deeds = BTreeMap::new();
    while deeds.len() < AT_ONCE {
        let key: Key = (random.random_range(0..ground.people.len()), NAMES[random.random_range(0..NAMES.len())]);
        deeds.insert(key, next_wish(random, ground, key.1));
    }
    let moment = Duration::from_millis(random.random_range(0..LONGEST));
    let (server, portal) = Server::start(&ground.config).await?;
    let asking = join_all(deeds.iter().map(|(key, wish)| ask(&portal, ground, *key, wish.as_ref())));
    let killing = async {
        tokio::time::sleep(moment).await;
        server.kill()
    };
    let (answers, killed) = tokio::join!(asking, killing);
    killed?;
    let cut_off = answers.iter().filter(|answer| answer.is_none()).count();
    deeds.into_iter().zip(&answers).try_for_each(|((key, wish), answer)| told.note(key, wish, answer.as_ref()))?;
    Ok(cut_off)
}

/// Starts a server that nobody kills, and compares everything once it is done.
async fn recover(ground: &Ground, told: &mut Told) -> anyhow::Result<()> {
    let (_server, _) = Server::start(&ground.config).await?;
    let intents = ground.converged().await?;
    told.check(ground, &intents)
}

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by these variables")]
fn number(variable: &str, default: u64) -> anyhow::Result<u64> {
    env::var(variable).map_or(Ok(default), |text| text.parse().with_context(|| variable.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn whenever_it_is_killed_a_restart_finds_and_finishes_everything() -> anyhow::Result<()> {
    let (deeds, seed) = (number("TEST_SURVIVAL_DEEDS", 40)?, number("TEST_SURVIVAL_SEED", 1)?);
    let mut random = StdRng::seed_from_u64(seed);
    let ground = Ground::new(&["k", "k-l", "m"]).await?;
    // A provider that takes its time, so that more of the moments lie within its calls.
    ground.cloudflare.delay_every_call(Duration::from_millis(20));
    let (mut told, mut done, mut cut_off) = (Told::default(), 0, 0);
    while done < usize::try_from(deeds)? {
        cut_off +=
            strike(&ground, &mut random, &mut told).await.with_context(|| format!("seed {seed}, deed {done}"))?;
        done += AT_ONCE;
        if done % STRETCH == 0 {
            recover(&ground, &mut told).await.with_context(|| format!("seed {seed}, after deed {done}"))?;
        }
    }
    recover(&ground, &mut told).await.with_context(|| format!("seed {seed}, at the end"))?;
    eprintln!("seed {seed}: {done} deeds, {cut_off} of them cut off by {} kills", done / AT_ONCE);
    ensure!(cut_off > 0 && cut_off < done, "seed {seed}: the moments are not spread over the deeds");
    Ok(())
}
