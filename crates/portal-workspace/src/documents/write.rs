//! One write, from the right to write to the acknowledgement.
//!
//! The order of effects is what makes it safe:
//! 1. *claim*: one writer at a time claims a document's row. A claim whose lease ran out is taken over, which recovers
//!    the write before (`recover.rs`);
//! 2. *compare*: the current text is read and compared with the one that the writer wants to replace;
//! 3. *stage*: the new text is put beside it, durable, under a name that nobody reads;
//! 4. *begin*: the new text (pending), the text before and the audit entry are stored in one transaction, which fails
//!    for a writer that lost its claim;
//! 5. *install*: the two files are exchanged in one step. Whoever takes over a claim first discards what is staged, so a
//!    writer that wakes up late has nothing left to install. A file that is a mount point cannot be exchanged: it is
//!    overwritten in place, while the staged text stays until the end, and recovery completes a torn write from it;
//! 6. *retain*: the file that came out keeps a hidden name for ten minutes, because somebody may still have it open
//!    (`displaced.rs`). If its text is not the one that was compared, an agent wrote in between, and it is stored;
//! 7. *finish*: the pending text becomes a version, and the claim is given back.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{Action, Actor, AuditEntry, Backend, BackendError};
use tokio::time::Instant;

use super::{Documents, Writer};
use crate::{
    Author, Content, Document, DocumentName, DocumentPath, DocumentState, InstallMode, Installed, LastWrite,
    NewVersion, NextLook, PendingWrite, Precondition, PreconditionReason, Tag, WorkspaceError, WriteIntent,
    WriteOutcome, expired,
};

/// Time from the first write of a session in which its further writes are the same version.
pub const MERGE_WINDOW: TimeDelta = TimeDelta::minutes(10);
/// Lease of a claim: longer than a write takes, shorter than a friend waits. Nothing is lost when it is too short; the
/// slower writer gets an error.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(5);
/// Time that a writer waits for another: longer than the lease of one that crashed.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(8);
/// First and longest pause of a waiting writer between two attempts to claim.
const CLAIM_PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// Number of times that a file may appear, vanish or change under a write before the write fails.
const INSTALL_ATTEMPTS: usize = 8;

/// Text that a friend wants to write.
pub(super) struct Write {
    pub(super) writer: Writer,
    pub(super) name: DocumentName,
    pub(super) content: Content,
    pub(super) precondition: Precondition,
    pub(super) action: Action,
    pub(super) detail: String,
}

/// Claim of a document's row by one write.
pub(super) struct Claim {
    pub(super) path: DocumentPath,
    pub(super) write: String,
}

/// Result of one round through the steps.
enum Round {
    /// The document has the new text.
    Written,
    /// Another process changed a file that can only be overwritten: compare again.
    Again,
}

impl Documents {
    pub(super) async fn write(&self, write: &Write) -> Result<Tag, WorkspaceError> {
        let reader = &write.writer.reader;
        if !self.may_write(reader, write.name).await? {
            return Err(WorkspaceError::ReadOnly(write.name));
        }
        let path = DocumentPath::of(reader, write.name);
        for _ in 0..INSTALL_ATTEMPTS {
            if let Round::Written = self.write_once(&path, write).await? {
                return Ok(write.content.tag().clone());
            }
        }
        Err(unstable().into())
    }

    async fn write_once(&self, path: &DocumentPath, write: &Write) -> Result<Round, WorkspaceError> {
        let claim = Claim { path: path.clone(), write: self.ports.ids.id() };
        let state = self.claim(&claim).await?;
        let current = match self.compare(path, &state, write).await {
            // Identical content makes no version and no audit entry, and leaves the modification time alone.
            Ok(current) if current.as_ref().is_none_or(|current| current.tag != *write.content.tag()) => current,
            unchanged_or_refused => {
                self.give_back(&claim).await;
                return unchanged_or_refused.map(|_| Round::Written);
            }
        };
        let intent = self.intent(&claim, &state, write, current);
        self.commit(&claim, intent, write).await
    }

    async fn claim(&self, claim: &Claim) -> Result<DocumentState, BackendError> {
        let deadline = Instant::now() + CLAIM_TIMEOUT;
        let mut pause = CLAIM_PAUSES.0;
        loop {
            match self.ports.store.claim(&claim.path, &claim.write, LEASE).await? {
                Some(state) if !state.taken_over => return Ok(state),
                // Recovery gives the claim back, so the next round claims a clean row.
                Some(state) => self.take_over(claim, state.pending.as_ref()).await?,
                None if Instant::now() >= deadline => {
                    return Err(BackendError::unavailable(Backend::Workspace, "another writer has the document"));
                }
                None => {
                    tokio::time::sleep(pause).await;
                    pause = CLAIM_PAUSES.1.min(pause * 2);
                }
            }
        }
    }

