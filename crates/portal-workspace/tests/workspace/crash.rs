//! A process killed, a port that fails, an agent that writes: at every step of a write, and of the recovery after it.

use std::sync::Arc;
use std::time::Duration;

use portal_testkit::{Fault, Faults};
use portal_workspace::DocumentName::Memory;
use portal_workspace::{DocumentPath, Documents, Precondition, Tag};

use crate::faults::{FAULTS, faulty};
use crate::fixture::{AgentFolder, Fixture, content, path, reader, writer};

/// More than any lease.
pub(crate) const LATER: Duration = Duration::from_secs(6);

/// Document before the disturbed write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    AgentsText,
    /// A text of the same session, whose version the write replaces.
    SameBurst,
}

/// Action of the agent at the chosen step.
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
    /// Set for a document that is a mount point.
    mounted: bool,
    fault: Option<Fault>,
    precondition: fn(Before) -> Precondition,
}

fn unconditional(_: Before) -> Precondition {
    Precondition::None
}

fn as_read(before: Before) -> Precondition {
    match before {
        Before::Nothing => Precondition::Absent,
        Before::AgentsText | Before::SameBurst => Precondition::OneOf(vec![Tag::of(b"before")]),
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for before in [Before::Nothing, Before::AgentsText, Before::SameBurst] {
        for agent in [Agent::Sleeps, Agent::Writes, Agent::Removes] {
            for fault in std::iter::once(None).chain(FAULTS.map(Some)) {
                for precondition in [unconditional, as_read] {
                    cases.push(Case { before, agent, mounted: false, fault, precondition });
                }
            }
        }
    }
    cases
}

fn act(folder: &AgentFolder, agent: Agent, path: &DocumentPath) {
    match agent {
        Agent::Sleeps => {}
        Agent::Writes => folder.agent_installs(path, "agent"),
        Agent::Removes => folder.agent_removes(path),
    }
}

/// Runs a case with its disturbance at call `at`, then a first recovery that is killed at call `again`, then one that is
/// not. Returns which of the two disturbances were reached.
async fn run(fixture: Fixture, case: Case, at: usize, again: Option<usize>) -> (bool, bool) {
    let fixture = Arc::new(fixture);
    let memory = path("alice", Memory);
    match case.before {
        Before::Nothing => {}
        Before::AgentsText => fixture.folder.agent_installs(&memory, "before"),
        Before::SameBurst => drop(fixture.write("alice", "s1", Memory, "before").await.unwrap()),
    }
    if let (true, AgentFolder::Memory(files)) = (case.mounted, &fixture.folder) {
        files.mount(&memory);
    }
    let first = faults(&fixture, case, at, case.fault);
    let documents = Documents::new(faulty(&fixture.ports, &first));
    let precondition = (case.precondition)(case.before);
    let written = documents.replace(writer("alice", "s1"), Memory, content("new"), precondition).await;
    fixture.clock.advance(LATER);
    let mut second_reached = false;
    if let Some(again) = again {
        let second = faults(&fixture, Case { agent: Agent::Sleeps, ..case }, again, Some(Fault::StopBefore));
        // It fails by design; the next one is tested.
        let _ = Documents::new(faulty(&fixture.ports, &second)).recover().await;
        second_reached = second.was_reached();
        fixture.clock.advance(LATER);
    }
    fixture.documents.recover().await.unwrap();
    let story = format!("{case:?} at {at}, then {again:?}: {written:?}");
    assert!(written.is_ok() || case.fault.is_some() || case.agent != Agent::Sleeps, "refused for nothing: {story}");
    verify(&fixture, case, (written.is_ok(), first.was_reached()), &story).await;
    (first.was_reached(), second_reached)
}

fn faults(fixture: &Arc<Fixture>, case: Case, at: usize, fault: Option<Fault>) -> Arc<Faults> {
    let fixture = Arc::clone(fixture);
    let faults = Faults::new(at, fault).answering_the_dead();
    let faults = faults.before_it(move || {
        act(&fixture.folder, case.agent, &path("alice", Memory));
        std::future::ready(())
    });
    faults.shared()
}

/// Nothing that anybody wrote is lost, and nothing is left over.
async fn verify(fixture: &Fixture, case: Case, (acknowledged, reached): (bool, bool), story: &str) {
    let memory = path("alice", Memory);
    let current = fixture.documents.read(&reader("alice"), Memory).await.unwrap().map(|document| document.text);
    let stored = fixture.stored(&memory).await;
    let is_safe = |text: &str| current.as_deref() == Some(text) || stored.iter().any(|stored| stored == text);
    let story = format!("{story}; now {current:?}, stored {stored:?}");

    assert!(!acknowledged || is_safe("new"), "an acknowledged text is lost: {story}");
    assert!(case.agent != Agent::Writes || !reached || is_safe("agent"), "a text of the agent is lost: {story}");
    match case.before {
        Before::Nothing => {}
        // What the agent replaced or removed itself is not ours to keep.
        Before::AgentsText => assert!(case.agent != Agent::Sleeps || is_safe("before"), "{story}"),
        Before::SameBurst => {
            let replaced = acknowledged || matches!(case.fault, Some(Fault::StopAfter | Fault::LostAnswer));
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
    assert!(fixture.ports.files.staged(&memory).await.unwrap().is_empty(), "a staged text is left over: {story}");
    let displaced = fixture.ports.files.displaced(&memory).await.unwrap();
    let scheduled = fixture.ports.store.unfinished(true).await.unwrap();
    assert!(displaced.is_empty() || !scheduled.is_empty(), "nobody will look at the displaced file: {story}");
    let held = fixture.ports.store.claim(&memory, "after", chrono::TimeDelta::zero()).await.unwrap().unwrap();
    assert!(!held.taken_over && held.pending.is_none(), "the write is not recovered: {story}");
}

/// Runs `cases` with a disturbance at every call that is made, all at once: what is waited for is mostly time.
async fn run_at_every_call(cases: Vec<Case>, on_disk: bool) -> usize {
    let mut runs = tokio::task::JoinSet::new();
    for case in cases {
        runs.spawn(async move {
            let mut count = 0;
            for at in 0.. {
                let fixture = if on_disk { Fixture::on_disk().await } else { Fixture::in_memory().await };
                if !run(fixture, case, at, None).await.0 {
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

/// An agent that writes a mount point in the very instant of the overwriting may lose its text; one that does nothing
/// loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nor_on_a_mount_point_beside_a_quiet_agent() {
    let quiet = |case: &Case| case.before != Before::Nothing && case.agent == Agent::Sleeps;
    let cases = cases().into_iter().filter(quiet).map(|case| Case { mounted: true, ..case });
    let count = run_at_every_call(cases.collect(), false).await;
    assert!(count > 100, "only {count} disturbances: the steps are not reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_on_real_files() {
    let killed = |fault| matches!(fault, None | Some(Fault::StopBefore | Fault::StopAfter));
    let cases =
        cases().into_iter().filter(|case| killed(case.fault) && (case.precondition)(case.before) == Precondition::None);
    let count = run_at_every_call(cases.collect(), true).await;
    assert!(count > 150, "only {count} disturbances: the steps are not reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_if_the_recovery_is_killed_as_well() {
    let killed = |fault| matches!(fault, Some(Fault::StopBefore | Fault::StopAfter));
    let mut count = 0;
    for case in cases().into_iter().filter(|case| killed(case.fault) && case.agent == Agent::Sleeps) {
        let mut at = 0;
        while run(Fixture::in_memory().await, case, at, None).await.0 {
            let mut again = 0;
            while run(Fixture::in_memory().await, case, at, Some(again)).await.1 {
                again += 1;
            }
            (at, count) = (at + 1, count + again);
        }
    }
    assert!(count > 100, "only {count} double disturbances: the steps are not reached");
}
