//! Tests of the tier `cluster`.

mod checking;
mod disorder;
mod domains;
mod exposing;
mod outage;
mod provisioning;
mod resolving;
mod resync;
mod shipped;
