//! Two servers on one database that want the same hostname at the same moment, watched by a third reader.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use portal_dns::all_intents;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::process::{Portal, Reply, Server};

/// Rounds of each race.
const ROUNDS: usize = 20;

/// Which exposure owns each hostname, as the database says now.
async fn owners(fixture: &Fixture) -> anyhow::Result<BTreeMap<String, String>> {
    let mut owners = BTreeMap::new();
    for intent in all_intents(&*fixture.store).await? {
        let id = intent.exposure.id.to_string();
        for host in intent.leaving.iter().chain([&intent.exposure.spec.hostname]) {
            let twice = owners.insert(host.to_string(), id.clone());
            ensure!(twice.is_none(), "{host} is owned by {id} and by {twice:?}");
        }
    }
    Ok(owners)
}

/// One look: the zone between two looks at the database. Ids are random and never come back, so an owner before that
/// is the owner after was the owner all the while, and whoever came and went in between has left a tombstone.
async fn observe(fixture: &Fixture) -> anyhow::Result<()> {
    let long_gone = fixture.store.tombstones().await?;
    let before = owners(fixture).await?;
    let records = fixture.marked();
    let after = owners(fixture).await?;
    let tombstones = fixture.store.tombstones().await?;
    let mut seen = BTreeMap::new();
    for record in &records {
        let (host, marker) =
            (record["name"].as_str().unwrap_or_default(), record["comment"].as_str().unwrap_or_default());
        let id = marker.rsplit('/').next().unwrap_or_default();
        let twice = seen.insert(host, id);
        ensure!(twice.is_none(), "two records at {host}: {id} and {twice:?}");
        let (was, is) = (before.get(host).map(String::as_str), after.get(host).map(String::as_str));
        let mut new = tombstones.iter().filter(|stone| !long_gone.contains(stone));
        let mut came_and_went = || new.any(|stone| stone.hostname.as_str() == host && stone.exposure.as_str() == id);
        let is_owner = if was.is_some() && was == is { was == Some(id) } else { is == Some(id) || came_and_went() };
        ensure!(is_owner, "{host} is {id}'s in the zone, and in the database {was:?}'s before and {is:?}'s after");
    }
    Ok(())
}

/// Observes until it is over; tells how often.
async fn watch(fixture: &Fixture, over: &AtomicBool) -> anyhow::Result<usize> {
    let mut looks = 0;
    while !over.load(Ordering::SeqCst) {
        observe(fixture).await?;
        looks += 1;
    }
    Ok(looks)
}

/// Runs a race with an observer at its side.
async fn observed(fixture: &Fixture, race: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let over = AtomicBool::new(false);
    let racing = async {
        race.await?;
        over.store(true, Ordering::SeqCst);
        anyhow::Ok(())
    };
    // Whoever finds something wrong first ends it for both.
    let ((), looks) = tokio::try_join!(racing, watch(fixture, &over))?;
    eprintln!("{looks} looks at {ROUNDS} rounds");
    ensure!(looks > ROUNDS, "hardly anybody looked");
    Ok(())
}

fn wish(name: &str) -> Value {
    json!({"name": name, "service": "web", "port": 80})
}

fn statuses(answers: &[Reply; 2]) -> [u16; 2] {
    answers.each_ref().map(|answer| answer.status.as_u16())
}

/// One side of a race: a friend at a server, who wants an exposure of this name.
#[derive(Clone, Copy)]
struct Side<'a> {
    portal: &'a Portal,
    token: &'a str,
    name: &'static str,
}

impl Side<'_> {
    async fn expose(self) -> anyhow::Result<Reply> {
        self.portal.expose(self.token, &wish(self.name)).await
    }

    /// Removes the exposure by way of this server.
    async fn remove_by(self, portal: &Portal) -> anyhow::Result<Reply> {
        portal.remove(self.token, self.name).await
    }
}

/// Both ask at once: one is told that it has the name, the other that it is taken. Then the winner's is removed, by way
/// of the other server, while the loser asks again.
async fn race_of_two(fixture: &Fixture, sides: [Side<'_>; 2]) -> anyhow::Result<()> {
    for round in 0..ROUNDS {
        let (one, other) = tokio::join!(sides[0].expose(), sides[1].expose());
        let answers = [one?, other?];
        let told = statuses(&answers);
        ensure!(told == [201, 409] || told == [409, 201], "round {round}: {answers:?}");
        let [winner, loser] = if told[0] == 201 { sides } else { [sides[1], sides[0]] };
        let refusal = &answers[usize::from(told[0] == 201)];
        ensure!(refusal.body["code"] == "hostname-taken", "round {round}: {refusal:?}");
        let owners = fixture.converged().await?;
        ensure!(owners.len() == 1, "round {round}: {owners:?}");

        let (removed, again) = tokio::join!(winner.remove_by(loser.portal), loser.expose());
        let answers = [removed?, again?];
        let told = statuses(&answers);
        ensure!([200, 202].contains(&told[0]) && [201, 202, 409].contains(&told[1]), "round {round}: {answers:?}");
        let is_taken_over = told[1] != 409;
        let owners = fixture.converged().await?;
        ensure!(owners.len() == usize::from(is_taken_over), "round {round}: {answers:?} and {owners:?}");
        if is_taken_over {
            let removed = loser.remove_by(winner.portal).await?;
            ensure!(removed.status == 200, "round {round}: {removed:?}");
        }
    }
    ensure!(fixture.converged().await?.is_empty());
    Ok(())
}

/// One server removes while the other adds, from both sides in turn.
async fn race_of_ends(fixture: &Fixture, sides: [Side<'_>; 2]) -> anyhow::Result<()> {
    for round in 0..ROUNDS {
        let (here, there) = (sides[round % 2], sides[(round + 1) % 2]);
        let begun = here.expose().await?;
        ensure!([200, 201].contains(&begun.status.as_u16()), "round {round}: {begun:?}");
        let (removed, added) = tokio::join!(here.remove_by(here.portal), there.expose());
        let answers = [removed?, added?];
        let told = statuses(&answers);
        ensure!([200, 202].contains(&told[0]) && (200..=202).contains(&told[1]), "round {round}: {answers:?}");
        ensure!(fixture.converged().await?.len() <= 1, "round {round}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier cluster"]
async fn a_hostname_has_one_owner_at_every_moment_whoever_races_for_it() -> anyhow::Result<()> {
    // Names and friends that make one hostname: `a-b` of `c-..` and `a` of `b-c-..`.
    let fixture = Fixture::new(&["c", "b-c"]).await?;
    let (_one, here) = Server::start(&fixture.config).await?;
    let (_other, there) = Server::start(&fixture.config).await?;
    let one = Side { portal: &here, token: &fixture.people[0].token, name: "a-b" };
    let other = Side { portal: &there, token: &fixture.people[1].token, name: "a" };
    observed(&fixture, race_of_two(&fixture, [one, other])).await?;
    observed(&fixture, race_of_ends(&fixture, [one, Side { portal: &there, ..one }])).await
}
