//! An agent's gateway as one request uses it.

use std::sync::Arc;

use portal_core::{AgentId, Backend, BackendError, Clock, Contact, FriendId, FriendshipKey, FriendshipStore, Ids};
use portal_cron::{JobName, RemoteStore, SessionKeys};
use serde_json::{Value, json};

use super::job::{Claim, GatewayJob};
use super::list::JobLists;
use crate::openclaw::GatewayOf;
use crate::openclaw::Refusal;
use crate::openclaw::client::{CallError, CallKind, GatewayClient};
use crate::openclaw::connection::Hello;

/// Everything that an engine has.
pub(super) struct Context {
    pub(super) agent: AgentId,
    pub(super) gateway_of: GatewayOf,
    pub(super) keys: Arc<SessionKeys>,
    pub(super) store: Arc<dyn RemoteStore>,
    pub(super) friendships: Arc<dyn FriendshipStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    /// The portal's instance, a part of the keys under which it declares jobs.
    pub(super) instance: String,
    pub(super) lists: JobLists,
}

/// Abilities of a gateway. They are told by its methods and its protocol: its version is for people only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a gateway may have any of them")]
pub(super) struct Abilities {
    /// It shows one job.
    pub(super) get: bool,
    /// It knows jobs by keys under which they were declared.
    pub(super) declare: bool,
    /// It sends every answer of a job to the chat, and tells those apart that it did not send.
    pub(super) send_answers: bool,
    /// It takes a member of a job away.
    pub(super) clear: bool,
}

impl Abilities {
    pub(super) fn of(hello: &Hello) -> Self {
        // Gateways of protocol 3 send the first answer of a conversation, drop the next ones for a day, and say that all
        // of them were delivered.
        let is_new = hello.protocol >= 4;
        Self { get: hello.methods.contains("cron.get"), declare: is_new, send_answers: is_new, clear: is_new }
    }
}

/// The gateway, and the friend who uses it.
pub(super) struct Session<'a> {
    pub(super) context: &'a Context,
    pub(super) client: Arc<GatewayClient>,
    pub(super) can: Abilities,
    pub(super) owner: FriendshipKey,
    pub(super) contacts: Vec<Contact>,
    declared: String,
}

impl Context {
    /// Returns the client of the agent's gateway.
    pub(super) fn client(&self) -> Result<Arc<GatewayClient>, BackendError> {
        let unknown = || BackendError::failed(Backend::Gateway, format!("agent {} has no gateway", self.agent));
        (self.gateway_of)(&self.agent).ok_or_else(unknown)
    }

    /// Begins to use the gateway for a friend.
    pub(super) async fn session(&self, owner: &FriendshipKey) -> Result<Session<'_>, BackendError> {
        let client = self.client()?;
        // Nothing was asked of a gateway that is not there.
        let hello = client.hello().await?;
        let can = Abilities::of(&hello);
        let contacts = self.keys.contacts(&owner.friend).await?;
        let declared = format!("{}:", self.declared_for(&owner.friend));
        Ok(Session { context: self, client, can, owner: owner.clone(), contacts, declared })
    }

    /// Returns the friend for whom this portal declared a job under `key`.
    pub(super) fn declared_by(&self, key: &str) -> Option<FriendId> {
        let rest = key.strip_prefix("friend-portal:")?.strip_prefix(self.instance.as_str())?.strip_prefix(':')?;
        FriendId::parse(rest.split_once(':')?.0).ok()
    }

    fn declared_for(&self, friend: &FriendId) -> String {
        format!("friend-portal:{}:{friend}", self.instance)
    }
}

impl Session<'_> {
    pub(super) fn claim(&self) -> Claim<'_> {
        Claim { owner: &self.owner, contacts: &self.contacts, keys: &self.context.keys, declared: &self.declared }
    }

    /// Returns the key under which the owner's job of this name is declared. Gateways tell apart the jobs of two agents
    /// that have one key.
    pub(super) fn declaration_key(&self, name: &JobName) -> String {
        format!("{}{name}", self.declared)
    }

    /// Returns the owner's job of this exact name, else of this id. Several jobs may have one name, if the agent made
    /// them; the oldest is meant.
    pub(super) fn find<'a>(&self, jobs: &'a [GatewayJob], name: &str) -> Option<&'a GatewayJob> {
        let claim = self.claim();
        let is_shown = |job: &&GatewayJob| job.own(&claim).is_some_and(|key| job.to_job(&self.owner, &key).is_some());
        let named = jobs.iter().filter(|job| job.name.as_str() == name).filter(is_shown);
        named.min_by_key(|job| job.age()).or_else(|| jobs.iter().filter(|job| job.id == name).find(is_shown))
    }

    /// Reads a job as it is now; `None` if it is gone or not the owner's any more.
    pub(super) async fn read(&self, id: &str) -> Result<Option<GatewayJob>, BackendError> {
        let found = if self.can.get {
            match self.client.call(CallKind::Read, "cron.get", json!({"id": id})).await {
                Ok(job) => Some(parse(&job)?),
                Err(CallError::Refused(refusal)) if self.lacks(id, &refusal).await? => None,
                Err(error) => return Err(error.into()),
            }
        } else {
            let jobs = self.context.lists.fresh(&self.client).await?;
            jobs.iter().find(|job| job.id == id).cloned()
        };
        Ok(found.filter(|job| job.id == id && job.own(&self.claim()).is_some()))
    }

    /// Changes something; `None` if the gateway does not have the job `id`.
    pub(super) async fn write(&self, method: &str, id: &str, params: Value) -> Result<Option<Value>, CallError> {
        let answered = self.client.call(CallKind::Write, method, params).await;
        self.context.lists.invalidate();
        match answered {
            Err(CallError::Refused(refusal)) if self.lacks(id, &refusal).await? => Ok(None),
            answered => answered.map(Some),
        }
    }

    /// Returns whether the gateway refused a call because it has no job `id`. Only 2026.9 has a code for that; older
    /// gateways say of an unknown job what they say of everything, and a fresh list decides.
    pub(super) async fn lacks(&self, id: &str, refusal: &Refusal) -> Result<bool, BackendError> {
        match refusal.detail_code() {
            "CRON_JOB_NOT_FOUND" => Ok(true),
            "" if !refusal.retryable => {
                let jobs = self.context.lists.fresh(&self.client).await?;
                Ok(jobs.iter().all(|job| job.id != id))
            }
            _ => Ok(false),
        }
    }
}

pub(super) fn parse(job: &Value) -> Result<GatewayJob, BackendError> {
    GatewayJob::parse(job).ok_or_else(|| BackendError::failed(Backend::Gateway, "the gateway's job cannot be read"))
}
