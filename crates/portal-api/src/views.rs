//! Answers that combine several domains.

mod namespace;
mod namespace_cache;

pub use namespace_cache::NamespaceViews;
