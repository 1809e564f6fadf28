//! Ports that fail, or let an agent write, at a chosen call.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use portal_core::{Backend, BackendError, FriendshipKey};
use portal_workspace::{
    Begin, DocumentFiles, DocumentPath, DocumentPorts, DocumentStore, Ended, Entry, Held, NewVersion, Place, Placed,
    Staged,
};

/// What happens at the chosen call.
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

/// What somebody else does meanwhile.
type Interference = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The script of one run: all calls of all ports are counted together.
pub(crate) struct Script {
    calls: AtomicUsize,
    at: usize,
    fault: Option<Fault>,
    interference: Interference,
    dead: AtomicBool,
}

impl Script {
    /// At call `at`, counted from 0, first `interference` and then `fault`.
    pub(crate) fn new<F: Future<Output = ()> + Send + 'static>(
        at: usize,
        fault: Option<Fault>,
        interference: impl Fn() -> F + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (calls, dead) = (AtomicUsize::new(0), AtomicBool::new(false));
        let interference: Interference = Box::new(move || Box::pin(interference()));
        Arc::new(Self { calls, at, fault, interference, dead })
    }

    /// Whether the chosen call was reached.
    pub(crate) fn was_reached(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > self.at
    }

    async fn call<T>(&self, effect: impl Future<Output = Result<T, BackendError>> + Send) -> Result<T, BackendError> {
        let failed = || BackendError::unavailable(Backend::Workspace, "scripted");
        let now = self.calls.fetch_add(1, Ordering::SeqCst) == self.at;
        if self.dead.load(Ordering::SeqCst) {
            return Err(failed());
        }
        if !now {
            return effect.await;
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

    async fn stage(&self, path: &DocumentPath, write: &str, bytes: Vec<u8>) -> Result<(), BackendError> {
        self.script.call(self.inner.files.stage(path, write, bytes)).await
    }

    async fn place(&self, path: &DocumentPath, write: &str, how: Place) -> Result<Placed, BackendError> {
        self.script.call(self.inner.files.place(path, write, how)).await
    }

    async fn staged(&self, path: &DocumentPath) -> Result<Vec<Staged>, BackendError> {
        self.script.call(self.inner.files.staged(path)).await
    }

    async fn discard(&self, path: &DocumentPath, write: &str, bytes: Option<&[u8]>) -> Result<bool, BackendError> {
        self.script.call(self.inner.files.discard(path, write, bytes)).await
    }

    async fn count_logs(&self, key: &FriendshipKey) -> Result<u64, BackendError> {
        self.script.call(self.inner.files.count_logs(key)).await
    }
}

#[async_trait]
impl DocumentStore for Scripted {
    async fn claim(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<Option<Held>, BackendError> {
        self.script.call(self.inner.store.claim(path, write, lease)).await
    }

    async fn renew(&self, path: &DocumentPath, write: &str, lease: TimeDelta) -> Result<bool, BackendError> {
        self.script.call(self.inner.store.renew(path, write, lease)).await
    }

    async fn begin(&self, path: &DocumentPath, begin: Begin) -> Result<bool, BackendError> {
        self.script.call(self.inner.store.begin(path, begin)).await
    }

    async fn keep(&self, path: &DocumentPath, found: NewVersion) -> Result<(), BackendError> {
        self.script.call(self.inner.store.keep(path, found)).await
    }

    async fn end(&self, path: &DocumentPath, write: &str, ended: Ended) -> Result<bool, BackendError> {
        self.script.call(self.inner.store.end(path, write, ended)).await
    }

    async fn abandoned(&self) -> Result<Vec<DocumentPath>, BackendError> {
        self.script.call(self.inner.store.abandoned()).await
    }
}
