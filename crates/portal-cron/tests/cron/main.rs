//! The use cases and the runner, over the stores in memory.

mod jobs;
mod runner;
mod world;
