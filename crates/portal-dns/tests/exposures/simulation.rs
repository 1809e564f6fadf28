//! Seeded rounds: several processes at once that fail anywhere, drift, records of others, and names that live again.
//!
//! After each round a process starts that does not fail, and one pass must put everything right. `SIMULATION_ROUNDS` runs
//! more of them; a failure names the seed of its round.

use portal_k8s::Kind;
use portal_testkit::{Fault, Faults};

use super::faults::serve;
use super::fixture::{Fixture, close, open, plain, wish};

/// Rounds of a usual run.
const ROUNDS: u64 = 1_500;
/// Friends and names, of which some make the same hostnames.
const FRIENDS: [&str; 4] = ["alice", "b-c", "c", "a-b"];
const NAMES: [&str; 3] = ["a", "a-b", "my-app"];
/// Most calls of an operation, and some more, so that some processes do not fail.
const CALLS: u64 = 24;

/// Pseudo-random numbers (splitmix64), the same for the same seed everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        let place = usize::try_from(self.below(choices.len() as u64)).unwrap();
        *choices.get(place).unwrap()
    }
}

/// One operation of a friend in a process that fails at some call.
async fn operate(fixture: &Fixture, random: &mut Random) {
    let (who, name) = (random.of(&FRIENDS), random.of(&NAMES));
    let (service, domain) = (random.of(&["web", "api"]), random.of(&[None, None, Some("b.net")]));
    let (at, fault) = (usize::try_from(random.below(CALLS)).unwrap(), random.of(&Fault::ALL));
    let is_removal = random.below(3) == 0;
    let portal = serve(fixture, &Faults::new(at, Some(fault)).shared());
    let acted = async {
        // Refusals and failures are as good as success here: what counts is what is left behind.
        if is_removal {
            close(&portal, who, name).await.ok();
        } else {
            open(&portal, who, wish(name, service, None, domain)).await.ok();
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(2), acted).await.ok();
}

/// Somebody deletes a record or a route of ours.
async fn drift(fixture: &Fixture, random: &mut Random) {
    let marked = fixture.marked();
    if !marked.is_empty() && random.below(2) == 0 {
        let (host, _) = marked.get(usize::try_from(random.below(marked.len() as u64)).unwrap()).unwrap();
        fixture.a.clear(host.as_str());
        fixture.b.clear(host.as_str());
    }
    let routes = fixture.routes().await;
    if let Some((namespace, name, ..)) = routes.first().filter(|_| random.below(2) == 0) {
        assert!(fixture.cluster.delete(Kind::Route, namespace, name));
    }
}

/// Somebody makes a record where a friend may want one; `None` if there is one already.
fn interfere(fixture: &Fixture, random: &mut Random) -> Option<String> {
    let host = format!("{}-{}.a.net", random.of(&NAMES), random.of(&FRIENDS));
    let is_free = fixture.a.records().iter().all(|(name, _)| *name != host);
    is_free.then(|| {
        fixture.a.insert_record(&host, plain("A", "192.0.2.7"));
        host
    })
}

async fn round(fixture: &Fixture, seed: u64) {
    let (mut random, context) = (Random(seed), format!("seed {seed}"));
    let (mut one, mut other) = (Random(random.below(u64::MAX)), Random(random.below(u64::MAX)));
    let theirs = if random.below(4) == 0 { interfere(fixture, &mut random) } else { None };
    tokio::join!(operate(fixture, &mut one), operate(fixture, &mut other));
    if random.below(3) == 0 {
        drift(fixture, &mut random).await;
    }
    fixture.wait_long();
    let survivor = fixture.portal();
    let report = survivor.pass().await.unwrap();
    assert_eq!((report.errors, &*report.orphans), (0, &[][..]), "{context}: {report:?}");
    if let Some(host) = theirs {
        let stands = fixture.a.records().into_iter().find(|(name, _)| *name == host).map(|(_, record)| record);
        assert_eq!(stands, Some(plain("A", "192.0.2.7")), "{context}: {host} is not ours");
        fixture.a.clear(&host);
        fixture.wait_long();
        survivor.pass().await.unwrap();
    }
    fixture.assert_converged(&context).await;
}

fn rounds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a run of its own asks for more rounds by environment")]
    let asked = std::env::var("SIMULATION_ROUNDS");
    asked.ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

#[tokio::test(start_paused = true)]
async fn whatever_happened_in_a_round_one_pass_puts_it_right() {
    let (mut fixture, mut active) = (Fixture::new().await, 0);
    for seed in 0..rounds() {
        // A fixture remembers every call; a new one now and then keeps that short.
        if seed % 500 == 499 {
            fixture = Fixture::new().await;
        }
        round(&fixture, seed).await;
        active += fixture.marked().len();
    }
    assert!(active > 0, "some exposures came to stand");
}
