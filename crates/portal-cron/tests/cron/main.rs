//! The use cases and the runner, over the stores in memory.

mod answers;
mod fixture;
mod jobs;
mod release;
mod runner;
