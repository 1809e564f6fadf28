//! Adapters that hold everything in memory and fulfil the same contracts as the real ones: for tests, examples and the
//! demo. Stores have none: `Db::in_memory` is a database in memory.

mod cluster;
mod files;
mod records;

pub use cluster::{Loaded, ManifestError, MemoryCluster};
pub use files::MemoryFiles;
pub use records::{MemoryRecords, ZoneCall, ZoneRecord};
