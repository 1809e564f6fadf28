//! Recovery: the end of a write, its own or one that a crash left behind.
//!
//! A pass runs on start and every second:
//! 1. it lists documents whose claim was not given back in time, and documents with displaced files that are due;
//! 2. it claims each. A document without a crashed write is only looked at (`displaced.rs`);
//! 3. for a crashed write it lists what is staged, and only then renews its claim: whatever was staged by then was
//!    staged by writers that have lost theirs;
//! 4. it puts away what is staged. A text of another write was never installed and is discarded. The staged file of the
//!    pending write is the new text (not exchanged), the text before (exchanged: retained) or an agent's (exchanged:
//!    stored, then retained). If the document is a mount point and its content is our own torn write, that is completed;
//! 5. it compares the document with the pending write: installed, it becomes a version; else it is deleted. In doubt it
//!    becomes a version, so that a text is never lost.

use portal_core::{Backend, BackendError};

use super::Documents;
use super::displaced::LOOKS;
use super::write::{Claim, LEASE, lost_claim};
use crate::{
    Author, DocumentPath, Entry, InstallMode, NewVersion, NextLook, PendingWrite, StagedFile, Tag, WriteOutcome,
};

/// Number of times that a staged file may change while it is being put away.
const DISCARD_ATTEMPTS: usize = 8;
/// Unit in which a file system writes a file back after a power failure, in any order.
const BLOCK: usize = 4096;

/// Result of a recovery pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Number of documents that were recovered, looked at, or found claimed by a writer that is alive.
    pub recovered: usize,
    /// Number of documents that failed; the next pass tries again.
    pub failed: usize,
}

impl Documents {
    /// Recovers writes that were begun and abandoned, by this process before it was killed or by another, and looks at
    /// displaced files that are due; to be called every second. A write that is still under way is left alone until its
    /// lease, five seconds, runs out.
    ///
    /// # Errors
    /// The database is unavailable. Failures of single documents are logged and counted.
    pub async fn recover(&self) -> Result<RecoveryReport, BackendError> {
        self.recover_all(false).await
    }

    /// Does the same and looks at all displaced files; to be called on start.
    ///
    /// # Errors
    /// As [`Self::recover`].
    pub async fn recover_at_start(&self) -> Result<RecoveryReport, BackendError> {
        self.recover_all(true).await
    }

