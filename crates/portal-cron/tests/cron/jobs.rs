//! Operations of a friend on their jobs.

use portal_core::Action;
use portal_cron::{CronError, JOBS_PER_FRIEND, JobDraft, JobPatch, MissedWindow, RunStatus, TimingDraft};

use crate::fixture::{Fixture, Response, TestResult, alice, audit, draft, friend, owner, utc};

#[track_caller]
fn check_refused<T: std::fmt::Debug>(result: &Result<T, CronError>, code: &str) {
    assert_eq!(result.as_ref().err().map(CronError::code), Some(code), "{result:?}");
}

#[tokio::test]
async fn a_job_is_due_in_its_time_zone_else_in_utc() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    for (name, tz, read, due) in [
        ("berlin", Some("Europe/Berlin"), "Europe/Berlin", "2026-01-01T11:00:00Z"),
        ("tokyo", Some("Asia/Tokyo"), "Asia/Tokyo", "2026-01-02T03:00:00Z"),
        ("none", None, "UTC", "2026-01-01T12:00:00Z"),
    ] {
        let asked = JobDraft { tz: tz.map(str::to_owned), ..draft(name, "0 12 * * *") };
        let job = fixture.jobs.create(&alice(), asked, friend("alice")).await?;
        assert_eq!((job.spec.timing.tz.as_str(), job.state.next_run), (read, Some(utc(due))));
    }
    Ok(())
}

#[tokio::test]
async fn what_was_created_is_listed_by_name_for_its_owner_only() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    let second = fixture.job("b", "@daily").await?;
    let first = fixture.job("a", "@daily").await?;
    assert_eq!(fixture.jobs.list(&alice()).await?, [first, second]);
    assert_eq!(fixture.jobs.list(&owner("bob")).await?, []);
    assert_eq!(fixture.jobs.list(&owner("al")).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_name_is_taken_once_for_each_friend() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("daily", "@daily").await?;
    check_refused(&fixture.job("daily", "@hourly").await, "job-name-taken");
    fixture.jobs.create(&owner("bob"), draft("daily", "@daily"), friend("bob")).await?;
    Ok(())
}

#[tokio::test]
async fn a_friend_has_fifty_jobs_at_most() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    for number in 0..JOBS_PER_FRIEND {
        fixture.job(&format!("job {number}"), "@daily").await?;
    }
    check_refused(&fixture.job("one more", "@daily").await, "job-limit-reached");
    fixture.jobs.remove(&alice(), "job 7", friend("alice")).await?;
    fixture.job("one more", "@daily").await?;
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_not_the_friends_own_is_refused() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    for (session, code) in [
        ("agent:main:direct:bob", Some("session-not-owned")),
        ("agent:other:direct:alice", Some("session-not-owned")),
        ("main", Some("session-not-owned")),
        ("agent:main:signal:direct:+15550100", None),
        ("agent:main:direct:channel:alice", None),
    ] {
        let asked = JobDraft { session: Some(session.to_owned()), ..draft("daily", "@daily") };
        let created = fixture.jobs.create(&alice(), asked, friend("alice")).await;
        assert_eq!(created.as_ref().err().map(CronError::code), code, "{session}");
        if let Ok(job) = created {
            assert_eq!(job.spec.session, session);
            fixture.jobs.remove(&alice(), "daily", friend("alice")).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_job_is_found_by_its_exact_name_or_else_its_id() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    let job = fixture.job("daily", "@daily").await?;
    let decoy = fixture.job(&job.id, "@daily").await?;
    for name in ["Daily", "dail", "daily ", "", "../daily"] {
        check_refused(&fixture.jobs.remove(&alice(), name, friend("alice")).await, "job-not-found");
    }
    fixture.jobs.remove(&alice(), &job.id, friend("alice")).await?;
    let left: Vec<_> = fixture.jobs.list(&alice()).await?.into_iter().map(|job| job.id).collect();
    assert_eq!(left, std::slice::from_ref(&job.id), "the name wins over the id, so {} is gone", decoy.id);
    fixture.jobs.remove(&alice(), &job.id, friend("alice")).await?;
    assert_eq!(fixture.jobs.list(&alice()).await?, []);
    Ok(())
}

#[tokio::test]
async fn somebody_elses_job_is_not_found() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    let job = fixture.job("daily", "@daily").await?;
    for name in ["daily", job.id.as_str()] {
        let bob = owner("bob");
        check_refused(&fixture.jobs.remove(&bob, name, friend("bob")).await, "job-not-found");
        check_refused(&fixture.jobs.find(&bob, name).await, "job-not-found");
        let off = JobPatch { enabled: Some(false), ..JobPatch::default() };
        check_refused(&fixture.jobs.update(&bob, name, off, friend("bob")).await, "job-not-found");
        check_refused(&fixture.jobs.run(&bob, name, friend("bob")).await, "job-not-found");
        check_refused(&fixture.jobs.runs(&bob, name, None).await, "job-not-found");
    }
    assert_eq!(fixture.jobs.list(&alice()).await?, [job]);
    Ok(())
}

