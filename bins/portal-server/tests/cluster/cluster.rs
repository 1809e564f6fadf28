//! Tests of the tier `cluster`.

mod checking;
mod claims;
mod disorder;
mod domains;
mod exposing;
mod outage;
mod provisioning;
mod resolving;
mod resync;
mod shipped;
