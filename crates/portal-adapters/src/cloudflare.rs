//! Records in zones at Cloudflare.
//!
//! A record is ours when its comment is our marker. Cloudflare cannot make a change depend on what stands there, so
//! every change of a record goes by the id of one that was just read with that marker, and a new address record is
//! looked at once more: should somebody else's have come in the same moment, ours goes again.

mod answer;
mod api;
mod budget;
mod endpoint;
mod records;
#[cfg(feature = "scripted-cloudflare")]
mod scripted;
mod wire;

pub use api::{CloudflareApi, CloudflareSettings};
pub use records::{CloudflareRecords, CloudflareZone, ZoneName};
#[cfg(feature = "scripted-cloudflare")]
pub use scripted::{Fault, SCRIPTED_TOKEN, ScriptedCloudflare, SeenCall};
