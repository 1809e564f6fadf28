//! Event streams: what a friend's pages are told while they are open.
//!
//! 1. A stream belongs to a session and is registered with the hub, one per replica. It begins with what it missed, if
//!    it names the event at which another one ended.
//! 2. [`Events::poll`], once a second, reads the newest part of the log of changes, which all replicas write. Changes can
//!    become visible out of order, so the last [`WINDOW`] is read again each time; what was told already is dropped.
//! 3. Namespaces, the answers of addresses and, where asked for, the agent's own edits of MEMORY.md are in no database.
//!    Each replica compares what it sees itself with what it saw a second before.
//! 4. A stream that takes nothing is cut off, and resumes when its client comes back. All of them end when the log
//!    cannot be read for [`FAILING`], and when the portal stops.
//!
//! An event says what changed and never how: whoever hears of it asks. So it does no harm that some come twice.

mod block;
mod hub;
mod stream;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use portal_core::{BackendError, CHANGE_RETENTION, ChangeLog, FriendId, Session};
use portal_dns::{Exposures, Reachability};
use portal_k8s::Cluster;
use portal_workspace::Documents;
use tokio::time::sleep;

use self::hub::{Hub, Registration};
pub(crate) use self::stream::EventStream;
use crate::error::ApiError;

/// Part of the log that is read again with each poll: longer than a transaction may take.
const WINDOW: Duration = Duration::from_secs(30);
/// Most changes that a poll reads. Beyond that all streams are told to look at everything.
const WINDOW_MAX: u32 = 50_000;
/// Most changes that a stream is told of when it resumes.
const RESUME_MAX: u32 = 1_000;
/// Times that a friend's streams are looked at after something was sent to them.
const PROBE_CHECKS: u32 = 10;
/// Pause before each look.
const PROBE_PAUSE: Duration = Duration::from_millis(50);
/// Time for which the log may fail before the streams end.
const FAILING: Duration = Duration::from_secs(5);

/// Sources of events.
#[derive(Clone)]
pub struct EventPorts {
    /// The log of changes.
    pub log: Arc<dyn ChangeLog>,
    /// The friends' namespaces.
    pub cluster: Arc<dyn Cluster>,
    /// Services on the internet.
    pub exposures: Exposures,
    /// Requests to the exposures' own addresses.
    pub reachability: Reachability,
    /// The agents' documents.
    pub documents: Documents,
}

/// The event streams of a replica. Clones are one.
#[derive(Clone)]
pub struct Events(Arc<Inner>);

struct Inner {
    ports: EventPorts,
    hub: Arc<Mutex<Hub>>,
    /// Held while the log is read, so that no poll takes a change for new that the first read has seen.
    reading: tokio::sync::Mutex<()>,
}

/// Options of a stream, as its client gives them.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    /// Id of the last event that the client received.
    pub(crate) last_event_id: Option<String>,
    /// Whether events tell of the agent's own edits of MEMORY.md too.
    pub(crate) watches_memory: bool,
}

impl Events {
    /// Creates a hub without streams.
    #[must_use]
    pub fn new(ports: EventPorts) -> Self {
        Self(Arc::new(Inner { ports, hub: Arc::default(), reading: tokio::sync::Mutex::default() }))
    }

    /// Tells the streams what changed; to be called once a second.
    ///
    /// # Errors
    /// A log that cannot be read.
    pub async fn poll(&self) -> Result<(), BackendError> {
        let Inner { ports, hub, reading } = &*self.0;
        let _reading = reading.lock().await;
        if hub.lock().sleep_if_unused() {
            return Ok(());
        }
        match ports.log.recent(WINDOW, WINDOW_MAX).await {
            Ok(recent) => hub.lock().tell(recent),
            Err(error) => {
                hub.lock().failed();
                return Err(error);
            }
        }
        let friends = hub.lock().friends();
        for (friend, known) in friends {
            // A database that went away since would let each friend in turn wait for it.
            let seen = watched::look(ports, &friend, &known).await?;
            hub.lock().compare(&friend, seen);
        }
        Ok(())
    }

    /// Ends all streams and refuses new ones: the portal is about to stop.
    pub fn close(&self) {
        self.0.hub.lock().close();
    }

    /// Opens a stream for a session.
    pub(crate) async fn subscribe(&self, session: &Session, wanted: Subscription) -> Result<EventStream, ApiError> {
        let Inner { ports, hub, reading } = &*self.0;
        let position = {
            let _reading = reading.lock().await;
            let known = hub.lock().awake();
            if let Some(position) = known {
                position
            } else {
                let recent = ports.log.recent(WINDOW, WINDOW_MAX).await?;
                hub.lock().wake(&recent)
            }
        };
        let seen = watched::first_look(ports, session, wanted.watches_memory).await?;
        self.make_room(&session.friend).await;
        // Registered before the log is read: what is written in between comes twice rather than never.
        let registered = Registration::new(hub, session, seen, wanted.watches_memory)?;
        let mut stream = EventStream::new(session, position, registered);
        let Some(last) = wanted.last_event_id else { return Ok(stream) };
        stream.begin_with(block::NAMESPACE);
        let missed = match resume_from(&last, position) {
            Some(at) => Some(ports.log.since(&session.friend, at, RESUME_MAX).await?),
            None => None,
        };
        match missed.filter(|missed| missed.len() < RESUME_MAX as usize) {
            Some(missed) => missed.iter().for_each(|change| stream.begin_with(&block::event(change))),
            None => stream.begin_with(block::RESET),
        }
        Ok(stream)
    }

    /// Lets the streams of closed pages end, if the friend has as many as they may. A page that is gone is only noticed
    /// when something is sent to it, and one that is reloaded would be refused until then.
    async fn make_room(&self, friend: &FriendId) {
        let hub = &self.0.hub;
        if !hub.lock().is_full(friend) {
            return;
        }
        hub.lock().probe(friend);
        for _ in 0..PROBE_CHECKS {
            sleep(PROBE_PAUSE).await;
            if !hub.lock().is_full(friend) {
                return;
            }
        }
    }
}

/// Returns the time from which on changes were missed; `None` if the log does not reach back so far.
fn resume_from(last_event_id: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let last = DateTime::from_timestamp_millis(last_event_id.trim().parse().ok()?)?;
    let window = TimeDelta::from_std(WINDOW).ok()?;
    let oldest = now - TimeDelta::from_std(CHANGE_RETENTION).ok()? + window;
    (oldest..=now + window).contains(&last).then(|| last - window)
}
