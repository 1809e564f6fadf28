//! What moving in either direction works with.

use std::sync::Arc;

use portal_adapters::openclaw::GatewayEngine;
use portal_core::{Action, Actor, AuditEntry, AuditFilter, AuditLog, BackendError, Clock, FriendId, FriendshipKey};
use portal_cron::{EmbeddedEngine, EngineRefusal, JOBS_PER_FRIEND, JobCreated, RemoteStore, SessionKeys, TimeZones};

/// Lines of the audit log about a friend's jobs among which the newest one of a job is looked for.
const LINES_MAX: u32 = 5_000;
/// A line about a job that is disabled in both places and is to be enabled.
const PENDING: &str = "being moved";
/// A line about a job whose place is decided.
const MOVED: &str = "moved";

/// What `jobs move` is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveJobs {
    /// Out of the gateway in place of into it.
    pub back: bool,
    /// Makes the changes; otherwise they are only said.
    pub apply: bool,
}

/// A job that was moved, or is to be, or that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedJob {
    /// Its owner.
    pub friend: FriendId,
    /// Its name.
    pub name: String,
    /// What became of it, in words.
    pub outcome: String,
}

pub(super) struct Mover<'a> {
    pub(super) gateway: GatewayEngine,
    pub(super) portal: EmbeddedEngine,
    /// Jobs that are disabled in the gateway because the friendship is not active.
    pub(super) pauses: Arc<dyn RemoteStore>,
    pub(super) audit_log: Arc<dyn AuditLog>,
    pub(super) zones: TimeZones,
    pub(super) keys: Arc<SessionKeys>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) actor: &'a Actor,
    pub(super) command: MoveJobs,
}

/// The lines of the audit log about a friend's jobs, newest first: subject, action and detail.
pub(super) struct JobLines(Vec<(String, String, String)>);

impl Mover<'_> {
    /// Returns the outcome of one job; a failure is one, so that the others go on. The command can be repeated.
    pub(super) async fn outcome(&self, moving: impl Future<Output = Result<String, BackendError>>) -> String {
        if !self.command.apply {
            return "would be moved".to_owned();
        }
        moving.await.unwrap_or_else(|error| format!("not moved: {error}: {}", error.source))
    }

    pub(super) async fn lines(&self, owner: &FriendshipKey) -> Result<JobLines, BackendError> {
        let (friend, action) = (Some(owner.friend.clone()), Some("job".to_owned()));
        let filter = AuditFilter { friend, action, limit: LINES_MAX, ..AuditFilter::default() };
        let agent = format!("agent {}", owner.agent);
        let is_of_agent =
            |detail: &str| detail.strip_prefix(&agent).is_some_and(|rest| rest.is_empty() || rest.starts_with(','));
        let lines = self.audit_log.list(filter).await?.into_iter().filter(|line| is_of_agent(&line.detail));
        Ok(JobLines(lines.map(|line| (line.subject, line.action, line.detail)).collect()))
    }

    /// Returns the line for a step; `is_pending` where a later step is to enable the job.
    pub(super) fn audit(&self, owner: &FriendshipKey, job: &str, action: Action, is_pending: bool) -> AuditEntry {
        let way = if self.command.back { "out of its gateway" } else { "into its gateway" };
        let moved = if is_pending { PENDING } else { MOVED };
        AuditEntry::new(self.clock.now(), self.actor.clone(), action)
            .with_friend(owner.friend.clone())
            .with_subject(job)
            .with_detail(format!("agent {}, {moved} {way}", owner.agent))
    }
}

impl JobLines {
    /// Returns whether an earlier command ended between disabling the job in one place and enabling it in the other.
    pub(super) fn is_pending(&self, job: &str) -> bool {
        // A run changes no job.
        let mut changes = self.0.iter().filter(|(_, action, _)| action != Action::JobRun.as_str());
        let newest = changes.find(|(subject, ..)| subject == job);
        newest.is_some_and(|(.., detail)| {
            // The last step may have had no answer.
            detail.contains(PENDING) || (detail.contains(MOVED) && detail.ends_with("outcome unknown"))
        })
    }

    /// Returns whether a job of this name was created through the portal.
    pub(super) fn has_created(&self, job: &str) -> bool {
        self.0.iter().any(|(subject, action, _)| subject == job && action == Action::JobCreate.as_str())
    }
}

/// Returns the reason for which a job was not made.
pub(super) fn why(refused: &JobCreated, place: &str) -> String {
    match refused {
        JobCreated::NameTaken => format!("{place} has another job of this name"),
        JobCreated::LimitReached => format!("the friend has {JOBS_PER_FRIEND} jobs in {place}"),
        JobCreated::Refused(EngineRefusal::GatewayTooOld) => "the gateway is too old".to_owned(),
        JobCreated::Refused(_) => "it is being changed; repeat the command".to_owned(),
        _ => "the friendship has ended".to_owned(),
    }
}
