//! Ports that fail, or let an agent write, at a chosen call.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use portal_core::{Backend, BackendError, FriendshipKey};
use portal_workspace::{
    DisplacedFile, DocumentFiles, DocumentPath, DocumentPorts, DocumentState, DocumentStore, Entry, FileInfo,
    InstallMode, Installed, NewVersion, NextLook, ReadReceipt, StagedFile, Tag, WriteIntent, WriteOutcome,
};

/// Fault at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed before the call has its effect.
    KilledBefore,
    /// The process is killed after the effect, before the answer.
    KilledAfter,
    /// The call fails without an effect; the process lives on.
    Fails,
    /// The call has its effect and its answer is lost; the process lives on.
    AnswerLost,
}

impl Fault {
    pub(crate) const ALL: [Self; 4] = [Self::KilledBefore, Self::KilledAfter, Self::Fails, Self::AnswerLost];
}

/// Action of somebody else at that moment.
type Interference = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The script of one run: all calls of all ports are counted together.
pub(crate) struct Script {
    calls: AtomicUsize,
    at: usize,
    fault: Option<Fault>,
    interference: Interference,
    dead: AtomicBool,
    dies_after_failure: AtomicBool,
}

impl Script {
    /// At call `at`, counted from 0, first `interference` and then `fault`.
    pub(crate) fn new<F: Future<Output = ()> + Send + 'static>(
        at: usize,
        fault: Option<Fault>,
        interference: impl Fn() -> F + Send + Sync + 'static,
    ) -> Arc<Self> {
        let calls = AtomicUsize::new(0);
        let interference: Interference = Box::new(move || Box::pin(interference()));
        Arc::new(Self {
            calls,
            at,
            fault,
            interference,
            dead: AtomicBool::new(false),
            dies_after_failure: AtomicBool::new(false),
        })
    }

    /// Returns `true` if the chosen call was reached.
    pub(crate) fn was_reached(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > self.at
    }

    /// Kills the process when a port itself fails.
    pub(crate) fn die_after_failure(&self) {
        self.dies_after_failure.store(true, Ordering::SeqCst);
    }

    async fn call<T>(&self, effect: impl Future<Output = Result<T, BackendError>> + Send) -> Result<T, BackendError> {
        let failed = || BackendError::unavailable(Backend::Workspace, "scripted");
        let now = self.calls.fetch_add(1, Ordering::SeqCst) == self.at;
        if self.dead.load(Ordering::SeqCst) {
            return Err(failed());
        }
        if !now {
            let result = effect.await;
            let dies = result.is_err() && self.dies_after_failure.load(Ordering::SeqCst);
            self.dead.fetch_or(dies, Ordering::SeqCst);
            return result;
        }
        (self.interference)().await;
        self.dead.store(matches!(self.fault, Some(Fault::KilledBefore | Fault::KilledAfter)), Ordering::SeqCst);
        match self.fault {
            None => effect.await,
            Some(Fault::KilledBefore | Fault::Fails) => Err(failed()),
            Some(Fault::KilledAfter | Fault::AnswerLost) => {
                effect.await?;
                Err(failed())
            }
        }
    }
}

/// These ports, under a script.
pub(crate) fn scripted(ports: &DocumentPorts, script: &Arc<Script>) -> DocumentPorts {
    let (inner, script) = (ports.clone(), Arc::clone(script));
    let scripted = Arc::new(Scripted { inner, script });
    DocumentPorts { files: scripted.clone(), store: scripted, ..ports.clone() }
}

struct Scripted {
    inner: DocumentPorts,
    script: Arc<Script>,
}

#[async_trait]
impl DocumentFiles for Scripted {
    async fn read(&self, path: &DocumentPath) -> Result<Entry, BackendError> {
        self.script.call(self.inner.files.read(path)).await
    }

    async fn inspect(&self, path: &DocumentPath) -> Result<FileInfo, BackendError> {
        self.script.call(self.inner.files.inspect(path)).await
    }

    async fn stage(&self, path: &DocumentPath, write: &str, bytes: Vec<u8>) -> Result<(), BackendError> {
        self.script.call(self.inner.files.stage(path, write, bytes)).await
    }

    async fn install(&self, path: &DocumentPath, write: &str, mode: InstallMode) -> Result<Installed, BackendError> {
        self.script.call(self.inner.files.install(path, write, mode)).await
    }

    async fn staged(&self, path: &DocumentPath) -> Result<Vec<StagedFile>, BackendError> {
        self.script.call(self.inner.files.staged(path)).await
    }

    async fn discard(&self, path: &DocumentPath, write: &str, bytes: Option<&[u8]>) -> Result<bool, BackendError> {
        self.script.call(self.inner.files.discard(path, write, bytes)).await
    }

    async fn retain(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<(), BackendError> {
        self.script.call(self.inner.files.retain(path, file)).await
    }

    async fn displaced(&self, path: &DocumentPath) -> Result<Vec<DisplacedFile>, BackendError> {
        self.script.call(self.inner.files.displaced(path)).await
    }

    async fn read_displaced(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<Option<Vec<u8>>, BackendError> {
        self.script.call(self.inner.files.read_displaced(path, file)).await
    }

    async fn relabel(&self, path: &DocumentPath, file: &DisplacedFile, known: &Tag) -> Result<(), BackendError> {
        self.script.call(self.inner.files.relabel(path, file, known)).await
    }

    async fn release(&self, path: &DocumentPath, file: &DisplacedFile) -> Result<bool, BackendError> {
        self.script.call(self.inner.files.release(path, file)).await
    }

    async fn read_receipt(&self, key: &FriendshipKey) -> Result<Option<ReadReceipt>, BackendError> {
        self.script.call(self.inner.files.read_receipt(key)).await
    }

    async fn count_logs(&self, key: &FriendshipKey) -> Result<u64, BackendError> {
        self.script.call(self.inner.files.count_logs(key)).await
    }
}

#[async_trait]
impl DocumentStore for Scripted {
    async fn claim(
        &self,
        path: &DocumentPath,
        write: &str,
        lease: TimeDelta,
    ) -> Result<Option<DocumentState>, BackendError> {
        self.script.call(self.inner.store.claim(path, write, lease)).await
    }

    async fn renew(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<bool, BackendError> {
        self.script.call(self.inner.store.renew(path, write, lease)).await
    }

    async fn begin(&self, path: &DocumentPath, intent: WriteIntent) -> Result<bool, BackendError> {
        self.script.call(self.inner.store.begin(path, intent)).await
    }

    async fn add_version(&self, path: &DocumentPath, found: NewVersion) -> Result<(), BackendError> {
        self.script.call(self.inner.store.add_version(path, found)).await
    }

    async fn finish(
        &self,
        path: &DocumentPath,
        write: &str,
        outcome: WriteOutcome,
        next_look: NextLook,
    ) -> Result<bool, BackendError> {
        self.script.call(self.inner.store.finish(path, write, outcome, next_look)).await
    }

    async fn unfinished(&self, at_start: bool) -> Result<Vec<DocumentPath>, BackendError> {
        self.script.call(self.inner.store.unfinished(at_start)).await
    }
}
