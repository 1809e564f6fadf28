//! Sizes of the pages that a gateway can send of its jobs.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// Jobs in one page, the most that gateways give.
const PAGE: usize = 200;
/// Time for which a smaller size is used at a place.
const SIZE_LIFETIME: Duration = Duration::from_hours(1);

/// Sizes of pages at places in a gateway's list where full ones were too large.
#[derive(Default)]
pub(super) struct PageSizes {
    sizes: HashMap<usize, (usize, Instant)>,
    /// Places of jobs that are too large alone, in the list of this snapshot.
    pub(super) left_out: Option<(Value, Vec<usize>)>,
}

impl PageSizes {
    /// Returns the number of jobs that fit into a page that begins there, as far as is known.
    pub(super) fn size_at(&self, offset: usize) -> usize {
        let known = self.sizes.get(&offset).filter(|(_, since)| since.elapsed() < SIZE_LIFETIME);
        known.map_or(PAGE, |(size, _)| *size)
    }

    /// Returns the snapshot in which the job at this place is too large.
    pub(super) fn leaves_out(&self, offset: usize) -> Option<Value> {
        let (snapshot, offsets) = self.left_out.as_ref()?;
        offsets.contains(&offset).then(|| snapshot.clone())
    }

    /// Notes how many jobs a page may have that begins there.
    pub(super) fn set(&mut self, offset: usize, size: usize) {
        self.sizes.insert(offset, (size, Instant::now()));
    }
}
