//! A process killed, a port that fails, an agent that writes: at every step of a write, and of the settling after it.

use std::sync::Arc;
use std::time::Duration;

use portal_workspace::DocumentName::Memory;
use portal_workspace::{DocumentPath, Documents, Precondition, Tag};

use crate::faults::{Fault, Script, scripted};
use crate::world::{Ground, World, content, path, reader, writer};

/// More than any lease.
pub(crate) const LATER: Duration = Duration::from_secs(6);

/// What stood there before the write that is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    AgentsText,
    /// A text of the very session that writes: its version is to be replaced.
    SameBurst,
}

/// What an agent does at the chosen step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agent {
    Sleeps,
    Writes,
    Removes,
}

/// A write and its disturbance.
#[derive(Debug, Clone, Copy)]
struct Case {
    before: Before,
    agent: Agent,
    fault: Option<Fault>,
    precondition: fn(Before) -> Precondition,
}

fn blind(_: Before) -> Precondition {
    Precondition::None
}

fn seen(before: Before) -> Precondition {
    match before {
        Before::Nothing => Precondition::Absent,
        Before::AgentsText | Before::SameBurst => Precondition::OneOf(vec![Tag::of(b"before")]),
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for before in [Before::Nothing, Before::AgentsText, Before::SameBurst] {
        for agent in [Agent::Sleeps, Agent::Writes, Agent::Removes] {
            for fault in std::iter::once(None).chain(Fault::ALL.map(Some)) {
                for precondition in [blind, seen] {
                    cases.push(Case { before, agent, fault, precondition });
                }
            }
        }
    }
    cases
}

fn act(ground: &Ground, agent: Agent, path: &DocumentPath) {
    match agent {
        Agent::Sleeps => {}
        Agent::Writes => ground.agent_writes(path, "agent"),
        Agent::Removes => ground.agent_removes(path),
    }
}

/// Runs a case with its disturbance at call `at`, then a first settling that is killed at call `again`, then one that
/// is not. Tells which of the two disturbances were reached.
async fn run(world: World, case: Case, at: usize, again: Option<usize>) -> (bool, bool) {
    let world = Arc::new(world);
    let memory = path("alice", Memory);
    match case.before {
        Before::Nothing => {}
        Before::AgentsText => world.ground.agent_writes(&memory, "before"),
        Before::SameBurst => drop(world.write("alice", "s1", Memory, "before").await.unwrap()),
    }
    let first = script(&world, case, at, case.fault);
    let documents = Documents::new(scripted(&world.ports, &first));
    let precondition = (case.precondition)(case.before);
    let written = documents.replace(writer("alice", "s1"), Memory, content("new"), precondition).await;
    world.clock.advance(LATER);
    let mut second_reached = false;
    if let Some(again) = again {
        let second = script(&world, Case { agent: Agent::Sleeps, ..case }, again, Some(Fault::KilledBefore));
        // It fails by design; what counts is what the next one makes of it.
        let _ = Documents::new(scripted(&world.ports, &second)).settle().await;
        second_reached = second.was_reached();
        world.clock.advance(LATER);
    }
    world.documents.settle().await.unwrap();
    let story = format!("{case:?} at {at}, then {again:?}: {written:?}");
    assert!(written.is_ok() || case.fault.is_some() || case.agent != Agent::Sleeps, "refused for nothing: {story}");
    verify(&world, case, (written.is_ok(), first.was_reached()), &story).await;
    (first.was_reached(), second_reached)
}

fn script(world: &Arc<World>, case: Case, at: usize, fault: Option<Fault>) -> Arc<Script> {
    let world = Arc::clone(world);
    Script::new(at, fault, move || {
        act(&world.ground, case.agent, &path("alice", Memory));
        std::future::ready(())
    })
}

/// Nothing that anybody wrote is lost, and nothing is left over.
async fn verify(world: &World, case: Case, (acknowledged, reached): (bool, bool), story: &str) {
    let memory = path("alice", Memory);
    let current = world.documents.read(&reader("alice"), Memory).await.unwrap().map(|document| document.text);
    let kept = world.kept(&memory).await;
    let is_safe = |text: &str| current.as_deref() == Some(text) || kept.iter().any(|kept| kept == text);
    let story = format!("{story}; now {current:?}, kept {kept:?}");

    assert!(!acknowledged || is_safe("new"), "an acknowledged text is lost: {story}");
    assert!(case.agent != Agent::Writes || !reached || is_safe("agent"), "a text of the agent is lost: {story}");
    match case.before {
        Before::Nothing => {}
        // What the agent replaced or removed itself is not ours to keep.
        Before::AgentsText => assert!(case.agent != Agent::Sleeps || is_safe("before"), "{story}"),
        Before::SameBurst => {
            let replaced = acknowledged || matches!(case.fault, Some(Fault::KilledAfter | Fault::AnswerLost));
            assert!(is_safe("before") || (replaced && is_safe("new")), "an acknowledged text is lost: {story}");
        }
    }
    let is_new = current.as_deref() == Some("new");
    if case.agent == Agent::Sleeps && !is_new {
        assert!(!is_safe("new"), "a version tells of a write that never was: {story}");
    }
    let overruled = match case.agent {
        Agent::Sleeps => false,
        Agent::Writes => case.before == Before::Nothing,
        Agent::Removes => case.before != Before::Nothing,
    };
    if acknowledged && reached && overruled && (case.precondition)(case.before) != Precondition::None {
        assert!(!is_new, "the precondition did not hold any more: {story}");
    }
    assert!(world.ports.files.staged(&memory).await.unwrap().is_empty(), "a staged text is left over: {story}");
    let held = world.ports.store.claim(&memory, "after", chrono::TimeDelta::zero()).await.unwrap().unwrap();
    assert!(!held.taken_over && held.pending.is_none(), "the write is not settled: {story}");
}

/// Runs `cases` with a disturbance at every call that is made, all at once: what is waited for is mostly time.
async fn run_at_every_call(cases: Vec<Case>, on_disk: bool) -> usize {
    let mut runs = tokio::task::JoinSet::new();
    for case in cases {
        runs.spawn(async move {
            let mut count = 0;
            for at in 0.. {
                let world = if on_disk { World::on_disk().await } else { World::in_memory().await };
                if !run(world, case, at, None).await.0 {
                    break;
                }
                count += 1;
            }
            count
        });
    }
    runs.join_all().await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_lost_whatever_happens_at_any_step() {
    let count = run_at_every_call(cases(), false).await;
    assert!(count > 600, "only {count} disturbances: the steps are not reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_on_real_files() {
    let killed = |fault| matches!(fault, None | Some(Fault::KilledBefore | Fault::KilledAfter));
    let cases =
        cases().into_iter().filter(|case| killed(case.fault) && (case.precondition)(case.before) == Precondition::None);
    let count = run_at_every_call(cases.collect(), true).await;
    assert!(count > 150, "only {count} disturbances: the steps are not reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_if_the_settling_is_killed_as_well() {
    let killed = |fault| matches!(fault, Some(Fault::KilledBefore | Fault::KilledAfter));
    let mut count = 0;
    for case in cases().into_iter().filter(|case| killed(case.fault) && case.agent == Agent::Sleeps) {
        let mut at = 0;
        while run(World::in_memory().await, case, at, None).await.0 {
            let mut again = 0;
            while run(World::in_memory().await, case, at, Some(again)).await.1 {
                again += 1;
            }
            (at, count) = (at + 1, count + again);
        }
    }
    assert!(count > 100, "only {count} double disturbances: the steps are not reached");
}
