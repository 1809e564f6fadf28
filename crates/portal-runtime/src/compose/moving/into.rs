//! From the portal into the gateway.

use portal_core::{Action, Backend, BackendError, Friendship, FriendshipKey, FriendshipStatus};
use portal_cron::{Engine as _, Job, JobCreated, JobUpdated, TimingKind};

use super::mover::{JobLines, MovedJob, Mover, why};

impl Mover<'_> {
    pub(super) async fn move_into(&self, friendship: &Friendship) -> Result<Vec<MovedJob>, BackendError> {
        let owner = FriendshipKey { friend: friendship.friend.clone(), agent: friendship.agent.clone() };
        let (lines, mut moved) = (self.lines(&owner).await?, Vec::new());
        for job in self.portal.list(&owner).await? {
            // A message that was sent, or a moment that has passed.
            if !job.enabled
                && matches!(job.spec.timing.kind, TimingKind::At(_))
                && !lines.is_pending(job.spec.name.as_str())
            {
                continue;
            }
            let (friend, name) = (owner.friend.clone(), job.spec.name.to_string());
            let outcome = self.outcome(self.move_one_into(job, friendship.status, &lines)).await;
            moved.push(MovedJob { friend, name, outcome });
        }
        Ok(moved)
    }

    async fn move_one_into(
        &self,
        job: Job,
        status: FriendshipStatus,
        lines: &JobLines,
    ) -> Result<String, BackendError> {
        let (owner, spec, enabled) = (job.owner.clone(), job.spec.clone(), job.enabled);
        let name = spec.name.to_string();
        let is_wanted = enabled || lines.is_pending(&name);
        let audit = |action| self.audit(&owner, &name, action, is_wanted);
        let made = match self.gateway.import(&owner, spec.clone(), audit(Action::JobCreate)).await? {
            JobCreated::New(made) => made,
            refused => return Ok(format!("not moved: {}", why(&refused, "the gateway"))),
        };
        if enabled {
            match self.portal.update(job, spec, false, audit(Action::JobToggle)).await? {
                JobUpdated::Done(_) | JobUpdated::Absent => {}
                JobUpdated::Stale | JobUpdated::Refused(_) => {
                    return Ok("made, and left disabled: it is being changed here; repeat the command".to_owned());
                }
            }
        }
        if !is_wanted || made.enabled {
            return Ok("moved".to_owned());
        }
        if status != FriendshipStatus::Active {
            return Ok(
                "moved, and left disabled: the friendship is not active; repeat the command once it is".to_owned()
            );
        }
        self.enable_in_gateway(&owner, &name).await
    }

    async fn enable_in_gateway(&self, owner: &FriendshipKey, name: &str) -> Result<String, BackendError> {
        let found = self.gateway.find(owner, name).await?;
        let found = found.ok_or_else(|| BackendError::failed(Backend::Gateway, "the new job is gone"))?;
        let (spec, audit) = (found.spec.clone(), self.audit(owner, name, Action::JobToggle, false));
        Ok(match self.gateway.update(found, spec, true, audit).await? {
            JobUpdated::Done(_) => "moved".to_owned(),
            _ => "moved, and left disabled: it is being changed there; repeat the command".to_owned(),
        })
    }
}