    /// Returns the current document, if the writer may replace it.
    async fn compare(
        &self,
        path: &DocumentPath,
        state: &DocumentState,
        write: &Write,
    ) -> Result<Option<Document>, WorkspaceError> {
        let document = self.read_path(path).await?;
        let current = document.as_ref().map(|document| &document.tag);
        let name = write.name;
        if !write.precondition.holds(current) {
            return Err(WorkspaceError::Changed { name, current: current.cloned() });
        }
        let required = |reason| WorkspaceError::PreconditionRequired { name, current: current.cloned(), reason };
        let by_other = state.last.as_ref().is_some_and(|last| last.friend != write.writer.reader.friend);
        // `If-Match: *` holds for a text that the writer never saw, so it does not count here.
        if by_other && !write.precondition.names_a_text() {
            return Err(required(PreconditionReason::OtherFriend));
        }
        if self.requires_precondition && write.precondition == Precondition::None {
            return Err(required(PreconditionReason::Configured));
        }
        Ok(document)
    }

    fn intent(&self, claim: &Claim, state: &DocumentState, write: &Write, current: Option<Document>) -> WriteIntent {
        let Writer { reader, session } = &write.writer;
        let now = self.ports.clock.now();
        let previous = current.as_ref().map(|current| current.tag.clone());
        let change = plan_versions(state, previous.as_ref(), session, now);
        let found = |document: Document| NewVersion {
            id: self.ports.ids.id(),
            // A clock of the file system that is ahead must not date a version in the future.
            saved_at: now.min(document.updated_at),
            author: Author::Agent(reader.agent.clone()),
            tag: document.tag,
            bytes: document.text.into_bytes(),
        };
        let text = NewVersion {
            id: claim.write.clone(),
            saved_at: now,
            author: Author::Friend(reader.friend.clone()),
            tag: write.content.tag().clone(),
            bytes: write.content.as_str().as_bytes().to_vec(),
        };
        let (bytes, tag) = (text.bytes.len(), text.tag.short());
        let audit = AuditEntry::new(now, Actor::Friend(reader.friend.clone()), write.action)
            .with_friend(reader.friend.clone())
            .with_subject(write.name.to_string())
            .with_detail(format!("agent {}, {bytes} bytes, sha256 {tag}{}", reader.agent, write.detail));
        WriteIntent {
            text,
            session: session.clone(),
            burst_since: change.burst_since,
            replaces: change.replaces,
            previous,
            earlier: current.filter(|_| change.store_previous).map(found),
            audit,
        }
    }

    /// Runs steps 3 to 7. A failure after step 4 is recovered at once if possible, else by the next claim.
    async fn commit(&self, claim: &Claim, intent: WriteIntent, write: &Write) -> Result<Round, WorkspaceError> {
        let Claim { path, write: id } = claim;
        let text = write.content.as_str().as_bytes();
        // Staged before it is stored: a pending row then always has a complete text beside the document.
        if let Err(error) = self.ports.files.stage(path, id, text.to_vec()).await {
            self.recover_now(claim, None).await;
            return Err(error.into());
        }
        let (tag, previous) = (write.content.tag().clone(), intent.previous.clone());
        let pending = PendingWrite { write: id.clone(), tag, previous };
        // From here on the write may have taken place, and only recovery may say that it has not.
        if !self.ports.store.begin(path, intent).await? {
            self.ports.files.discard(path, id, Some(text)).await?;
            return Err(lost_claim().into());
        }
        match self.install(claim, &pending, &write.precondition).await {
            Ok(Outcome::Installed) => {
                self.conclude(claim, &pending, Some(WriteOutcome::Committed)).await?;
                self.prune(path).await;
                Ok(Round::Written)
            }
            Ok(Outcome::Changed) => {
                self.conclude(claim, &pending, Some(WriteOutcome::Aborted)).await?;
                let current = self.read_path(path).await?.map(|document| document.tag);
                Err(WorkspaceError::Changed { name: write.name, current })
            }
            Ok(Outcome::Again) => {
                self.conclude(claim, &pending, Some(WriteOutcome::Aborted)).await?;
                Ok(Round::Again)
            }
            Err(error) => {
                self.recover_now(claim, Some(&pending)).await;
                Err(error.into())
            }
        }
    }

    async fn install(
        &self,
        claim: &Claim,
        pending: &PendingWrite,
        wanted: &Precondition,
    ) -> Result<Outcome, BackendError> {
        let mut mode = if pending.previous.is_some() { InstallMode::Exchange } else { InstallMode::Create };
        for _ in 0..INSTALL_ATTEMPTS {
            let installed = self.ports.files.install(&claim.path, &claim.write, mode.clone()).await?;
            mode = match (installed, mode) {
                (Installed::Done, _) => return Ok(Outcome::Installed),
                (Installed::Discarded, _) => return Err(lost_claim()),
                (Installed::MountPoint, _) => match &pending.previous {
                    Some(expected) => InstallMode::Overwrite { expected: expected.clone() },
                    // Mounted since the comparison: its text has not been read yet.
                    None => return Ok(Outcome::Again),
                },
                // What an overwrite finds must be compared and stored first: nothing comes out that could be stored
                // afterwards.
                (Installed::Conflict, InstallMode::Overwrite { .. }) => return Ok(Outcome::Again),
                (Installed::Conflict, _) if *wanted != Precondition::None => return Ok(Outcome::Changed),
                (Installed::Conflict, InstallMode::Create) => InstallMode::Exchange,
                (Installed::Conflict, InstallMode::Exchange) => InstallMode::Create,
            };
        }
        Err(unstable())
    }

