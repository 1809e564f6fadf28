//! Records in zones at Cloudflare.
//!
//! A record is ours if its comment is our marker. Cloudflare cannot make a change depend on what stands there, so
//! every change of a record goes by the id of one that was just read with that marker. A new address record is
//! reported as unverified: somebody else's can have come to the name in the same moment.

mod api;
mod budget;
mod endpoint;
mod json;
mod records;
mod response;
#[cfg(feature = "scripted-cloudflare")]
mod scripted;

pub use api::{CloudflareApi, CloudflareSettings};
pub use records::{CloudflareRecords, CloudflareZone, ZoneName};
#[cfg(feature = "scripted-cloudflare")]
pub use scripted::{Fault, SCRIPTED_TOKEN, ScriptedCloudflare, SeenCall};
