//! Jobs of friendships that are not active: a gateway knows no friendships, so they are disabled there.
//!
//! So are jobs that this portal declared for a friend who has no friendship with the agent any more: they would go on, and
//! nobody could see them. Older gateways do not know who declared a job, and theirs are left.
//!
//! A job is noted before it is disabled, and forgotten after it was enabled again. So one that was disabled here is never
//! forgotten, and one that its owner disabled stays disabled.

use std::collections::BTreeSet;

use portal_core::{BackendError, FriendId, FriendshipKey, FriendshipStatus};
use serde_json::json;

use super::context::{Context, Session};
use super::job::GatewayJob;
use super::params;
use crate::openclaw::client::CallError;

/// Compares the jobs with the friendships once.
pub(super) async fn pass(context: &Context) -> Result<(), BackendError> {
    let paused = context.store.paused(&context.agent).await?;
    let friendships = context.friendships.of_agent(&context.agent).await?;
    let friends: BTreeSet<_> = friendships.iter().map(|friendship| friendship.friend.clone()).collect();
    for friendship in friendships {
        let owner = FriendshipKey { friend: friendship.friend, agent: friendship.agent };
        let is_active = friendship.status == FriendshipStatus::Active;
        let noted: Vec<&str> = paused.iter().filter(|(of, _)| *of == owner).map(|(_, job)| job.as_str()).collect();
        if is_active && noted.is_empty() {
            continue;
        }
        let session = context.session(&owner).await?;
        let jobs = context.lists.recent(&session.client).await?;
        if is_active {
            resume(&session, &jobs, &noted).await?;
        } else {
            pause(&session, &jobs).await?;
        }
    }
    abandon(context, &friends).await
}

/// Disables what was declared for anybody but these friends.
async fn abandon(context: &Context, friends: &BTreeSet<FriendId>) -> Result<(), BackendError> {
    let jobs = context.lists.recent(&context.client()?).await?;
    for job in jobs.iter().filter(|job| job.enabled && job.names(&context.agent)) {
        let declared = job.declaration_key.as_deref().and_then(|key| context.declared_by(key));
        if let Some(friend) = declared.filter(|friend| !friends.contains(friend)) {
            tracing::warn!(job.id = %job.id, friend.id = %friend, "a job of nobody's friend is disabled");
            let owner = FriendshipKey { friend, agent: context.agent.clone() };
            switch(&context.session(&owner).await?, job, false).await?;
        }
    }
    Ok(())
}

async fn pause(session: &Session<'_>, jobs: &[GatewayJob]) -> Result<(), BackendError> {
    let is_due = |job: &&GatewayJob| job.enabled && job.is_agent_turn() && job.own(&session.claim()).is_some();
    for job in jobs.iter().filter(is_due) {
        session.context.store.pause(&session.owner, &job.id).await?;
        switch(session, job, false).await?;
    }
    Ok(())
}

async fn resume(session: &Session<'_>, jobs: &[GatewayJob], noted: &[&str]) -> Result<(), BackendError> {
    for id in noted {
        let found = jobs.iter().find(|job| job.id == *id && job.own(&session.claim()).is_some());
        if let Some(job) = found.filter(|job| !job.enabled) {
            switch(session, job, true).await?;
        }
        session.context.store.resume(&session.owner, id).await?;
    }
    Ok(())
}

async fn switch(session: &Session<'_>, job: &GatewayJob, enabled: bool) -> Result<(), BackendError> {
    let params = params::update(job, &json!({"enabled": enabled}));
    match session.write("cron.update", &job.id, params).await {
        Ok(_) => Ok(()),
        // The next pass sees what it is now.
        Err(CallError::Refused(refusal)) if refusal.detail_code() == "CRON_JOB_CHANGED" && !enabled => Ok(()),
        Err(error) => Err(error.into()),
    }
}