    async fn recover_all(&self, at_start: bool) -> Result<RecoveryReport, BackendError> {
        let mut report = RecoveryReport::default();
        for path in self.ports.store.unfinished(at_start).await? {
            match self.recover_one(path.clone()).await {
                Ok(()) => report.recovered += 1,
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(%path, error, "a document could not be recovered");
                    report.failed += 1;
                }
            }
        }
        Ok(report)
    }

    async fn recover_one(&self, path: DocumentPath) -> Result<(), BackendError> {
        let claim = Claim { path, write: self.ports.ids.id() };
        // Not claimed: its writer is alive, or another portal recovers it.
        let Some(state) = self.ports.store.claim(&claim.path, &claim.write, LEASE).await? else { return Ok(()) };
        if state.taken_over || state.pending.is_some() {
            return self.take_over(&claim, state.pending.as_ref()).await;
        }
        match self.look(&claim.path).await {
            Ok(next_look) => self.finish(&claim, WriteOutcome::Aborted, next_look).await,
            Err(error) => {
                self.give_back(&claim).await;
                Err(error)
            }
        }
    }

    /// Finishes the write of whoever had the claim before, and gives the claim back.
    pub(super) async fn take_over(&self, claim: &Claim, pending: Option<&PendingWrite>) -> Result<(), BackendError> {
        let staged = self.ports.files.staged(&claim.path).await?;
        // Only if the claim is still ours were these staged before it. From here on the abandoned write has nothing to
        // install.
        if !self.ports.store.renew(&claim.path, &claim.write, LEASE).await? {
            return Err(lost_claim());
        }
        self.put_all_away(claim, pending, staged, None).await
    }

    /// Finishes the claim's own write: puts away what is staged, then gives the claim back.
    pub(super) async fn conclude(
        &self,
        claim: &Claim,
        pending: &PendingWrite,
        known: Option<WriteOutcome>,
    ) -> Result<(), BackendError> {
        let own = self.staged_by(&claim.path, &claim.write).await?.into_iter().collect();
        self.put_all_away(claim, Some(pending), own, known).await
    }

    /// Does the same for a write that failed and is about to say so: if this fails too, the next claim does it.
    pub(super) async fn recover_now(&self, claim: &Claim, pending: Option<&PendingWrite>) {
        let recovered = async {
            let own = self.staged_by(&claim.path, &claim.write).await?.into_iter().collect();
            self.put_all_away(claim, pending, own, None).await
        };
        if let Err(error) = recovered.await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(path = %claim.path, error, "a failed write is left for the next pass to recover");
        }
    }

    async fn put_all_away(
        &self,
        claim: &Claim,
        pending: Option<&PendingWrite>,
        staged: Vec<StagedFile>,
        known: Option<WriteOutcome>,
    ) -> Result<(), BackendError> {
        let (mut last_seen, mut has_displaced) = (None, false);
        for file in staged {
            match pending.filter(|pending| pending.write == file.write) {
                Some(pending) => {
                    (last_seen, has_displaced) = self.put_own_away(&claim.path, pending, file, known).await?;
                }
                None => drop(self.discard(&claim.path, file).await?),
            }
        }
        let outcome = match (known, pending) {
            (Some(outcome), _) => outcome,
            (None, None) => WriteOutcome::Aborted,
            (None, Some(pending)) => self.find_outcome(&claim.path, pending, last_seen).await?,
        };
        // The crash may have come between retaining a file and scheduling its look.
        has_displaced |= known.is_none() && !self.ports.files.displaced(&claim.path).await?.is_empty();
        let next_look = if has_displaced { NextLook::Within(LOOKS[0]) } else { NextLook::Unchanged };
        self.finish(claim, outcome, next_look).await
    }

    async fn finish(&self, claim: &Claim, outcome: WriteOutcome, next_look: NextLook) -> Result<(), BackendError> {
        let finished = self.ports.store.finish(&claim.path, &claim.write, outcome, next_look).await?;
        if finished { Ok(()) } else { Err(lost_claim()) }
    }

    /// Puts away the staged file of the pending write. Returns the tag that it had, `None` if it was no text or gone, and
    /// `true` if it is a displaced file now.
    async fn put_own_away(
        &self,
        path: &DocumentPath,
        pending: &PendingWrite,
        file: StagedFile,
        known: Option<WriteOutcome>,
    ) -> Result<(Option<Tag>, bool), BackendError> {
        let Some(bytes) = &file.bytes else {
            tracing::warn!(%path, "something too large or no file had a document's name; it got a name beside it");
            self.discard(path, file).await?;
            return Ok((None, false));
        };
        let tag = Tag::of(bytes);
        if tag == pending.tag {
            // An overwrite that succeeded leaves its staged text as well, and needs no completion.
            if known.is_none() {
                self.complete_torn(path, pending, bytes).await?;
            }
            return Ok((self.discard(path, file).await?, false));
        }
        // An empty text says nothing yet: somebody has just opened the file to write it.
        if pending.previous.as_ref() != Some(&tag) && !bytes.is_empty() {
            tracing::info!(%path, "an agent wrote a document while a friend did; its text is stored as a version");
            self.add_agent_version(path, bytes.clone()).await?;
        }
        self.displace(path, &file.write, tag.clone()).await?;
        Ok((Some(tag), true))
    }

    /// Removes a staged text that is stored elsewhere; returns the tag that it had in the end, `None` if it was gone.
    async fn discard(&self, path: &DocumentPath, mut file: StagedFile) -> Result<Option<Tag>, BackendError> {
        for _ in 0..DISCARD_ATTEMPTS {
            if self.ports.files.discard(path, &file.write, file.bytes.as_deref()).await? {
                return Ok(file.bytes.as_deref().map(Tag::of));
            }
            match self.staged_by(path, &file.write).await? {
                Some(changed) => file = changed,
                None => return Ok(None),
            }
        }
        Err(BackendError::unavailable(Backend::Workspace, "a staged file keeps changing"))
    }

    async fn staged_by(&self, path: &DocumentPath, write: &str) -> Result<Option<StagedFile>, BackendError> {
        let staged = self.ports.files.staged(path).await?;
        Ok(staged.into_iter().find(|file| file.write == write))
    }

    /// Finds out what became of a pending write; `last_seen` is the tag of its staged file before that was put away.
    async fn find_outcome(
        &self,
        path: &DocumentPath,
        pending: &PendingWrite,
        last_seen: Option<Tag>,
    ) -> Result<WriteOutcome, BackendError> {
        let current = self.current_bytes(path).await?.as_deref().map(Tag::of);
        Ok(match last_seen {
            _ if current.as_ref() == Some(&pending.tag) => WriteOutcome::Recovered,
            Some(tag) if tag == pending.tag => WriteOutcome::Aborted,
            None if current == pending.previous => WriteOutcome::Aborted,
            // Another text is there by now, but this one was there before it.
            Some(_) | None => WriteOutcome::Recovered,
        })
    }

    /// Writes the new text once more if the document's content is what a crash left of overwriting it.
    async fn complete_torn(&self, path: &DocumentPath, pending: &PendingWrite, new: &[u8]) -> Result<(), BackendError> {
        let Some(previous) = &pending.previous else { return Ok(()) };
        let Some(current) = self.current_bytes(path).await? else { return Ok(()) };
        let expected = Tag::of(&current);
        if expected == pending.tag || expected == *previous {
            return Ok(());
        }
        let Some(old) = self.ports.versions.find_by_tag(path, previous).await? else { return Ok(()) };
        if is_torn(&current, new, &old) {
            tracing::info!(%path, "a torn write of a document is completed");
            self.ports.files.install(path, &pending.write, InstallMode::Overwrite { expected }).await?;
        }
        Ok(())
    }

    async fn current_bytes(&self, path: &DocumentPath) -> Result<Option<Vec<u8>>, BackendError> {
        match self.ports.files.read(path).await? {
            Entry::File { bytes, .. } => Ok(Some(bytes)),
            Entry::Absent | Entry::TooLarge { .. } | Entry::OtherCase { .. } | Entry::NotAFile => Ok(None),
        }
    }

    /// Stores a text of the agent that was found in one of the document's files.
    pub(super) async fn add_agent_version(&self, path: &DocumentPath, bytes: Vec<u8>) -> Result<(), BackendError> {
        let (id, author) = (self.ports.ids.id(), Author::Agent(path.agent().clone()));
        self.ports.store.add_version(path, NewVersion::new(id, self.ports.clock.now(), author, bytes)).await
    }
}

