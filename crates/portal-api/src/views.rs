//! What is put together for a reader from several domains.

mod kept;
mod namespace;

pub use kept::NamespaceViews;
