//! Upkeep of maps in memory whose entries are dropped when nobody used them for a while.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Size from which a map is worth looking through for old entries. It is twice what the last look left, so that looking
/// through all of them costs a constant per new entry, however many stay.
#[derive(Debug)]
pub struct PruneThreshold {
    least: usize,
    at: AtomicUsize,
}

impl PruneThreshold {
    /// Creates the threshold of a map that is never looked through below `least` entries.
    #[must_use]
    pub const fn new(least: usize) -> Self {
        Self { least, at: AtomicUsize::new(least) }
    }

    /// Returns true if a map of this size is to be pruned before an entry is added.
    pub fn is_reached(&self, len: usize) -> bool {
        // Relaxed: a stale threshold only moves the next look by an entry or two.
        len >= self.at.load(Ordering::Relaxed)
    }

    /// Sets the next threshold by the number of entries that stayed.
    pub fn pruned(&self, left: usize) {
        self.at.store(self.least.max(left.saturating_mul(2)), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::PruneThreshold;

    #[test]
    fn a_map_whose_entries_stay_is_looked_through_each_time_it_has_doubled() {
        let threshold = PruneThreshold::new(4);
        let looked = (0..100).filter(|len| {
            let is_reached = threshold.is_reached(*len);
            if is_reached {
                threshold.pruned(*len);
            }
            is_reached
        });
        assert_eq!(looked.collect::<Vec<_>>(), [4, 8, 16, 32, 64]);
        threshold.pruned(0);
        assert!(!threshold.is_reached(3) && threshold.is_reached(4));
    }
}
