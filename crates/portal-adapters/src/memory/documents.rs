//! The rows beside the documents, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use portal_core::{BackendError, Clock, FriendId};
use portal_workspace::{
    Author, DocumentPath, DocumentState, DocumentStore, LastWrite, LatestVersion, NewVersion, NextLook, PendingWrite,
    Tag, Version, VersionStore, WriteIntent, WriteOutcome,
};

use super::MemoryPeople;
use super::people::Register;
use super::rows::{DocumentLease, StoredDocument, StoredText};

/// The rows beside the documents, in the register that the memory stores share.
#[derive(Clone)]
pub struct MemoryDocuments {
    people: MemoryPeople,
    clock: Arc<dyn Clock>,
}

impl Register {
    /// Returns the document, if `write` holds it.
    fn document_of(&mut self, path: &DocumentPath, write: &str) -> Option<&mut StoredDocument> {
        self.documents.get_mut(path).filter(|document| document.is_held_by(write))
    }

    /// Forgets a friend's documents, and what they wrote into shared ones.
    pub(super) fn forget_documents_of(&mut self, friend: &FriendId) {
        self.documents.retain(|path, _| path.friend() != Some(friend));
        for document in self.documents.values_mut() {
            document.versions.retain(|text| text.version.author != Author::Friend(friend.clone()));
            document.pending.take_if(|begin| begin.text.author == Author::Friend(friend.clone()));
        }
    }
}

impl MemoryDocuments {
    /// The stores in this register, with leases on the time of `clock`.
    #[must_use]
    pub fn new(people: &MemoryPeople, clock: Arc<dyn Clock>) -> Self {
        Self { people: people.clone(), clock }
    }
}

impl StoredDocument {
    fn is_held_by(&self, write: &str) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.write == write)
    }

    fn state(&self) -> DocumentState {
        let pending = self.pending.as_ref().map(|begin| PendingWrite {
            write: begin.text.id.clone(),
            tag: begin.text.tag.clone(),
            previous: begin.previous.clone(),
        });
        let newest = self.versions.last().map(|stored| stored.version.tag.clone());
        DocumentState { taken_over: self.lease.is_some(), pending, last: self.last(), newest }
    }

    fn last(&self) -> Option<LastWrite> {
        self.versions.iter().rev().find_map(|StoredText { version, burst }| match (&version.author, burst) {
            (Author::Friend(friend), Some((session, burst_since))) => Some(LastWrite {
                version: version.id.clone(),
                tag: version.tag.clone(),
                friend: friend.clone(),
                session: session.clone(),
                burst_since: *burst_since,
            }),
            _ => None,
        })
    }

    fn finish_pending(&mut self, outcome: WriteOutcome) {
        let Some(WriteIntent { text, session, burst_since, replaces, .. }) = self.pending.take() else { return };
        if let (WriteOutcome::Committed, Some(replaced)) = (outcome, &replaces) {
            self.versions.retain(|stored| stored.version.id != *replaced);
        }
        if outcome != WriteOutcome::Aborted {
            self.versions.push(StoredText { version: text, burst: Some((session, burst_since)) });
        }
    }

    fn store_version(&mut self, version: NewVersion) {
        if self.versions.last().is_none_or(|newest| newest.version.bytes != version.bytes) {
            self.versions.push(StoredText { version, burst: None });
        }
    }
}

#[async_trait]
impl DocumentStore for MemoryDocuments {
    async fn claim(
        &self,
        path: &DocumentPath,
        write: &str,
        lease: TimeDelta,
    ) -> Result<Option<DocumentState>, BackendError> {
        let now = self.clock.now();
        self.people.transaction(|register| {
            let document = register.documents.entry(path.clone()).or_default();
            if document.lease.as_ref().is_some_and(|lease| now < lease.until) {
                return None;
            }
            let state = document.state();
            document.lease = Some(DocumentLease { write: write.to_owned(), until: now + lease });
            Some(state)
        })
    }

