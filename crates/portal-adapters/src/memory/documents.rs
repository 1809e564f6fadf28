//! The rows beside the documents, in memory.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use portal_core::{BackendError, Clock, FriendId};
use portal_workspace::{
    Author, Begin, DocumentPath, DocumentStore, Ended, Held, LastWrite, NewVersion, Pending, Tag, Version, VersionStore,
};

use super::MemoryPeople;
use super::people::Register;

/// The rows beside the documents, in the register that the memory stores share.
#[derive(Clone)]
pub struct MemoryDocuments {
    people: MemoryPeople,
    clock: Arc<dyn Clock>,
}

/// What is kept of one document.
#[derive(Default)]
pub(super) struct KeptDocument {
    lease: Option<Lease>,
    pending: Option<Begin>,
    versions: Vec<KeptText>,
}

impl Register {
    /// The document, if `write` holds it.
    fn document_of(&mut self, path: &DocumentPath, write: &str) -> Option<&mut KeptDocument> {
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

struct Lease {
    write: String,
    until: DateTime<Utc>,
}

struct KeptText {
    version: NewVersion,
    burst: Option<(String, DateTime<Utc>)>,
}

impl MemoryDocuments {
    /// The stores in this register, with leases on the time of `clock`.
    #[must_use]
    pub fn new(people: &MemoryPeople, clock: Arc<dyn Clock>) -> Self {
        Self { people: people.clone(), clock }
    }
}

impl KeptDocument {
    fn is_held_by(&self, write: &str) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.write == write)
    }

    fn held(&self) -> Held {
        let pending = self.pending.as_ref().map(|begin| Pending {
            write: begin.text.id.clone(),
            tag: Tag::of(&begin.text.bytes),
            previous: begin.previous.clone(),
        });
        let newest = self.versions.last().map(|kept| Tag::of(&kept.version.bytes));
        Held { taken_over: self.lease.is_some(), pending, last: self.last(), newest }
    }

    fn last(&self) -> Option<LastWrite> {
        self.versions.iter().rev().find_map(|KeptText { version, burst }| match (&version.author, burst) {
            (Author::Friend(friend), Some((session, burst_since))) => Some(LastWrite {
                version: version.id.clone(),
                tag: Tag::of(&version.bytes),
                friend: friend.clone(),
                session: session.clone(),
                burst_since: *burst_since,
            }),
            _ => None,
        })
    }

    fn end_pending(&mut self, ended: Ended) {
        let Some(Begin { text, session, burst_since, replaces, .. }) = self.pending.take() else { return };
        if let (Ended::Written, Some(replaced)) = (ended, &replaces) {
            self.versions.retain(|kept| kept.version.id != *replaced);
        }
        if ended != Ended::NotWritten {
            self.versions.push(KeptText { version: text, burst: Some((session, burst_since)) });
        }
    }

    fn keep(&mut self, version: NewVersion) {
        if self.versions.last().is_none_or(|newest| newest.version.bytes != version.bytes) {
            self.versions.push(KeptText { version, burst: None });
        }
    }
}

#[async_trait]
impl DocumentStore for MemoryDocuments {
    async fn claim(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<Option<Held>, BackendError> {
        let now = self.clock.now();
        self.people.transaction(|register| {
            let document = register.documents.entry(path.clone()).or_default();
            if document.lease.as_ref().is_some_and(|lease| now < lease.until) {
                return None;
            }
            let held = document.held();
            document.lease = Some(Lease { write: write.to_owned(), until: now + lease });
            Some(held)
        })
    }

    async fn renew(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<bool, BackendError> {
        let until = self.clock.now() + lease;
        self.people.transaction(|register| {
            let Some(document) = register.document_of(path, write) else { return false };
            document.lease = Some(Lease { write: write.to_owned(), until });
            true
        })
    }

    async fn begin(&self, path: &DocumentPath, mut begin: Begin) -> Result<bool, BackendError> {
        self.people.transaction(|register| {
            let audit = begin.audit.clone();
            let Some(document) = register.document_of(path, &begin.text.id) else { return false };
            if let Some(before) = begin.keep.take() {
                document.keep(before);
            }
            document.pending = Some(begin);
            register.record(audit);
            true
        })
    }

    async fn keep(&self, path: &DocumentPath, found: NewVersion) -> Result<(), BackendError> {
        self.people.transaction(|register| register.documents.entry(path.clone()).or_default().keep(found))
    }

    async fn end(&self, path: &DocumentPath, write: &str, ended: Ended) -> Result<bool, BackendError> {
        self.people.transaction(|register| {
            let Some(document) = register.document_of(path, write) else { return false };
            document.lease = None;
            document.end_pending(ended);
            true
        })
    }

    async fn abandoned(&self) -> Result<Vec<DocumentPath>, BackendError> {
        let now = self.clock.now();
        let is_over = |document: &KeptDocument| document.lease.as_ref().is_some_and(|lease| lease.until <= now);
        self.people.transaction(|register| {
            let abandoned = register.documents.iter().filter(|(_, document)| is_over(document));
            abandoned.map(|(path, _)| path.clone()).collect()
        })
    }
}

#[async_trait]
impl VersionStore for MemoryDocuments {
    async fn list(&self, path: &DocumentPath, friend: Option<&FriendId>) -> Result<Vec<Version>, BackendError> {
        self.people.transaction(|register| {
            let texts = register.documents.get(path).into_iter().flat_map(|document| document.versions.iter().rev());
            texts.map(|text| stamp(&text.version)).filter(|version| is_of(version, friend)).collect()
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
            let version = stamp(&text.version);
            is_of(&version, friend).then(|| (version, text.version.bytes.clone()))
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

fn stamp(version: &NewVersion) -> Version {
    Version {
        id: version.id.clone(),
        saved_at: version.saved_at,
        author: version.author.clone(),
        bytes: u64::try_from(version.bytes.len()).unwrap_or(u64::MAX),
    }
}

fn is_of(version: &Version, friend: Option<&FriendId>) -> bool {
    friend.is_none_or(|friend| version.author == Author::Friend(friend.clone()))
}
