//! Files that an exchange brought out and that somebody may still have open for writing.
//!
//! An agent that opened the document before a friend's save, and writes to it afterwards, writes into a file without a
//! name. So the file keeps a hidden one:
//! 1. after the exchange it is renamed to a label with the time, the write and the tag of its known content;
//! 2. after 1, 10, 60 and 600 seconds, and when a portal starts, its content is compared with that tag. Another content
//!    is stored as a version by the agent, unless it is empty, and the label gets its tag;
//! 3. after the last look it is removed if it still has the known content, else looked at again a second later.
//!
//! A document has at most [`DISPLACED_MAX`] of them: a further one ends the time of the oldest. A descriptor that is held
//! for longer is the documented limit: nobody can ask a file system whether a file is still open elsewhere.

use chrono::TimeDelta;
use portal_core::BackendError;

use super::Documents;
use crate::{DisplacedFile, DocumentPath, NextLook, Tag};

/// Ages at which a displaced file is looked at; after the last it is removed.
pub const LOOKS: [TimeDelta; 4] =
    [TimeDelta::seconds(1), TimeDelta::seconds(10), TimeDelta::seconds(60), TimeDelta::seconds(600)];
/// Largest number of displaced files of one document.
pub const DISPLACED_MAX: usize = 4;

impl Documents {
    /// Retains the staged file of `write`, whose content has the tag `known`.
    pub(super) async fn displace(&self, path: &DocumentPath, write: &str, known: Tag) -> Result<(), BackendError> {
        let displaced_at = self.ports.clock.now();
        let file = DisplacedFile { write: write.to_owned(), displaced_at, known };
        self.ports.files.retain(path, &file).await?;
        let files = self.ports.files.displaced(path).await?;
        // They come oldest first: all but the newest ones go.
        for file in files.iter().rev().skip(DISPLACED_MAX) {
            let file = self.look_at(path, file.clone()).await?;
            // One that changes between the two calls stays until the next save or look.
            self.ports.files.release(path, &file).await?;
        }
        Ok(())
    }

    /// Looks at all displaced files of a document, and returns the time of the next look.
    pub(super) async fn look(&self, path: &DocumentPath) -> Result<NextLook, BackendError> {
        let now = self.ports.clock.now();
        let mut next: Option<TimeDelta> = None;
        for file in self.ports.files.displaced(path).await? {
            let age = now - file.displaced_at;
            let file = self.look_at(path, file).await?;
            let wait = match LOOKS.iter().find(|look| age < **look) {
                Some(look) => *look - age,
                None if self.ports.files.release(path, &file).await? => continue,
                // Still being written after the last look: one more.
                None => LOOKS[0],
            };
            next = Some(next.map_or(wait, |next| next.min(wait)));
        }
        Ok(next.map_or(NextLook::Never, NextLook::After))
    }

    /// Stores the file's content if it is not the known one; returns the file with its new label.
    async fn look_at(&self, path: &DocumentPath, file: DisplacedFile) -> Result<DisplacedFile, BackendError> {
        let Some(bytes) = self.ports.files.read_displaced(path, &file).await? else { return Ok(file) };
        let tag = Tag::of(&bytes);
        if tag == file.known {
            return Ok(file);
        }
        if !bytes.is_empty() {
            tracing::info!(%path, "an agent wrote into a file that a friend's save had replaced; its text is stored");
            self.add_agent_version(path, bytes).await?;
        }
        // Stored before it is labelled: a crash in between stores the text twice, and never loses it.
        self.ports.files.relabel(path, &file, &tag).await?;
        Ok(DisplacedFile { known: tag, ..file })
    }
}
