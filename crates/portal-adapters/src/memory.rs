//! Adapters that hold everything in memory and fulfil the same contracts as the real ones: for tests, examples and the
//! demo.

mod agents;
mod audit;
mod cluster;
mod contacts;
mod documents;
mod exposures;
mod files;
mod friends;
mod friendships;
mod jobs;
mod people;
mod records;
mod rows;
mod sessions;

pub use agents::MemoryAgents;
pub use audit::MemoryAuditLog;
pub use cluster::{Loaded, ManifestError, MemoryCluster};
pub use contacts::MemoryContacts;
pub use documents::MemoryDocuments;
pub use exposures::MemoryExposures;
pub use files::MemoryFiles;
pub use friends::MemoryFriends;
pub use friendships::MemoryFriendships;
pub use jobs::MemoryJobs;
pub use people::MemoryPeople;
pub use records::{MemoryRecords, ZoneCall, ZoneRecord};
pub use sessions::MemorySessions;
