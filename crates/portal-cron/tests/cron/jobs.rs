//! What a friend can do with their jobs.

use portal_adapters::memory::MemoryFriends;
use portal_core::{Action, FriendStore};
use portal_cron::{CronError, JOBS_PER_FRIEND, JobDraft, JobPatch, MissedWindow, RunStatus, TimingDraft};

use crate::world::{Answer, Outcome, World, alice, at, audit, draft, friend, owner};

#[track_caller]
fn check_refused<T: std::fmt::Debug>(result: &Result<T, CronError>, code: &str) {
    assert_eq!(result.as_ref().err().map(CronError::code), Some(code), "{result:?}");
}

#[tokio::test]
async fn a_job_is_due_in_its_time_zone_else_in_utc() -> Outcome<()> {
    let world = World::new().await?;
    for (name, tz, read, due) in [
        ("berlin", Some("Europe/Berlin"), "Europe/Berlin", "2026-01-01T11:00:00Z"),
        ("tokyo", Some("Asia/Tokyo"), "Asia/Tokyo", "2026-01-02T03:00:00Z"),
        ("none", None, "UTC", "2026-01-01T12:00:00Z"),
    ] {
        let asked = JobDraft { tz: tz.map(str::to_owned), ..draft(name, "0 12 * * *") };
        let job = world.jobs.create(&alice(), asked, friend("alice")).await?;
        assert_eq!((job.spec.timing.tz.as_str(), job.state.next_run), (read, Some(at(due))));
    }
    Ok(())
}

