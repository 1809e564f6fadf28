//! HEARTBEAT.md where the gateway keeps it: the scratch of the agent's heartbeat job.
//!
//! A gateway with `cron.scratch` ignores the file, so the document is read and written there. The gateway counts a
//! revision up with each write and refuses one that names an older revision, so nothing that the agent wrote meanwhile
//! is lost. All other documents, and all documents of gateways without it, are files. So are staged texts.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use portal_core::{AgentId, Backend, BackendError, FriendshipKey};
use portal_workspace::{
    DOCUMENT_MAX_BYTES, DisplacedFile, DocumentFiles, DocumentName, DocumentPath, Entry, FileInfo, InstallMode,
    Installed, ReadReceipt, StagedFile, Tag,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::GatewayOf;
use super::client::{CallError, CallKind, GatewayClient};
use super::pages::{Page, Pages};

/// The method that a gateway with a scratch has.
const ABILITY: &str = "cron.scratch.set";
/// Most pages that are searched for the heartbeat job, in a list that changes meanwhile.
const PAGES_MAX: usize = 100;

/// Agents' documents: HEARTBEAT.md in the gateway if it keeps it, everything else in the agents' folders.
pub struct GatewayFiles {
    files: Arc<dyn DocumentFiles>,
    gateway_of: GatewayOf,
    /// The heartbeat job of each agent, which stays the same until the gateway says otherwise.
    jobs: Mutex<HashMap<AgentId, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scratch {
    scratch: Option<Content>,
    current_revision: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    content: String,
    updated_at_ms: i64,
}

impl Content {
    fn updated_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.updated_at_ms).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Written {
    ok: bool,
    #[serde(default)]
    reason: String,
}

/// A call about the scratch of a job.
enum Request {
    Get,
    Set { text: String, expected_revision: u64 },
}

impl Request {
    async fn send(&self, gateway: &GatewayClient, job: &str) -> Result<Value, CallError> {
        match self {
            Self::Get => gateway.call(CallKind::Read, "cron.scratch.get", json!({"id": job})).await,
            Self::Set { text, expected_revision } => {
                let params = json!({"id": job, "content": text, "expectedRevision": expected_revision});
                gateway.call(CallKind::Write, ABILITY, params).await
            }
        }
    }
}

impl GatewayFiles {
    /// Documents in these files and gateways.
    #[must_use]
    pub fn new(files: Arc<dyn DocumentFiles>, gateway_of: GatewayOf) -> Self {
        Self { files, gateway_of, jobs: Mutex::default() }
    }

    /// Returns the gateway that keeps the document; `None` for a file. A gateway that cannot be asked is an error: its
    /// answer decides which of the two is the document.
    async fn keeper(&self, path: &DocumentPath) -> Result<Option<Arc<GatewayClient>>, BackendError> {
        if path.name() != DocumentName::Heartbeat {
            return Ok(None);
        }
        let Some(gateway) = (self.gateway_of)(path.agent()) else { return Ok(None) };
        let keeps = gateway.hello().await?.methods.contains(ABILITY);
        Ok(keeps.then_some(gateway))
    }

    async fn scratch(&self, gateway: &GatewayClient, agent: &AgentId) -> Result<Scratch, BackendError> {
        parse(self.call(gateway, agent, &Request::Get).await?)
    }

    /// Calls a method of the agent's heartbeat job, which is looked up anew if the gateway does not know it any more.
    async fn call(&self, gateway: &GatewayClient, agent: &AgentId, request: &Request) -> Result<Value, BackendError> {
        let known = self.jobs.lock().get(agent).cloned();
        let job = match &known {
            Some(job) => job.clone(),
            None => self.find_job(gateway, agent).await?,
        };
        match request.send(gateway, &job).await {
            Err(CallError::Refused(refusal)) if known.is_some() && refusal.detail_code() == "CRON_JOB_NOT_FOUND" => {
                let job = self.find_job(gateway, agent).await?;
                Ok(request.send(gateway, &job).await?)
            }
            answered => Ok(answered?),
        }
    }

    async fn find_job(&self, gateway: &GatewayClient, agent: &AgentId) -> Result<String, BackendError> {
        let mut pages = Pages::new(gateway);
        for _ in 0..PAGES_MAX {
            let listed = match pages.next().await? {
                Page::Jobs(listed) => listed,
                Page::Changed => {
                    pages = Pages::new(gateway);
                    continue;
                }
                Page::End => break,
            };
            let jobs = listed.get("jobs").and_then(Value::as_array).into_iter().flatten();
            let is_heartbeat = |job: &&Value| {
                let of = job["agentId"].as_str().or_else(|| job["effectiveAgentId"].as_str());
                job.pointer("/payload/kind").is_some_and(|kind| kind == "heartbeat") && of == Some(agent.as_str())
            };
            // A disabled one too: so is it where heartbeats are off.
            if let Some(id) = jobs.clone().find(is_heartbeat).and_then(|job| job["id"].as_str()) {
                self.jobs.lock().insert(agent.clone(), id.to_owned());
                return Ok(id.to_owned());
            }
        }
        Err(BackendError::unavailable(Backend::Gateway, format!("the gateway has no heartbeat job of agent {agent}")))
    }

    async fn install_scratch(
        &self,
        gateway: &GatewayClient,
        path: &DocumentPath,
        write: &str,
        mode: &InstallMode,
    ) -> Result<Installed, BackendError> {
        let staged = self.files.staged(path).await?.into_iter().find(|staged| staged.write == write);
        let Some(bytes) = staged.and_then(|staged| staged.bytes) else { return Ok(Installed::Discarded) };
        let Scratch { scratch, current_revision } = self.scratch(gateway, path.agent()).await?;
        match (mode, &scratch) {
            // Nothing comes out of a scratch that could be stored afterwards: it is compared first, and overwritten.
            (InstallMode::Exchange, Some(_)) => return Ok(Installed::MountPoint),
            (InstallMode::Create, Some(_)) | (InstallMode::Exchange | InstallMode::Overwrite { .. }, None) => {
                return Ok(Installed::Conflict);
            }
            (InstallMode::Overwrite { expected }, Some(found)) if Tag::of(found.content.as_bytes()) != *expected => {
                return Ok(Installed::Conflict);
            }
            (InstallMode::Overwrite { .. }, Some(_)) | (InstallMode::Create, None) => {}
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| BackendError::failed(Backend::Gateway, error))?;
        let request = Request::Set { text: text.to_owned(), expected_revision: current_revision };
        let answer = self.call(gateway, path.agent(), &request).await?;
        match parse::<Written>(answer)? {
            Written { ok: true, .. } => {}
            // The agent wrote since the scratch was read.
            Written { reason, .. } if reason == "revision-conflict" => return Ok(Installed::Conflict),
            Written { reason, .. } => {
                return Err(BackendError::failed(Backend::Gateway, format!("the gateway did not write: {reason}")));
            }
        }
        if *mode == InstallMode::Create {
            self.files.discard(path, write, Some(&bytes)).await?;
        }
        Ok(Installed::Done)
    }
}

fn parse<T: for<'de> Deserialize<'de>>(answer: Value) -> Result<T, BackendError> {
    serde_json::from_value(answer).map_err(|error| BackendError::failed(Backend::Gateway, error))
}

#[async_trait]
impl DocumentFiles for GatewayFiles {
    async fn read(&self, path: &DocumentPath) -> Result<Entry, BackendError> {
        let Some(gateway) = self.keeper(path).await? else { return self.files.read(path).await };
        let Some(found) = self.scratch(&gateway, path.agent()).await?.scratch else { return Ok(Entry::Absent) };
        let updated_at = found.updated_at();
        let bytes = found.content.into_bytes();
        if bytes.len() > DOCUMENT_MAX_BYTES {
            return Ok(Entry::TooLarge { size: bytes.len() as u64, updated_at });
        }
        Ok(Entry::File { bytes, updated_at })
    }

    async fn inspect(&self, path: &DocumentPath) -> Result<FileInfo, BackendError> {
        let Some(gateway) = self.keeper(path).await? else { return self.files.inspect(path).await };
        let Some(found) = self.scratch(&gateway, path.agent()).await?.scratch else { return Ok(FileInfo::Absent) };
        let size = found.content.len();
        let tag = (size <= DOCUMENT_MAX_BYTES).then(|| Tag::of(found.content.as_bytes()));
        Ok(FileInfo::File { size: size as u64, updated_at: found.updated_at(), tag })
    }

    async fn stage(&self, path: &DocumentPath, write: &str, bytes: Vec<u8>) -> Result<(), BackendError> {
        self.files.stage(path, write, bytes).await
    }

    async fn install(&self, path: &DocumentPath, write: &str, mode: InstallMode) -> Result<Installed, BackendError> {
        match self.keeper(path).await? {
            Some(gateway) => self.install_scratch(&gateway, path, write, &mode).await,
            None => self.files.install(path, write, mode).await,
        }
    }

    async fn staged(&self, path: &DocumentPath) -> Result<Vec<StagedFile>, BackendError> {
        self.files.staged(path).await
    }

    async fn discard(&self, path: &DocumentPath, write: &str, bytes: Option<&[u8]>) -> Result<bool, BackendError> {
        self.files.discard(path, write, bytes).await
    }

    async fn retain(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<(), BackendError> {
        self.files.retain(path, file).await
    }

    async fn displaced(&self, path: &DocumentPath) -> Result<Vec<DisplacedFile>, BackendError> {
        self.files.displaced(path).await
    }

    async fn read_displaced(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<Option<Vec<u8>>, BackendError> {
        self.files.read_displaced(path, file).await
    }

    async fn relabel(&self, path: &DocumentPath, file: &DisplacedFile, known: &Tag) -> Result<(), BackendError> {
        self.files.relabel(path, file, known).await
    }

    async fn release(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<bool, BackendError> {
        self.files.release(path, file).await
    }

    async fn read_receipt(&self, key: &FriendshipKey) -> Result<Option<ReadReceipt>, BackendError> {
        self.files.read_receipt(key).await
    }

    async fn count_logs(&self, key: &FriendshipKey) -> Result<u64, BackendError> {
        self.files.count_logs(key).await
    }
}

#[cfg(test)]
mod tests;
