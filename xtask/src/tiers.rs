//! The kinds of tests there are, by what they need from the machine.
//!
//! A test of a tier other than `unit` lies in a module named like the tier and is marked
//! `#[ignore = "tier <name>"]`: plain `cargo test` leaves it out, the tier runs `--ignored <name>::`. A new tier is one
//! file beside this one and a line in [`TIERS`].

mod abuse;
mod cluster;
mod dns;
mod gateway;
mod mounts;
mod node;
mod packages;
mod page;
mod peer;
mod postgres;
mod unit;

use std::any::Any;
use std::path::PathBuf;

use crate::tally::Ignored;

/// The name of the tier that needs a Rust toolchain and a C compiler only.
pub const UNIT: &str = "unit";

/// Every tier, in the order in which they run.
pub const TIERS: [Tier; 10] = [
    unit::TIER,
    mounts::TIER,
    node::TIER,
    packages::TIER,
    page::TIER,
    abuse::TIER,
    postgres::TIER,
    dns::TIER,
    gateway::TIER,
    cluster::TIER,
];

/// A set of tests that need the same things.
pub struct Tier {
    /// Its name in `--only` and `--require`, and the name of the modules that hold its tests.
    pub name: &'static str,
    /// Brings up what the tests need, or says what is missing.
    pub start: fn(&Machine) -> anyhow::Result<Start>,
}

/// Facts about the machine, from the caller.
pub struct Machine {
    /// A PostgreSQL server to use instead of a private one.
    pub database_url: Option<String>,
    /// A folder with the programs of a Kubernetes control plane.
    pub kubernetes_programs: Option<PathBuf>,
    /// A folder with OpenClaw gateways.
    pub openclaw: Option<PathBuf>,
}

/// Result of preparing a tier.
pub enum Start {
    /// It can.
    Ready(Peers),
    /// It cannot: what is missing, and what to install.
    Missing(String),
}

/// Servers that were started for a tier; dropping it stops them.
#[derive(Default)]
pub struct Peers {
    /// Environment variables that tell the tests where things are.
    pub env: Vec<(&'static str, String)>,
    /// Running programs, each of which ends when it is dropped.
    pub running: Vec<Box<dyn Any>>,
}

pub(crate) use postgres::durable as durable_postgres;

/// The names of all tiers.
#[must_use]
pub fn names() -> [&'static str; TIERS.len()] {
    TIERS.map(|tier| tier.name)
}

/// The tier that runs `test`, if exactly one does.
#[must_use]
pub fn tier_of(test: &Ignored) -> Option<&'static str> {
    let claimed = test.reason.strip_prefix("tier ")?;
    let mut running = names().into_iter().filter(|&name| name != UNIT && test.name.contains(&filter(name)));
    // A path with two tiers in it would be run by both.
    let only = running.next().filter(|_| running.next().is_none())?;
    (only == claimed && test.name.split("::").any(|module| module == only)).then_some(only)
}

/// Returns libtest's arguments that select the tests of the tier `name`.
#[must_use]
pub fn filter(name: &str) -> String {
    format!("{name}::")
}

#[cfg(test)]
mod tests {
    use super::{Ignored, tier_of};

    #[track_caller]
    fn check(name: &str, reason: &str, expected: Option<&str>) {
        let test = Ignored { name: name.to_owned(), reason: reason.to_owned() };
        assert_eq!(tier_of(&test), expected);
    }

    #[test]
    fn an_ignored_test_belongs_to_the_tier_that_it_names_and_lies_in() {
        check("people::postgres::a_friend_is_found", "tier postgres", Some("postgres"));
        check("postgres::a_friend_is_found", "tier postgres", Some("postgres"));
        check("people::a_friend_is_found_on_postgres", "tier postgres", None);
        check("people::on_postgres::a_friend_is_found", "tier postgres", None);
        check("postgres::a_friend_is_found", "slow", None);
        check("postgres::a_friend_is_found", "", None);
        check("unit::a_friend_is_found", "tier unit", None);
    }
}
