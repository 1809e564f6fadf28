//! The configured portal as a process, on a real API server with the account and the rights that `deploy/base` gives
//! it, and behind a real Traefik. The domains are at a scripted Cloudflare or at a real BIND, and a hand-written
//! `EndpointSlice` takes the place of the kubelet: it leads to a backend that the test started.

#![expect(clippy::indexing_slicing, reason = "a member of an answer that is not there is null")]

mod api_server;
mod backend;
mod cluster;
mod configuration;
mod fixture;
mod kubectl;
mod name_server;
mod portal;
