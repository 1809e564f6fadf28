//! What happened before the demo's first start: a task of alice's that was missed, and an address of hers that does not
//! answer.

use std::error::Error;

use chrono::{DateTime, TimeDelta, Utc};
use portal_adapters::db::Db;
use portal_core::{Action, Actor, AgentId, AuditEntry, Clock, FriendId, FriendshipKey, Ids};
use portal_cron::{
    AnswerTo, JOBS_PER_FRIEND, Job, JobName, JobSpec, JobState, Schedule, TimeZones, Timing, TimingKind,
};
use portal_dns::{Exposures, OpenExposure};

use super::seed::AGENT;
use crate::command_error::CommandError;

/// Age of the task.
const PLANNED: TimeDelta = TimeDelta::days(3);
/// Time by which its fire time is past: more than the hour in which a late run is still begun.
const OVERDUE: TimeDelta = TimeDelta::hours(3);

/// Plans a daily task for a time that is past. The runner finds it at once, too late to run it, and says so as it does
/// after an outage.
pub(super) async fn plan_missed_job(db: &Db, clock: &dyn Clock, ids: &dyn Ids) -> Result<(), CommandError> {
    let (now, id) = (clock.now(), ids.id());
    let owner = FriendshipKey { friend: FriendId::parse("alice")?, agent: AgentId::parse(AGENT)? };
    let timing = daily_at(now - OVERDUE);
    let created_at = now - PLANNED;
    let next_run =
        Schedule::new(&timing, created_at, &TimeZones::bundled())?.next_after(now - OVERDUE - TimeDelta::minutes(1));
    let spec = JobSpec {
        name: JobName::parse("morning news")?,
        description: None,
        message: "Tell me what happened overnight, in three sentences.".to_owned(),
        timing,
        session: "isolated".to_owned(),
        thinking: None,
        timeout_seconds: None,
        answer_to: AnswerTo::Nowhere,
    };
    let audit = AuditEntry::new(created_at, Actor::Friend(owner.friend.clone()), Action::JobCreate)
        .with_friend(owner.friend.clone())
        .with_subject(spec.name.as_str());
    let state = JobState { next_run, ..JobState::default() };
    let job = Job { id, owner, spec, enabled: true, read_only: false, created_at, revision: 1, state };
    db.jobs().create(job, JOBS_PER_FRIEND, audit).await?;
    Ok(())
}

/// Publishes the app that keeps stopping. At the first start of a folder given by `--manifests` there may be none.
pub(super) async fn publish_what_does_not_answer(exposures: &Exposures) -> Result<(), CommandError> {
    let alice = FriendId::parse("alice")?;
    let wanted = OpenExposure::parse("letters", "mailer", Some(80), None)?;
    if let Err(error) = exposures.open(&alice, wanted, Actor::Friend(alice.clone())).await {
        tracing::debug!(error = &error as &dyn Error, "the demo has nothing to publish");
    }
    Ok(())
}

fn daily_at(moment: DateTime<Utc>) -> Timing {
    Timing { kind: TimingKind::Cron(moment.format("%-M %-H * * *").to_string()), tz: "UTC".to_owned() }
}
