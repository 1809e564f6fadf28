//! Jobs in a gateway: the engine against gateways in this process, version by version.

mod behind_our_back;
mod calls;
mod changes;
mod contract;
mod faults;
pub(crate) mod fixture;
mod large;
mod runs;
