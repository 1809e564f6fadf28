//! One write, from the right to write to the acknowledgement.
//!
//! The order of effects is what makes it safe:
//! 1. *claim*: one writer at a time holds a document's row;
//! 2. the text that stands there is read and compared with what the writer wants to replace;
//! 3. *stage*: the new text is put beside it, durable, where nobody looks;
//! 4. *begin*: the new text (pending), the text before and the audit line are stored in one transaction, which fails
//!    for a writer whose hold ran out;
//! 5. *place*: the two files change places in one step. Somebody who takes over an abandoned hold first discards what
//!    is staged, so a writer that wakes up late has nothing left to place;
//! 6. what came out is looked at: if it is not what was compared, an agent wrote in between, and its text is kept;
//! 7. *end*: the pending text becomes a version, and the row is given back.

use std::error::Error;
use std::time::Duration;

use chrono::TimeDelta;
use portal_core::{Action, Actor, AuditEntry, Backend, BackendError};
use tokio::time::Instant;

use super::{Desk, Writer};
use crate::version::plan;
use crate::{
    Author, Begin, Content, Document, DocumentName, DocumentPath, Ended, Held, NewVersion, Pending, Place, Placed,
    Precondition, Tag, WorkspaceError, surplus,
};

/// How long a document is held at most: longer than a write takes, shorter than a friend waits. Nothing is lost when
/// it is too short; the slower writer is told that it failed.
const LEASE: TimeDelta = TimeDelta::seconds(5);
/// How long a writer waits for another: past the hold of one that crashed.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often a waiting writer asks again, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// How often a file may appear and vanish under a write before it gives up.
const FLIPS: usize = 8;

/// What a friend wants to write.
pub(super) struct Write {
    pub(super) writer: Writer,
    pub(super) name: DocumentName,
    pub(super) content: Content,
    pub(super) precondition: Precondition,
    pub(super) action: Action,
    pub(super) detail: String,
}

/// A writer's turn at a document.
pub(super) struct Turn {
    pub(super) path: DocumentPath,
    pub(super) write: String,
}

impl Desk {
    pub(super) async fn write(&self, write: &Write) -> Result<Tag, WorkspaceError> {
        let reader = &write.writer.reader;
        if !self.may_write(reader, write.name).await? {
            return Err(WorkspaceError::ReadOnly(write.name));
        }
        let path = DocumentPath::of(reader, write.name);
        let turn = Turn { path, write: self.ports.ids.id() };
        let held = self.wait(&turn).await?;
        let new = write.content.tag();
        let current = match self.compare(&turn, &held, write).await {
            Ok(current) if current.as_ref().is_none_or(|current| current.tag != new) => current,
            unchanged_or_refused => {
                self.give_back(&turn).await;
                return unchanged_or_refused.map(|_| new);
            }
        };
        self.carry_out(&turn, self.begin(&turn, &held, write, current), write).await?;
        Ok(new)
    }

