//! Signatures of webhooks, for the configuration, which names no adapters itself.

pub(crate) use portal_adapters::webhook::{Signature, SigningKey};
