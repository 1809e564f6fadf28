//! What the tier `cluster` runs.

mod checking;
mod disorder;
mod exposing;
mod outage;
mod provisioning;
mod resync;
mod shipped;