    async fn renew(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<bool, BackendError> {
        let until = self.clock.now() + lease;
        self.people.transaction(|register| {
            let Some(document) = register.document_of(path, write) else { return false };
            document.lease = Some(DocumentLease { write: write.to_owned(), until });
            true
        })
    }

    async fn begin(&self, path: &DocumentPath, mut begin: WriteIntent) -> Result<bool, BackendError> {
        self.people.transaction(|register| {
            let audit = begin.audit.clone();
            let Some(document) = register.document_of(path, &begin.text.id) else { return false };
            if let Some(before) = begin.earlier.take() {
                document.store_version(before);
            }
            document.pending = Some(begin);
            register.record(audit);
            true
        })
    }

    async fn add_version(&self, path: &DocumentPath, found: NewVersion) -> Result<(), BackendError> {
        self.people.transaction(|register| register.documents.entry(path.clone()).or_default().store_version(found))
    }

    async fn finish(
        &self,
        path: &DocumentPath,
        write: &str,
        outcome: WriteOutcome,
        next_look: NextLook,
    ) -> Result<bool, BackendError> {
        let now = self.clock.now();
        self.people.transaction(|register| {
            let Some(document) = register.document_of(path, write) else { return false };
            document.lease = None;
            document.look_at = match next_look {
                NextLook::Unchanged => document.look_at,
                NextLook::Within(time) => Some(document.look_at.map_or(now + time, |at| at.min(now + time))),
                NextLook::After(time) => Some(now + time),
                NextLook::Never => None,
            };
            document.finish_pending(outcome);
            true
        })
    }

    async fn unfinished(&self, at_start: bool) -> Result<Vec<DocumentPath>, BackendError> {
        let now = self.clock.now();
        let is_due = |document: &StoredDocument| {
            let is_over = document.lease.as_ref().is_some_and(|lease| lease.until <= now);
            is_over || document.look_at.is_some_and(|at| at_start || at <= now)
        };
        self.people.transaction(|register| {
            let abandoned = register.documents.iter().filter(|(_, document)| is_due(document));
            abandoned.map(|(path, _)| path.clone()).collect()
        })
    }
}

#[async_trait]
impl VersionStore for MemoryDocuments {
    async fn list(&self, path: &DocumentPath, friend: Option<&FriendId>) -> Result<Vec<Version>, BackendError> {
        self.people.transaction(|register| {
            let texts = register.documents.get(path).into_iter().flat_map(|document| document.versions.iter().rev());
            texts.map(|text| metadata(&text.version)).filter(|version| is_of(version, friend)).collect()
        })
    }

    async fn find(
        &self,
        path: &DocumentPath,
        friend: Option<&FriendId>,
        id: &str,
    ) -> Result<Option<(Version, Vec<u8>)>, BackendError> {
        self.people.transaction(|register| {
            let text = register.documents.get(path)?.versions.iter().find(|text| text.version.id == id)?;
            let version = metadata(&text.version);
            is_of(&version, friend).then(|| (version, text.version.bytes.clone()))
        })
    }

    async fn find_by_tag(&self, path: &DocumentPath, tag: &Tag) -> Result<Option<Vec<u8>>, BackendError> {
        self.people.transaction(|register| {
            let text = register.documents.get(path)?.versions.iter().find(|text| text.version.tag == *tag)?;
            Some(text.version.bytes.clone())
        })
    }

    async fn latest(&self, paths: &[DocumentPath]) -> Result<Vec<Option<LatestVersion>>, BackendError> {
        self.people.transaction(|register| {
            let newest = |path| register.documents.get(path).and_then(|document| document.versions.last());
            let latest = |text: &StoredText| LatestVersion {
                tag: text.version.tag.clone(),
                author: text.version.author.clone(),
            };
            paths.iter().map(|path| newest(path).map(latest)).collect()
        })
    }

    async fn forget(&self, path: &DocumentPath, ids: &[String]) -> Result<(), BackendError> {
        self.people.transaction(|register| {
            if let Some(document) = register.documents.get_mut(path) {
                document.versions.retain(|text| !ids.contains(&text.version.id));
            }
        })
    }
}

fn metadata(version: &NewVersion) -> Version {
    Version {
        id: version.id.clone(),
        saved_at: version.saved_at,
        author: version.author.clone(),
        tag: version.tag.clone(),
        bytes: u64::try_from(version.bytes.len()).unwrap_or(u64::MAX),
    }
}

fn is_of(version: &Version, friend: Option<&FriendId>) -> bool {
    friend.is_none_or(|friend| version.author == Author::Friend(friend.clone()))
}
