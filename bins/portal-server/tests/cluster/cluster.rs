//! What the tier `cluster` runs.

mod disorder;
mod exposing;
mod outage;
mod provisioning;