    async fn wait(&self, turn: &Turn) -> Result<Held, BackendError> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = PAUSES.0;
        loop {
            match self.ports.store.claim(&turn.path, &turn.write, LEASE).await? {
                Some(held) if !held.taken_over => return Ok(held),
                Some(held) => self.take_over(turn, held.pending.as_ref()).await?,
                None if Instant::now() >= deadline => {
                    return Err(BackendError::unavailable(Backend::Workspace, "another writer holds the document"));
                }
                None => {
                    tokio::time::sleep(pause).await;
                    pause = PAUSES.1.min(pause * 2);
                }
            }
        }
    }

    /// What stands there, if the writer wants to replace it.
    async fn compare(&self, turn: &Turn, held: &Held, write: &Write) -> Result<Option<Document>, WorkspaceError> {
        let document = self.read(&turn.path).await?;
        let current = document.as_ref().map(|document| &document.tag);
        let name = write.name;
        if !write.precondition.holds(current) {
            return Err(WorkspaceError::Changed { name, current: current.cloned() });
        }
        let others = held.last.as_ref().is_some_and(|last| last.friend != write.writer.reader.friend);
        if write.precondition == Precondition::None && others {
            return Err(WorkspaceError::PreconditionRequired { name, current: current.cloned() });
        }
        Ok(document)
    }

    fn begin(&self, turn: &Turn, held: &Held, write: &Write, current: Option<Document>) -> Begin {
        let Writer { reader, session } = &write.writer;
        let now = self.ports.clock.now();
        let previous = current.as_ref().map(|current| current.tag.clone());
        let plan = plan(held, previous.as_ref(), session, now);
        let found = |document: Document| NewVersion {
            id: self.ports.ids.id(),
            saved_at: now.min(document.updated_at),
            author: Author::Agent(reader.agent.clone()),
            bytes: document.text.into_bytes(),
        };
        let text = NewVersion {
            id: turn.write.clone(),
            saved_at: now,
            author: Author::Friend(reader.friend.clone()),
            bytes: write.content.as_str().as_bytes().to_vec(),
        };
        let (bytes, tag) = (text.bytes.len(), write.content.tag());
        let audit = AuditEntry::new(now, Actor::Friend(reader.friend.clone()), write.action)
            .with_friend(reader.friend.clone())
            .with_subject(write.name.to_string())
            .with_detail(format!("agent {}, {bytes} bytes, sha256 {}{}", reader.agent, tag.short(), write.detail));
        Begin {
            text,
            session: session.clone(),
            burst_since: plan.burst_since,
            replaces: plan.replaces,
            previous,
            keep: current.filter(|_| plan.keep_previous).map(found),
            audit,
        }
    }

    /// Steps 3 to 7. Whatever goes wrong after the beginning is settled at once if it can be, else by whoever holds the
    /// document next.
    async fn carry_out(&self, turn: &Turn, begin: Begin, write: &Write) -> Result<(), WorkspaceError> {
        let Turn { path, write: id } = turn;
        if let Err(trouble) = self.ports.files.stage(path, id, begin.text.bytes.clone()).await {
            self.settle_now(turn, None).await;
            return Err(trouble.into());
        }
        let pending = Pending { write: id.clone(), tag: write.content.tag(), previous: begin.previous.clone() };
        if !self.ports.store.begin(path, begin).await? {
            self.ports.files.discard(path, id, Some(write.content.as_str().as_bytes())).await?;
            return Err(lost().into());
        }
        match self.place(turn, &pending, &write.precondition).await {
            Ok(true) => {
                self.conclude(turn, &pending, Some(Ended::Written)).await?;
                self.prune(path).await;
                Ok(())
            }
            Ok(false) => {
                self.conclude(turn, &pending, None).await?;
                let current = self.read(path).await?.map(|document| document.tag);
                Err(WorkspaceError::Changed { name: write.name, current })
            }
            Err(trouble) => {
                self.settle_now(turn, Some(&pending)).await;
                Err(trouble.into())
            }
        }
    }

    /// Puts the staged text in its place; `false` if the file appeared or vanished meanwhile and the writer wanted it
    /// otherwise.
    async fn place(&self, turn: &Turn, pending: &Pending, wanted: &Precondition) -> Result<bool, BackendError> {
        let mut how = if pending.previous.is_some() { Place::Exchange } else { Place::New };
        for _ in 0..FLIPS {
            match self.ports.files.place(&turn.path, &turn.write, how).await? {
                Placed::Done => return Ok(true),
                Placed::Discarded => return Err(lost()),
                Placed::Otherwise if *wanted != Precondition::None => return Ok(false),
                Placed::Otherwise if how == Place::New => how = Place::Exchange,
                Placed::Otherwise => how = Place::New,
            }
        }
        Err(BackendError::unavailable(Backend::Workspace, "the file keeps appearing and vanishing"))
    }

    async fn give_back(&self, turn: &Turn) {
        if let Err(trouble) = self.ports.store.end(&turn.path, &turn.write, Ended::NotWritten).await {
            tracing::warn!(path = %turn.path, error = &trouble as &dyn Error, "a document stays held until its lease runs out");
        }
    }

    /// Forgets what is not kept any longer. Trouble is only logged: the next write tries again.
    async fn prune(&self, path: &DocumentPath) {
        let pruned = async {
            let versions = self.ports.versions.list(path, None).await?;
            let gone = surplus(&versions, self.ports.clock.now());
            if gone.is_empty() { Ok(()) } else { self.ports.versions.forget(path, &gone).await }
        };
        if let Err(trouble) = pruned.await {
            tracing::warn!(%path, error = &trouble as &dyn Error, "old versions of a document were not forgotten");
        }
    }
}

/// This write slept so long that another portal took over and discarded it.
pub(super) fn lost() -> BackendError {
    BackendError::unavailable(Backend::Workspace, "the right to write the document ran out")
}
