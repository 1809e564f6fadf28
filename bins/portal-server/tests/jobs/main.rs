//! Scheduled messages of configured servers that are stopped and replaced, over a database that outlives them.

mod fixture;
mod receiver;
mod replica;
mod stopping;
