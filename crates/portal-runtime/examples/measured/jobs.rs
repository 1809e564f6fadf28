//! Friends with jobs of one minute.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use portal_adapters::RandomIds;
use portal_core::{Action, Actor, AgentId, AuditEntry, BoxError, FriendId, FriendshipKey, Ids as _};
use portal_cron::{AnswerTo, Job, JobCreated, JobName, JobSpec, JobState, JobStore, Timing, TimingKind};

use crate::fixture::{self, AGENT};

/// Jobs that are stored at the same time.
const AT_ONCE: usize = 8;

/// Fills the database at `url` with so many jobs of each friend, due for the first time at `start`.
pub(crate) async fn fill(url: &str, (friends, jobs): (u32, u32), start: i64) -> Result<(), BoxError> {
    let start = DateTime::from_timestamp(start, 0).ok_or("START is no time")?;
    let db = fixture::seed_at(url, friends).await?;
    let each = (0..friends).flat_map(|friend| (0..jobs).map(move |number| (friend, number)));
    let stored = futures::stream::iter(each.map(|(friend, number)| store(db.jobs(), friend, number, start)));
    stored.buffer_unordered(AT_ONCE).try_collect().await
}

async fn store(jobs: Arc<dyn JobStore>, friend: u32, number: u32, start: DateTime<Utc>) -> Result<(), BoxError> {
    let owner = FriendshipKey { friend: FriendId::parse(&format!("f{friend}"))?, agent: AgentId::parse(AGENT)? };
    let spec = JobSpec {
        name: JobName::parse(&format!("job {number}"))?,
        description: None,
        message: "Check my portfolio".to_owned(),
        timing: Timing { kind: TimingKind::Cron("* * * * *".to_owned()), tz: "Europe/Berlin".to_owned() },
        session: "isolated".to_owned(),
        thinking: None,
        timeout_seconds: None,
        answer_to: AnswerTo::Nowhere,
    };
    let state = JobState { next_run: Some(start), ..JobState::default() };
    let job =
        Job { id: RandomIds.id(), owner, spec, enabled: true, read_only: false, created_at: start, revision: 1, state };
    let audit = AuditEntry::new(start, Actor::Operator("bench".to_owned()), Action::JobCreate);
    match jobs.create(job, u32::MAX, audit).await? {
        JobCreated::New(_) => Ok(()),
        refused => Err(format!("a job was not stored: {refused:?}").into()),
    }
}
