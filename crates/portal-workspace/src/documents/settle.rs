//! The end of a write: its own, or the one that a crash left to somebody else.

use std::error::Error;
use std::time::Duration;

use chrono::TimeDelta;
use portal_core::{Backend, BackendError};

use super::Desk;
use super::write::{Turn, lost};
use crate::{Author, DocumentPath, Documents, Ended, Entry, NewVersion, Pending, Staged, Tag};

/// How long somebody who settles what was abandoned holds the document.
const LEASE: TimeDelta = TimeDelta::seconds(5);
/// How often a text that is still being written is looked at again, at most.
const LOOKS: usize = 40;
/// The time between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// For how many looks an empty file is taken for one that somebody has opened and is about to write.
const EMPTY_LOOKS: usize = 20;

/// What a pass over the abandoned documents did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// So many are settled now.
    pub settled: usize,
    /// So many could not be; the next pass tries again.
    pub failed: usize,
}

impl Documents {
    /// Ends the writes that were begun and abandoned, by this process before it was killed or by another; to be called
    /// on start and every few seconds. A write that is still under way somewhere is left alone until its lease, five
    /// seconds, runs out.
    ///
    /// # Errors
    /// The database cannot be asked. Trouble with a single document is logged and counted.
    pub async fn settle(&self) -> Result<Settled, BackendError> {
        let mut outcome = Settled::default();
        for path in self.desk.ports.store.abandoned().await? {
            match self.desk.settle(path.clone()).await {
                Ok(()) => outcome.settled += 1,
                Err(trouble) => {
                    tracing::warn!(%path, error = &trouble as &dyn Error, "a document could not be settled");
                    outcome.failed += 1;
                }
            }
        }
        Ok(outcome)
    }
}

impl Desk {
    async fn settle(&self, path: DocumentPath) -> Result<(), BackendError> {
        let turn = Turn { path, write: self.ports.ids.id() };
        match self.ports.store.claim(&turn.path, &turn.write, LEASE).await? {
            None => Ok(()),
            Some(held) => self.take_over(&turn, held.pending.as_ref()).await,
        }
    }

    /// Ends what whoever held the document before has left, and gives the row back.
    pub(super) async fn take_over(&self, turn: &Turn, pending: Option<&Pending>) -> Result<(), BackendError> {
        let staged = self.ports.files.staged(&turn.path).await?;
        // Whoever staged these did so before this turn, if it is still this one's turn: only then are they to be
        // put away. From then on the write that was abandoned has nothing to place.
        if !self.ports.store.renew(&turn.path, &turn.write, LEASE).await? {
            return Err(lost());
        }
        self.put_all_away(turn, pending, staged, None).await
    }

    /// Ends this turn's own write: puts away what stands beside the document, then gives the row back.
    pub(super) async fn conclude(
        &self,
        turn: &Turn,
        pending: &Pending,
        known: Option<Ended>,
    ) -> Result<(), BackendError> {
        let own = self.look_again(&turn.path, &turn.write).await?.into_iter().collect();
        self.put_all_away(turn, Some(pending), own, known).await
    }

    /// As [`Self::conclude`], for a write that failed and is about to say so: if that fails too, whoever holds the
    /// document next does it.
    pub(super) async fn settle_now(&self, turn: &Turn, pending: Option<&Pending>) {
        let settled = async {
            let own = self.look_again(&turn.path, &turn.write).await?.into_iter().collect();
            self.put_all_away(turn, pending, own, None).await
        };
        if let Err(trouble) = settled.await {
            tracing::warn!(path = %turn.path, error = &trouble as &dyn Error, "a failed write is left for the next pass to settle");
        }
    }

