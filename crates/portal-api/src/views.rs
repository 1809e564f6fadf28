//! Views that combine several domains for a reader.

mod namespace;
mod namespace_views;

pub use namespace_views::NamespaceViews;
