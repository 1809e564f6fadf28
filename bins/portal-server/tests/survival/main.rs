//! The configured server as processes that are killed, put to sleep and raced, over a database, a zone and a cluster
//! that outlive them: whatever a friend was told stays true, and nothing else is touched.
//!
//! The cluster is the API server of the tier `cluster`; the zone is the scripted Cloudflare in this process. How many
//! deeds are interrupted by kills, and which ones, is `TEST_SURVIVAL_DEEDS` (40) and `TEST_SURVIVAL_SEED` (1).

#![expect(clippy::indexing_slicing, reason = "a test ends where its premise fails")]

mod cluster;
mod compare;
mod fixture;
mod people;
mod process;
