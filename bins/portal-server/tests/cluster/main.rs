//! The configured portal as a process, on a real API server with the account and the rights that `deploy/base` gives
//! it, and behind a real Traefik. Only the DNS provider is scripted, and a hand-written `EndpointSlice` takes the
//! place of the kubelet: it leads to a backend that the test started.

#![expect(clippy::indexing_slicing, reason = "a member of an answer that is not there is null")]

mod api_server;
mod backend;
mod cluster;
mod kubectl;
mod portal;
mod world;