#[tokio::test]
async fn time_while_a_job_is_disabled_is_not_missed() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.toggle("hourly", false).await?;
    assert_eq!(fixture.find("hourly").await?.state.next_run, None);
    fixture.pass_after(5 * 60).await?;
    fixture.toggle("hourly", true).await?;
    assert_eq!(fixture.find("hourly").await?.state.next_run, Some(utc("2026-01-01T15:00:00Z")));
    fixture.pass_after(60).await?;
    let listed: Vec<_> = fixture.runs("hourly").await?.into_iter().map(|run| (run.status, run.due_at)).collect();
    assert_eq!(listed, [(RunStatus::Delivered, utc("2026-01-01T15:00:00Z"))]);
    Ok(())
}

#[tokio::test]
async fn disabling_a_job_records_what_was_due_and_will_not_run() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.clock.set(utc("2026-01-01T12:30:00Z"));
    fixture.toggle("hourly", false).await?;
    let [missed] = &fixture.runs("hourly").await?[..] else { return Err("not one run".into()) };
    let window = MissedWindow { from: utc("2026-01-01T10:00:00Z"), to: utc("2026-01-01T12:00:00Z"), count: 3 };
    assert_eq!((missed.status, missed.missed), (RunStatus::Missed, Some(window)));
    assert_eq!(
        missed.explanation().as_deref(),
        Some("3 runs, due from 2026-01-01T10:00:00Z to 2026-01-01T12:00:00Z, were missed")
    );
    Ok(())
}

#[tokio::test]
async fn enabling_what_is_enabled_keeps_what_is_due() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.clock.set(utc("2026-01-01T10:00:00.500Z"));
    fixture.toggle("hourly", true).await?;
    assert_eq!(fixture.pass_after(0).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_run_by_hand_can_be_followed_to_its_end() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("daily", "@daily").await?;
    fixture.toggle("daily", false).await?;
    let run = fixture.jobs.run(&alice(), "daily", friend("alice")).await?;
    let runs = fixture.runs("daily").await?;
    assert_eq!((runs[0].id.as_str(), runs[0].status), (run.as_str(), RunStatus::Queued));
    check_refused(&fixture.jobs.run(&alice(), "daily", friend("alice")).await, "run-open");
    fixture.pass_after(1).await?;
    let runs = fixture.runs("daily").await?;
    assert_eq!((runs[0].id.as_str(), runs[0].status, runs[0].attempts), (run.as_str(), RunStatus::Delivered, 1));
    assert_eq!(fixture.receiver.take()[0].0.id, run);
    fixture.jobs.run(&alice(), "daily", friend("alice")).await?;
    Ok(())
}

#[tokio::test]
async fn every_change_leaves_a_line_in_the_audit_log() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("daily", "@daily").await?;
    fixture.toggle("daily", false).await?;
    fixture.jobs.run(&alice(), "daily", friend("alice")).await?;
    fixture.jobs.remove(&alice(), "daily", friend("alice")).await?;
    let words = [Action::JobCreate, Action::JobToggle, Action::JobRun, Action::JobDelete];
    let expected = words.map(|action| (action.as_str().to_owned(), "daily".to_owned()));
    assert_eq!(fixture.audited().await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_gone_is_an_error_and_never_an_empty_list() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("daily", "@daily").await?;
    fixture.outage.go_down("secret cause");
    check_refused(&fixture.jobs.list(&alice()).await, "database-unavailable");
    check_refused(&fixture.job("other", "@daily").await, "database-unavailable");
    check_refused(&fixture.jobs.remove(&alice(), "daily", friend("alice")).await, "database-unavailable");
    check_refused(&fixture.jobs.runs(&alice(), "daily", None).await, "database-unavailable");
    Ok(())
}

