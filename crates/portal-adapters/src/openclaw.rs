//! An agent's OpenClaw gateway: its hooks, which take messages, and its WebSocket, which answers calls.

use std::sync::Arc;

use portal_core::AgentId;

mod client;
mod connection;
mod conversations;
mod device;
mod engine;
mod frame;
mod heartbeat;
mod hook;
mod last_use;
mod page_sizes;
mod pages;
mod scopes;
mod settings;

#[cfg(test)]
mod scripted;

pub use client::{CallError, CallKind, GatewayClient};
pub use connection::Hello;
pub use conversations::{Conversations, DmScope};
pub use device::DeviceKey;
pub use engine::{ExportedJob, GatewayEngine, GatewayEnginePorts};
pub use frame::Refusal;
pub use heartbeat::GatewayFiles;
pub use hook::{HookDelivery, HookFinding, HookSettings};
pub use last_use::last_use;
pub use scopes::GatewayScopes;
pub use settings::GatewaySettings;

/// Finds the gateway of an agent; `None` for one whose gateway is not called.
pub type GatewayOf = Arc<dyn Fn(&AgentId) -> Option<Arc<GatewayClient>> + Send + Sync>;