    pub(super) async fn give_back(&self, claim: &Claim) {
        let given_back =
            self.ports.store.finish(&claim.path, &claim.write, WriteOutcome::Aborted, NextLook::Unchanged).await;
        if let Err(error) = given_back {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(path = %claim.path, error, "a document stays claimed until its lease runs out");
        }
    }

    /// Deletes expired versions. A failure is only logged: the next write tries again.
    async fn prune(&self, path: &DocumentPath) {
        let pruned = async {
            let versions = self.ports.versions.list(path, None).await?;
            let expired = expired(&versions, self.ports.clock.now());
            if expired.is_empty() { Ok(()) } else { self.ports.versions.forget(path, &expired).await }
        };
        if let Err(error) = pruned.await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(%path, error, "expired versions of a document were not deleted");
        }
    }
}

/// Result of step 5.
enum Outcome {
    Installed,
    /// The precondition no longer holds.
    Changed,
    /// The document must be compared again.
    Again,
}

/// Error of a writer that was suspended so long that another one took over its claim and discarded its text.
pub(super) fn lost_claim() -> BackendError {
    BackendError::unavailable(Backend::Workspace, "the claim of the document ran out")
}

fn unstable() -> BackendError {
    BackendError::unavailable(Backend::Workspace, "the file keeps changing under the write")
}

/// Effect of a write on the versions.
#[derive(Debug, Clone, PartialEq, Eq)]
struct VersionChange {
    /// Set if no version has the text before.
    store_previous: bool,
    /// Version of the same burst that the new text replaces.
    replaces: Option<String>,
    /// Time of the burst's first write.
    burst_since: DateTime<Utc>,
}

/// Decides the effect that a write of `session` at `now` over the text `previous` has on the versions. A burst ends when
/// anybody else writes, so no text of another is ever taken for an unfinished one.
fn plan_versions(state: &DocumentState, previous: Option<&Tag>, session: &str, now: DateTime<Utc>) -> VersionChange {
    let own = state.last.as_ref().filter(|last| previous == Some(&last.tag));
    // Counted from the first write, so that saving every minute for hours still leaves a version every ten minutes.
    let continued = |last: &&LastWrite| last.session == session && now < last.burst_since + MERGE_WINDOW;
    let burst = own.filter(continued);
    VersionChange {
        // A text of the writer's own is a version already; one that the agent reverted to may be the newest.
        store_previous: previous.is_some() && own.is_none() && state.newest.as_ref() != previous,
        replaces: burst.map(|last| last.version.clone()),
        burst_since: burst.map_or(now, |last| last.burst_since),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use portal_core::FriendId;

    use super::{MERGE_WINDOW, VersionChange, plan_versions};
    use crate::{DocumentState, LastWrite, Tag};

    fn minute(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
    }

    /// A document that session `s1` of alice wrote last, at minute 0.
    fn written(text: &str) -> DocumentState {
        let last = LastWrite {
            version: "v1".to_owned(),
            tag: Tag::of(text.as_bytes()),
            friend: FriendId::parse("alice").unwrap(),
            session: "s1".to_owned(),
            burst_since: minute(0),
        };
        DocumentState { newest: Some(last.tag.clone()), last: Some(last), ..DocumentState::default() }
    }

    #[track_caller]
    fn check_change(
        state: &DocumentState,
        previous: Option<&str>,
        session: &str,
        now: DateTime<Utc>,
        expected: (bool, Option<&str>),
    ) {
        let VersionChange { store_previous, replaces, burst_since } =
            plan_versions(state, previous.map(|text| Tag::of(text.as_bytes())).as_ref(), session, now);
        assert_eq!((store_previous, replaces.as_deref()), expected);
        assert_eq!(burst_since, if replaces.is_some() { minute(0) } else { now });
    }

    #[test]
    fn writes_of_one_session_within_ten_minutes_of_the_first_are_one_version() {
        check_change(&written("a"), Some("a"), "s1", minute(9), (false, Some("v1")));
        check_change(&written("a"), Some("a"), "s1", minute(0) + MERGE_WINDOW, (false, None));
        check_change(&written("a"), Some("a"), "s2", minute(1), (false, None));
    }

    #[test]
    fn the_text_before_is_stored_unless_a_version_holds_it() {
        check_change(&written("a"), Some("the agent's"), "s1", minute(1), (true, None));
        check_change(&DocumentState::default(), Some("the agent's"), "s1", minute(1), (true, None));
        check_change(&DocumentState::default(), None, "s1", minute(1), (false, None));
        let found = DocumentState { newest: Some(Tag::of(b"the agent's")), ..written("a") };
        check_change(&found, Some("the agent's"), "s1", minute(1), (false, None));
    }
}
