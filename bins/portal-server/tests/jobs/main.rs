//! Scheduled messages of configured servers that are stopped and replaced, over a database that outlives them.

mod balancer;
mod database;
mod fixture;
mod receiver;
mod replica;
mod stopping;
