//! The id of the request that the current task serves.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;

tokio::task_local! {
    static REQUEST_ID: Rc<str>;
}

/// Runs `work`, during which [`current`] returns `id`.
pub(crate) fn scope<F: Future>(id: Rc<str>, work: F) -> impl Future<Output = F::Output> {
    REQUEST_ID.scope(id, work)
}

/// Returns the id of the current request; `None` outside of the portal's scope.
pub(crate) fn current() -> Option<Rc<str>> {
    REQUEST_ID.try_with(Rc::clone).ok()
}

/// Makes up an id for a request outside of the portal's scope, so that its problem document and its line in the log can
/// be brought together.
pub(crate) fn made_up() -> String {
    // Random keys of the standard library: an id of a request has to be unlike others, not secret.
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}