/// Returns `true` if writing `new` over `old` from the start, and truncating then, may have left `current`: after a
/// killed process a beginning of one and the rest of the other, after a power failure blocks of both in any order.
fn is_torn(current: &[u8], new: &[u8], old: &[u8]) -> bool {
    // Truncation is the last step, so a torn text is never longer than the longer of the two.
    let longest = new.len().max(old.len());
    if current.len() > longest || current.len() < new.len().min(old.len()) {
        return false;
    }
    let written = current.iter().zip(new).take_while(|(one, other)| one == other).count();
    let is_prefix = current.get(written..) == Some(old.get(written..).unwrap_or_default());
    let block = |text: &[u8], at: usize| text.get(at..text.len().min(at + BLOCK)).map(<[u8]>::to_vec);
    let mut blocks = (0..current.len()).step_by(BLOCK);
    is_prefix || blocks.all(|at| block(current, at) == block(new, at) || block(current, at) == block(old, at))
}

#[cfg(test)]
mod tests {
    use super::is_torn;

    #[track_caller]
    fn check(current: &str, expected: bool) {
        assert_eq!(is_torn(current.as_bytes(), b"new text", b"the older text"), expected, "{current:?}");
    }

    #[test]
    fn a_torn_text_begins_as_the_new_one_and_ends_as_the_old_one() {
        check("n", false);
        check("nhe older text", true);
        check("new textr text", true);
        check("new text, my own", false);
        check("the elder text", false);
    }

    #[test]
    fn whole_blocks_may_be_of_either_text() {
        let (new, old) = ([b'n'; 9000], [b'o'; 9000]);
        let mut mixed = old;
        mixed[4096..8192].fill(b'n');
        assert!(is_torn(&mixed, &new, &old));
        mixed[4096] = b'x';
        assert!(!is_torn(&mixed, &new, &old));
    }
}