#[tokio::test]
async fn what_was_created_is_listed_by_name_for_its_owner_only() -> Outcome<()> {
    let world = World::new().await?;
    let second = world.job("b", "@daily").await?;
    let first = world.job("a", "@daily").await?;
    assert_eq!(world.jobs.list(&alice()).await?, [first, second]);
    assert_eq!(world.jobs.list(&owner("bob")).await?, []);
    assert_eq!(world.jobs.list(&owner("al")).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_name_is_taken_once_for_each_friend() -> Outcome<()> {
    let world = World::new().await?;
    world.job("daily", "@daily").await?;
    check_refused(&world.job("daily", "@hourly").await, "job-name-taken");
    world.jobs.create(&owner("bob"), draft("daily", "@daily"), friend("bob")).await?;
    Ok(())
}

#[tokio::test]
async fn a_friend_has_fifty_jobs_at_most() -> Outcome<()> {
    let world = World::new().await?;
    for number in 0..JOBS_PER_FRIEND {
        world.job(&format!("job {number}"), "@daily").await?;
    }
    check_refused(&world.job("one more", "@daily").await, "job-limit-reached");
    world.jobs.remove(&alice(), "job 7", friend("alice")).await?;
    world.job("one more", "@daily").await?;
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_not_the_friends_own_is_refused() -> Outcome<()> {
    let world = World::new().await?;
    for (session, code) in [
        ("agent:main:direct:bob", Some("session-not-owned")),
        ("agent:other:direct:alice", Some("session-not-owned")),
        ("main", Some("session-not-owned")),
        ("agent:main:signal:direct:+15550100", None),
        ("agent:main:direct:channel:alice", None),
    ] {
        let asked = JobDraft { session: Some(session.to_owned()), ..draft("daily", "@daily") };
        let created = world.jobs.create(&alice(), asked, friend("alice")).await;
        assert_eq!(created.as_ref().err().map(CronError::code), code, "{session}");
        if let Ok(job) = created {
            assert_eq!(job.spec.session, session);
            world.jobs.remove(&alice(), "daily", friend("alice")).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_job_is_found_by_its_exact_name_or_else_its_id() -> Outcome<()> {
    let world = World::new().await?;
    let job = world.job("daily", "@daily").await?;
    let decoy = world.job(&job.id, "@daily").await?;
    for name in ["Daily", "dail", "daily ", "", "../daily"] {
        check_refused(&world.jobs.remove(&alice(), name, friend("alice")).await, "job-not-found");
    }
    world.jobs.remove(&alice(), &job.id, friend("alice")).await?;
    let left: Vec<_> = world.jobs.list(&alice()).await?.into_iter().map(|job| job.id).collect();
    assert_eq!(left, std::slice::from_ref(&job.id), "the name wins over the id, so {} is gone", decoy.id);
    world.jobs.remove(&alice(), &job.id, friend("alice")).await?;
    assert_eq!(world.jobs.list(&alice()).await?, []);
    Ok(())
}

#[tokio::test]
async fn somebody_elses_job_is_not_found() -> Outcome<()> {
    let world = World::new().await?;
    let job = world.job("daily", "@daily").await?;
    for name in ["daily", job.id.as_str()] {
        let bob = owner("bob");
        check_refused(&world.jobs.remove(&bob, name, friend("bob")).await, "job-not-found");
        check_refused(&world.jobs.find(&bob, name).await, "job-not-found");
        let off = JobPatch { enabled: Some(false), ..JobPatch::default() };
        check_refused(&world.jobs.update(&bob, name, off, friend("bob")).await, "job-not-found");
        check_refused(&world.jobs.run(&bob, name, friend("bob")).await, "job-not-found");
        check_refused(&world.jobs.runs(&bob, name).await, "job-not-found");
    }
    assert_eq!(world.jobs.list(&alice()).await?, [job]);
    Ok(())
}

#[tokio::test]
async fn time_while_a_job_is_disabled_is_not_missed() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.toggle("hourly", false).await?;
    assert_eq!(world.find("hourly").await?.state.next_run, None);
    world.pass_after(5 * 60).await?;
    world.toggle("hourly", true).await?;
    assert_eq!(world.find("hourly").await?.state.next_run, Some(at("2026-01-01T15:00:00Z")));
    world.pass_after(60).await?;
    let listed: Vec<_> = world.runs("hourly").await?.into_iter().map(|run| (run.status, run.due_at)).collect();
    assert_eq!(listed, [(RunStatus::Delivered, at("2026-01-01T15:00:00Z"))]);
    Ok(())
}

#[tokio::test]
async fn disabling_a_job_records_what_was_due_and_will_not_run() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.clock.set(at("2026-01-01T12:30:00Z"));
    world.toggle("hourly", false).await?;
    let [missed] = &world.runs("hourly").await?[..] else { return Err("not one run".into()) };
    let window = MissedWindow { from: at("2026-01-01T10:00:00Z"), to: at("2026-01-01T12:00:00Z"), count: 3 };
    assert_eq!((missed.status, missed.missed), (RunStatus::Missed, Some(window)));
    assert_eq!(
        missed.explanation().as_deref(),
        Some("3 runs, due from 2026-01-01T10:00:00Z to 2026-01-01T12:00:00Z, were missed")
    );
    Ok(())
}

#[tokio::test]
async fn enabling_what_is_enabled_keeps_what_is_due() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    world.clock.set(at("2026-01-01T10:00:00.500Z"));
    world.toggle("hourly", true).await?;
    assert_eq!(world.pass_after(0).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_run_by_hand_can_be_followed_to_its_end() -> Outcome<()> {
    let world = World::new().await?;
    world.job("daily", "@daily").await?;
    world.toggle("daily", false).await?;
    let run = world.jobs.run(&alice(), "daily", friend("alice")).await?;
    let runs = world.runs("daily").await?;
    assert_eq!((runs[0].id.as_str(), runs[0].status), (run.as_str(), RunStatus::Queued));
    check_refused(&world.jobs.run(&alice(), "daily", friend("alice")).await, "run-open");
    world.pass_after(1).await?;
    let runs = world.runs("daily").await?;
    assert_eq!((runs[0].id.as_str(), runs[0].status, runs[0].attempts), (run.as_str(), RunStatus::Delivered, 1));
    assert_eq!(world.receiver.take()[0].0.id, run);
    world.jobs.run(&alice(), "daily", friend("alice")).await?;
    Ok(())
}

#[tokio::test]
async fn every_change_leaves_a_line_in_the_audit_log() -> Outcome<()> {
    let world = World::new().await?;
    world.job("daily", "@daily").await?;
    world.toggle("daily", false).await?;
    world.jobs.run(&alice(), "daily", friend("alice")).await?;
    world.jobs.remove(&alice(), "daily", friend("alice")).await?;
    let words = [Action::JobCreate, Action::JobToggle, Action::JobRun, Action::JobDelete];
    let expected = words.map(|action| (action.as_str().to_owned(), "daily".to_owned()));
    assert_eq!(world.audited().await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_gone_is_an_error_and_never_an_empty_list() -> Outcome<()> {
    let world = World::new().await?;
    world.job("daily", "@daily").await?;
    world.people.go_down("secret cause");
    check_refused(&world.jobs.list(&alice()).await, "database-unavailable");
    check_refused(&world.job("other", "@daily").await, "database-unavailable");
    check_refused(&world.jobs.remove(&alice(), "daily", friend("alice")).await, "database-unavailable");
    check_refused(&world.jobs.runs(&alice(), "daily").await, "database-unavailable");
    Ok(())
}

#[tokio::test]
async fn the_jobs_of_a_friend_who_is_removed_go_with_them() -> Outcome<()> {
    let world = World::new().await?;
    world.job("hourly", "@hourly").await?;
    MemoryFriends::new(&world.people).remove(&alice().friend, audit(Action::FriendRemove)).await?;
    assert_eq!(world.pass_after(60).await?, 0);
    assert_eq!(world.receiver.take(), []);
    check_refused(&world.job("hourly", "@hourly").await, "job-not-found");
    Ok(())
}

#[tokio::test]
async fn a_change_keeps_what_is_due_unless_the_timing_changes() -> Outcome<()> {
    let world = World::new().await?;
    let job = world.job("hourly", "@hourly").await?;
    world.clock.set(at("2026-01-01T10:00:00.500Z"));
    let changed = world.change("hourly", JobPatch { message: Some("Other".to_owned()), ..JobPatch::default() }).await?;
    assert_eq!((changed.revision, changed.state.next_run), (2, job.state.next_run));
    assert_eq!(world.pass_after(0).await?, 1);
    assert_eq!(world.receiver.take()[0].0.job.spec.message, "Other");
    world.clock.set(at("2026-01-01T11:30:00Z"));
    let timing = TimingDraft { cron: Some("0 15 * * *".to_owned()), ..TimingDraft::default() };
    let changed = world.change("hourly", JobPatch { timing, ..JobPatch::default() }).await?;
    assert_eq!((changed.revision, changed.state.next_run), (3, Some(at("2026-01-01T15:00:00Z"))));
    assert_eq!(world.runs("hourly").await?[0].missed.map(|window| window.to), Some(at("2026-01-01T11:00:00Z")));
    Ok(())
}

#[tokio::test]
async fn a_job_for_one_moment_runs_once_and_goes_a_week_later() -> Outcome<()> {
    let world = World::new().await?;
    let timing = TimingDraft { at: Some("2026-01-01T10:00:00Z".to_owned()), ..TimingDraft::default() };
    let once = |name: &str| JobDraft { timing: timing.clone(), ..draft(name, "") };
    for name in ["once", "refused", "late"] {
        world.jobs.create(&alice(), once(name), friend("alice")).await?;
    }
    world.toggle("late", false).await?;
    world.receiver.will(Answer::Fail);
    assert_eq!(world.pass_after(60).await?, 2);
    assert_eq!(world.pass_after(1).await?, 1, "a failed attempt is made again");
    for name in ["once", "refused"] {
        let job = world.find(name).await?;
        assert_eq!((job.enabled, job.state.next_run, job.state.last_status), (false, None, Some(RunStatus::Delivered)));
    }
    check_refused(&world.toggle("late", true).await, "value-invalid");
    let later = TimingDraft { at: Some("2026-01-09T10:00:00Z".to_owned()), ..TimingDraft::default() };
    let again = JobPatch { timing: later, enabled: Some(true), ..JobPatch::default() };
    assert_eq!(world.change("refused", again).await?.state.next_run, Some(at("2026-01-09T10:00:00Z")));
    world.clock.set(at("2026-01-08T10:00:00Z"));
    world.runner.forget_old().await?;
    assert_eq!(world.jobs.list(&alice()).await?.len(), 3);
    world.clock.set(at("2026-01-08T10:00:01Z"));
    world.runner.forget_old().await?;
    let left: Vec<_> = world.jobs.list(&alice()).await?.into_iter().map(|job| job.spec.name.to_string()).collect();
    assert_eq!(left, ["refused"]);
    Ok(())
}

#[tokio::test]
async fn a_moment_that_passes_unseen_is_missed_and_the_job_disabled() -> Outcome<()> {
    let world = World::new().await?;
    let timing = TimingDraft { at: Some("2026-01-01T10:00:00Z".to_owned()), ..TimingDraft::default() };
    world.jobs.create(&alice(), JobDraft { timing, ..draft("once", "") }, friend("alice")).await?;
    assert_eq!(world.pass_after(3 * 60).await?, 0);
    let job = world.find("once").await?;
    assert_eq!((job.enabled, job.state.last_status), (false, Some(RunStatus::Missed)));
    assert_eq!(job.state.last_error.as_deref(), Some("1 run, due at 2026-01-01T10:00:00Z, was missed"));
    assert_eq!(job.state.recent.len(), 1);
    Ok(())
}