#[tokio::test]
async fn the_jobs_of_a_friend_who_is_removed_go_with_them() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("hourly", "@hourly").await?;
    fixture.stores.friends.remove(&alice().friend, audit(Action::FriendRemove)).await?;
    assert_eq!(fixture.pass_after(60).await?, 0);
    assert_eq!(fixture.receiver.take(), []);
    check_refused(&fixture.job("hourly", "@hourly").await, "friend-unknown");
    Ok(())
}

#[tokio::test]
async fn a_change_keeps_what_is_due_unless_the_timing_changes() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    let job = fixture.job("hourly", "@hourly").await?;
    fixture.clock.set(utc("2026-01-01T10:00:00.500Z"));
    let changed =
        fixture.change("hourly", JobPatch { message: Some("Other".to_owned()), ..JobPatch::default() }).await?;
    assert_eq!((changed.revision, changed.state.next_run), (2, job.state.next_run));
    assert_eq!(fixture.pass_after(0).await?, 1);
    assert_eq!(fixture.receiver.take()[0].0.job.spec.message, "Other");
    fixture.clock.set(utc("2026-01-01T11:30:00Z"));
    let timing = TimingDraft { cron: Some("0 16 * * *".to_owned()), ..TimingDraft::default() };
    let changed = fixture.change("hourly", JobPatch { timing, ..JobPatch::default() }).await?;
    assert_eq!((changed.revision, changed.state.next_run), (3, Some(utc("2026-01-01T15:00:00Z"))));
    assert_eq!(fixture.runs("hourly").await?[0].missed.map(|window| window.to), Some(utc("2026-01-01T11:00:00Z")));
    Ok(())
}

#[tokio::test]
async fn a_job_for_one_moment_runs_once_and_can_get_another_one() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    let timing = TimingDraft { at: Some("2026-01-01T10:00:00Z".to_owned()), ..TimingDraft::default() };
    let once = |name: &str| JobDraft { timing: timing.clone(), ..draft(name, "") };
    for name in ["once", "refused", "late"] {
        fixture.jobs.create(&alice(), once(name), friend("alice")).await?;
    }
    fixture.toggle("late", false).await?;
    fixture.receiver.will(Response::Fail);
    assert_eq!(fixture.pass_after(60).await?, 2);
    assert_eq!(fixture.pass_after(1).await?, 1, "a failed attempt is made again");
    for name in ["once", "refused"] {
        let job = fixture.find(name).await?;
        assert_eq!((job.enabled, job.state.next_run, job.state.last_status), (false, None, Some(RunStatus::Delivered)));
    }
    check_refused(&fixture.toggle("late", true).await, "value-invalid");
    let later = TimingDraft { at: Some("2026-01-09T10:00:00Z".to_owned()), ..TimingDraft::default() };
    let again = JobPatch { timing: later, enabled: Some(true), ..JobPatch::default() };
    assert_eq!(fixture.change("refused", again).await?.state.next_run, Some(utc("2026-01-09T10:00:00Z")));
    Ok(())
}

#[tokio::test]
async fn a_moment_that_passes_unseen_is_missed_and_the_job_disabled() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    let timing = TimingDraft { at: Some("2026-01-01T10:00:00Z".to_owned()), ..TimingDraft::default() };
    fixture.jobs.create(&alice(), JobDraft { timing, ..draft("once", "") }, friend("alice")).await?;
    assert_eq!(fixture.pass_after(3 * 60).await?, 0);
    let job = fixture.find("once").await?;
    assert_eq!((job.enabled, job.state.last_status), (false, Some(RunStatus::Missed)));
    assert_eq!(job.state.last_error.as_deref(), Some("1 run, due at 2026-01-01T10:00:00Z, was missed"));
    assert_eq!(job.state.recent.len(), 1);
    Ok(())
}
