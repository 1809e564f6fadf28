//! The use cases and the runner, over a database in memory.

mod answers;
mod fixture;
mod jobs;
mod release;
mod runner;
