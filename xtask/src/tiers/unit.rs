//! The tests that need nothing but the toolchain, documentation examples among them.

use super::{Peers, Start, Tier, UNIT};

/// Always ready.
pub(super) const TIER: Tier = Tier { name: UNIT, start: |_| Ok(Start::Ready(Peers::default())) };
