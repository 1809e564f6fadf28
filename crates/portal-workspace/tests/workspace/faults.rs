//! Ports that fail, or let an agent write, at a chosen call.

use std::sync::Arc;

use portal_testkit::{Fault, Faults, Intercepted};
use portal_workspace::{DocumentFiles, DocumentPorts, DocumentStore};

/// Faults of writes and recoveries. A call without an answer is left out: no port leaves one so.
pub(crate) const FAULTS: [Fault; 4] = [Fault::StopBefore, Fault::StopAfter, Fault::Error, Fault::LostAnswer];

/// These ports, with all their calls counted together.
pub(crate) fn faulty(ports: &DocumentPorts, faults: &Arc<Faults>) -> DocumentPorts {
    DocumentPorts {
        files: Intercepted::<dyn DocumentFiles>::new(ports.files.clone(), faults.clone()),
        store: Intercepted::<dyn DocumentStore>::new(ports.store.clone(), faults.clone()),
        ..ports.clone()
    }
}
