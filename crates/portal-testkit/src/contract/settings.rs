//! What friends change about themselves, the pages of their activity, and the messages that they send now.

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{Action, AuditFilter, Change, ChannelId, Clock, FriendPatch, FriendshipKey, Ids};
use portal_cron::{
    AnswerTo, FriendShares, Job, JobName, JobSpec, JobState, MANUAL_RUNS_PER_MINUTE, MessageQueued, RunLease,
    RunStatus, RunsListed, Timing, TimingKind, Trigger,
};

use crate::fixture::Fixture;

pub async fn a_patch_changes_the_members_that_it_names(fixture: &Fixture) {
    let alice = fixture.friend("alice").await;
    let patch = |patch: FriendPatch| fixture.friends.patch(&alice, patch, fixture.audit(Action::FriendUpdate));
    let named = FriendPatch { display_name: Change::Set("Al".to_owned()), ..FriendPatch::default() };
    let zoned = FriendPatch {
        time_zone: Change::Set("Europe/Berlin".to_owned()),
        preferred_channel: Change::Set(ChannelId::parse("signal").unwrap()),
        ..FriendPatch::default()
    };
    // Two devices that read the same settings: both changes count.
    let (first, second) = futures::join!(patch(named), patch(zoned));
    assert!(first.unwrap().is_some() && second.unwrap().is_some());
    let stored = fixture.friends.find(&alice).await.unwrap().unwrap();
    let channel = stored.preferred_channel.as_ref().map(ChannelId::as_str);
    let parts = (stored.display_name.as_deref(), stored.time_zone.as_deref(), channel);
    assert_eq!(parts, (Some("Al"), Some("Europe/Berlin"), Some("signal")));
    let cleared = FriendPatch { time_zone: Change::Clear, ..FriendPatch::default() };
    let cleared = patch(cleared).await.unwrap().unwrap();
    assert_eq!((cleared.time_zone, cleared.display_name.as_deref()), (None, Some("Al")));
    assert_eq!(fixture.audited(Action::FriendUpdate).await, 3);
}

pub async fn a_patch_of_nobody_is_stored_nowhere(fixture: &Fixture) {
    let nobody = crate::fixture::friend_id("nobody");
    let patch = FriendPatch { display_name: Change::Set("No".to_owned()), ..FriendPatch::default() };
    let patched = fixture.friends.patch(&nobody, patch, fixture.audit(Action::FriendUpdate)).await.unwrap();
    assert_eq!((patched, fixture.audited(Action::FriendUpdate).await), (None, 0));
}

pub async fn the_audit_log_comes_in_pages(fixture: &Fixture) {
    let (alice, bob) = (fixture.friend("alice").await, fixture.friend("bob").await);
    for number in 0..5 {
        let owner = if number % 2 == 0 { &alice } else { &bob };
        let entry = fixture.audit(Action::JobRun).with_friend(owner.clone()).with_subject(number.to_string());
        fixture.audit.append(entry).await.unwrap();
    }
    let mut before = None;
    let mut subjects = Vec::new();
    loop {
        let action = Some("job".to_owned());
        let filter = AuditFilter { friend: Some(alice.clone()), action, before, limit: 2, ..AuditFilter::default() };
        let page = fixture.audit.list(filter).await.unwrap();
        subjects.extend(page.iter().map(|record| record.subject.clone()));
        let Some(last) = page.last() else { break };
        before = Some(last.id);
    }
    assert_eq!(subjects, ["4", "2", "0"]);
}

async fn owner(fixture: &Fixture) -> FriendshipKey {
    let (friend, agent) = fixture.pair("alice", "main").await;
    FriendshipKey { friend, agent }
}

fn message(fixture: &Fixture, owner: &FriendshipKey, name: &str) -> Job {
    let now: DateTime<Utc> = fixture.clock.now();
    let spec = JobSpec {
        name: JobName::parse(name).unwrap(),
        description: None,
        message: "Hello".to_owned(),
        timing: Timing { kind: TimingKind::At(now.into()), tz: "UTC".to_owned() },
        session: "isolated".to_owned(),
        thinking: None,
        timeout_seconds: None,
        answer_to: AnswerTo::Nowhere,
    };
    let (id, owner, state) = (fixture.ids.id(), owner.clone(), JobState::default());
    Job { id, owner, spec, enabled: false, read_only: false, created_at: now, revision: 1, state }
}

async fn queue(fixture: &Fixture, job: Job, limit: u32) -> MessageQueued {
    let run = format!("run-{}", job.id);
    fixture.messages.queue(job, &run, limit, fixture.audit(Action::MessageSend)).await.unwrap()
}

pub async fn a_message_is_run_once_and_never_fires(fixture: &Fixture) {
    let owner = owner(fixture).await;
    let job = message(fixture, &owner, "message");
    assert_eq!(queue(fixture, job.clone(), 50).await, MessageQueued::Done);
    assert_eq!(fixture.jobs.find(&owner, "message").await.unwrap(), Some(job.clone()));
    let listed = fixture.jobs.runs(&owner, "message", None, 9).await.unwrap();
    let RunsListed::Page(runs) = listed else { panic!("{listed:?}") };
    let [run] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!((run.trigger, run.status), (Trigger::Manual, RunStatus::Queued));
    let later = fixture.clock.now() + TimeDelta::days(1);
    assert_eq!(fixture.runs.due(later, 9, FriendShares::of(9)).await.unwrap(), Vec::new());
    let lease = RunLease { now: fixture.clock.now(), until: later };
    let claimed = fixture.runs.claim(lease, 9, FriendShares::of(9)).await.unwrap();
    assert_eq!(claimed.iter().map(|leased| leased.job.spec.message.as_str()).collect::<Vec<_>>(), ["Hello"]);
    assert_eq!(fixture.runs.claim(lease, 9, FriendShares::of(9)).await.unwrap(), Vec::new());
    assert_eq!(fixture.audited(Action::MessageSend).await, 1);
}

pub async fn a_message_keeps_the_limits_of_jobs_and_runs(fixture: &Fixture) {
    let owner = owner(fixture).await;
    for number in 0..MANUAL_RUNS_PER_MINUTE {
        assert_eq!(queue(fixture, message(fixture, &owner, &format!("m{number}")), 50).await, MessageQueued::Done);
    }
    let refused = queue(fixture, message(fixture, &owner, "one too many"), 50).await;
    assert!(matches!(refused, MessageQueued::TooMany { .. }), "{refused:?}");
    let refused = queue(fixture, message(fixture, &owner, "no room"), MANUAL_RUNS_PER_MINUTE).await;
    assert_eq!(refused, MessageQueued::LimitReached);
    let stored = usize::try_from(MANUAL_RUNS_PER_MINUTE).unwrap();
    assert_eq!(fixture.jobs.list(&owner).await.unwrap().len(), stored);
    assert_eq!(fixture.audited(Action::MessageSend).await, stored);
}

pub async fn a_message_needs_a_friendship(fixture: &Fixture) {
    let key = FriendshipKey { friend: fixture.friend("bob").await, agent: fixture.agent("main").await };
    assert_eq!(queue(fixture, message(fixture, &key, "message"), 50).await, MessageQueued::NoFriendship);
    assert_eq!(fixture.audited(Action::MessageSend).await, 0);
}
