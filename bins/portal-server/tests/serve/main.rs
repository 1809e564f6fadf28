//! Configured servers over a database that outlives them: their scheduled messages when they are stopped and replaced,
//! and their event streams.

mod balancer;
mod database;
mod events;
mod fixture;
mod receiver;
mod replica;
mod stopping;
