//! Connections counted by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use portal_api::network;

use crate::metrics;

/// Connections by address.
#[derive(Clone)]
pub(super) struct Addresses {
    limit: Option<u32>,
    pub(super) open: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Addresses {
    pub(super) fn new(limit: Option<u32>) -> Self {
        Self { limit, open: Arc::default() }
    }

    /// Counts a new connection; `None` if its address may have no more.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Admission> {
        let Some(limit) = self.limit else { return Some(Admission::new(None)) };
        let address = network(address);
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Admission::new(Some((self.clone(), address))))
    }
}

/// A connection's place in the counts of its address, until it is dropped.
pub(super) struct Admission {
    counted: Option<(Addresses, IpAddr)>,
}

impl Admission {
    fn new(counted: Option<(Addresses, IpAddr)>) -> Self {
        metrics::connection_opened();
        Self { counted }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        metrics::connection_ended();
        let Some((addresses, address)) = &self.counted else { return };
        let mut open = addresses.open.lock();
        if let Some(count) = open.get_mut(address) {
            *count -= 1;
            // Strangers choose the addresses, so none of them may stay behind.
            if *count == 0 {
                open.remove(address);
            }
        }
    }
}
