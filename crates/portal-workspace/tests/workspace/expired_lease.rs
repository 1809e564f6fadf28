//! A writer that is suspended past its lease at every step, while another portal writes the same document.

use std::sync::Arc;

use portal_testkit::Faults;
use portal_workspace::DocumentName::Memory;
use portal_workspace::{Documents, Precondition, Tag};

use crate::crash::LATER;
use crate::faults::faulty;
use crate::fixture::{Fixture, content, path, reader, writer};

/// Suspends the writer at call `at`; returns `false` once the write is over before that.
async fn run(fixture: Fixture, at: usize) -> bool {
    let fixture = Arc::new(fixture);
    let memory = path("alice", Memory);
    fixture.folder.agent_installs(&memory, "before");
    let other = Arc::clone(&fixture);
    let faults = Faults::new(at, None).before_it(move || {
        let other = Arc::clone(&other);
        async move {
            other.clock.advance(LATER);
            other.write("alice", "awake", Memory, "theirs").await.unwrap();
        }
    });
    let faults = faults.shared();
    let seen = Precondition::OneOf(vec![Tag::of(b"before")]);
    let sleeper = Documents::new(faulty(&fixture.ports, &faults));
    let written = sleeper.replace(writer("alice", "asleep"), Memory, content("sleeper's"), seen).await;

    let current = fixture.documents.read(&reader("alice"), Memory).await.unwrap().unwrap().text;
    let mut safe = fixture.stored(&memory).await;
    safe.push(current.clone());
    let story = format!("at {at}: {written:?}; now {current:?}, safe {safe:?}");
    let has = |text: &str| safe.iter().any(|safe| safe == text);
    assert!(has("before"), "{story}");
    assert!(written.is_err() || has("sleeper's"), "an acknowledged text is lost: {story}");
    if faults.was_reached() {
        assert_eq!(current, "theirs", "a text that was acknowledged meanwhile is overwritten: {story}");
    }
    assert!(fixture.ports.files.staged(&memory).await.unwrap().is_empty(), "a staged text is left over: {story}");
    let held = fixture.ports.store.claim(&memory, "after", chrono::TimeDelta::zero()).await.unwrap().unwrap();
    assert!(!held.taken_over && held.pending.is_none(), "the write is not recovered: {story}");
    faults.was_reached()
}

#[tokio::test]
async fn a_writer_that_wakes_up_late_replaces_nothing() {
    let mut steps = 0;
    while run(Fixture::in_memory().await, steps).await && run(Fixture::on_disk().await, steps).await {
        steps += 1;
    }
    assert!(steps > 7, "only {steps} steps are reached");
}