    async fn put_all_away(
        &self,
        turn: &Turn,
        pending: Option<&Pending>,
        staged: Vec<Staged>,
        known: Option<Ended>,
    ) -> Result<(), BackendError> {
        let mut last_seen = None;
        for staged in staged {
            let own = pending.is_some_and(|pending| pending.write == staged.write);
            let put_away = self.put_away(&turn.path, pending.filter(|_| own), staged).await?;
            last_seen = if own { put_away } else { last_seen };
        }
        let ended = match (known, pending) {
            (Some(ended), _) => ended,
            (None, None) => Ended::NotWritten,
            (None, Some(pending)) => self.find_out(&turn.path, pending, last_seen).await?,
        };
        if self.ports.store.end(&turn.path, &turn.write, ended).await? { Ok(()) } else { Err(lost()) }
    }

    /// What became of a write whose staged text is put away by now; `last_seen` is what that was.
    async fn find_out(
        &self,
        path: &DocumentPath,
        pending: &Pending,
        last_seen: Option<Staged>,
    ) -> Result<Ended, BackendError> {
        let current = match self.ports.files.read(path).await? {
            Entry::File { bytes, .. } => Some(Tag::of(&bytes)),
            Entry::Absent | Entry::Large { .. } | Entry::NotAFile => None,
        };
        Ok(match last_seen {
            _ if current.as_ref() == Some(&pending.tag) => Ended::Recovered,
            Some(staged) if holds(&staged, &pending.tag) => Ended::NotWritten,
            None if current == pending.previous => Ended::NotWritten,
            Some(_) | None => Ended::Recovered,
        })
    }

    /// Removes a staged text, after keeping it if it came out of an exchange and nobody has another copy; gives what
    /// it was in the end, `None` if it was gone.
    async fn put_away(
        &self,
        path: &DocumentPath,
        placed: Option<&Pending>,
        mut staged: Staged,
    ) -> Result<Option<Staged>, BackendError> {
        for _ in 0..LOOKS {
            if placed.is_some_and(|pending| is_foreign(&staged, pending)) {
                staged = self.come_to_rest(path, staged).await?;
                self.keep(path, &staged).await?;
            }
            if self.ports.files.discard(path, &staged.write, staged.bytes.as_deref()).await? {
                return Ok(Some(staged));
            }
            match self.look_again(path, &staged.write).await? {
                Some(changed) => staged = changed,
                None => return Ok(None),
            }
        }
        Err(BackendError::unavailable(Backend::Workspace, "somebody keeps writing into a file that was replaced"))
    }

    /// Waits for somebody who had the file open when it was exchanged, and is still writing to it.
    async fn come_to_rest(&self, path: &DocumentPath, mut staged: Staged) -> Result<Staged, BackendError> {
        let mut same = 0;
        for _ in 0..LOOKS {
            let enough = if staged.bytes.as_ref().is_some_and(Vec::is_empty) { EMPTY_LOOKS } else { 1 };
            if same >= enough {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            match self.look_again(path, &staged.write).await? {
                Some(now) if now != staged => (staged, same) = (now, 0),
                _ => same += 1,
            }
        }
        Ok(staged)
    }

    async fn look_again(&self, path: &DocumentPath, write: &str) -> Result<Option<Staged>, BackendError> {
        let staged = self.ports.files.staged(path).await?;
        Ok(staged.into_iter().find(|staged| staged.write == write))
    }

    async fn keep(&self, path: &DocumentPath, staged: &Staged) -> Result<(), BackendError> {
        let Some(bytes) = staged.bytes.clone() else {
            tracing::warn!(%path, "something that cannot be kept as a version stood in a document's place; it is put aside");
            return Ok(());
        };
        tracing::info!(%path, "an agent wrote a document while a friend did; its text is kept as a version");
        let author = Author::Agent(path.agent().clone());
        let found = NewVersion { id: self.ports.ids.id(), saved_at: self.ports.clock.now(), author, bytes };
        self.ports.store.keep(path, found).await
    }
}

fn holds(staged: &Staged, tag: &Tag) -> bool {
    staged.bytes.as_ref().is_some_and(|bytes| Tag::of(bytes) == *tag)
}

/// Whether an exchange brought out something else than the text it was to replace.
fn is_foreign(staged: &Staged, pending: &Pending) -> bool {
    let known = holds(staged, &pending.tag) || pending.previous.as_ref().is_some_and(|tag| holds(staged, tag));
    !known
}
