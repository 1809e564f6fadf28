//! Test equipment for the portal and for anyone who implements one of its ports: fixtures, the contract of each port as
//! a suite of tests, and ports that fail on purpose.
//!
//! It knows the domain crates and no adapter: a fixture is built by the crate that has the implementation. It is a
//! development dependency only, and everything in it panics where a premise of a test fails. Start reading at
//! [`contract`]; `docs/development.md` says how to run a suite for an implementation of your own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends where its premise fails")]
#![expect(clippy::missing_panics_doc, reason = "every function panics where a premise of its test fails")]

pub mod contract;
mod faults;
mod fixture;
mod intercepted;
mod outage;

pub use contract::engines::EngineFixture;
pub use contract::remote::RemoteFixture;
pub use faults::{Fault, Faults};
pub use fixture::{
    ClusterEditor, ClusterFixture, DeliveryFixture, DeliveryReceiver, FilesFixture, Fixture, NamespaceEditor,
    NamespaceFixture, ProbeFixture, ProbedBackend, ProvisioningEditor, ProvisioningFixture, ReachFixture, ReachedApp,
    ReceivedMessage, ReceiverMode, ScopedGateway, ScopesFixture, Stores, ZoneEditor, ZoneFixture,
};
pub use intercepted::{Call, Effect, Intercepted, Interceptor};
pub use outage::Outage;
