//! Signatures of webhooks and the key of a gateway's device, for the configuration, which names no adapters itself.

pub use portal_adapters::openclaw::DeviceKey;
pub(crate) use portal_adapters::webhook::{Signature, SigningKey};
