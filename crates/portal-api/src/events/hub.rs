//! The hub: the open streams of a replica, and what they were told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use portal_core::{FriendId, RecentChanges, Session, Topic};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::Instant;

use super::block;
use super::watched::Watched;
use super::{FAILING, WINDOW_MAX};
use crate::error::{ApiError, Exceeded};

/// Streams that a friend may have at a time.
const STREAMS_PER_FRIEND: usize = 4;
/// Polls without streams after which the log is no longer read.
const UNUSED_POLLS: u32 = 10;
/// Blocks that wait for a stream whose client is slow.
const QUEUE: usize = 32;
/// Pause that a friend with too many streams is told.
const TOO_MANY_PAUSE: std::time::Duration = std::time::Duration::from_secs(10);

/// Registration of a stream with the hub; dropping it removes the stream.
pub(super) struct Registration {
    hub: Arc<Mutex<Hub>>,
    friend: FriendId,
    id: u64,
}

impl Registration {
    /// Adds a stream of a session; returns where its blocks come from. `seen` is what its friend can see now.
    pub(super) fn new(
        hub: &Arc<Mutex<Hub>>,
        session: &Session,
        seen: Watched,
        watches_memory: bool,
    ) -> Result<(Self, Receiver<Bytes>), ApiError> {
        let (id, blocks) = hub.lock().add(session, seen, watches_memory)?;
        Ok((Self { hub: hub.clone(), friend: session.friend.clone(), id }, blocks))
    }

    /// Returns the time of the last read of the log; `None` after the streams were ended.
    pub(super) fn read_at(&self) -> Option<DateTime<Utc>> {
        self.hub.lock().read_at()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.hub.lock().remove(&self.friend, self.id);
    }
}

/// The open streams, by friend.
#[derive(Default)]
pub(super) struct Hub {
    friends: HashMap<FriendId, FriendStreams>,
    next: u64,
    /// Position in the log; `None` while nobody listens, and nothing is read.
    position: Option<Position>,
    failing_since: Option<Instant>,
    /// Polls since the last stream ended.
    unused_polls: u32,
    is_closed: bool,
}

struct Position {
    read_at: DateTime<Utc>,
    /// Numbers of the changes that the last read found.
    seen: HashSet<i64>,
    /// Sessions that ended among these changes.
    ended_sessions: HashSet<String>,
}

#[derive(Default)]
struct FriendStreams {
    streams: Vec<Open>,
    watched: Watched,
}

struct Open {
    id: u64,
    session: String,
    watches_memory: bool,
    blocks: Sender<Bytes>,
}

impl Hub {
    /// Returns true if there is no stream, and so nothing to read. After a while the position is forgotten: not at once,
    /// since a stream may be about to begin there.
    pub(super) fn sleep_if_unused(&mut self) -> bool {
        if !self.friends.is_empty() {
            self.unused_polls = 0;
            return false;
        }
        self.unused_polls = self.unused_polls.saturating_add(1);
        if self.unused_polls >= UNUSED_POLLS {
            (self.position, self.failing_since) = (None, None);
        }
        true
    }

    /// Returns the time of the last read of the log, for a stream that is about to begin there; `None` if nothing is read.
    pub(super) fn awake(&mut self) -> Option<DateTime<Utc>> {
        self.unused_polls = 0;
        self.read_at()
    }

    /// Begins after the changes that the log holds; returns the time at which it was read.
    pub(super) fn wake(&mut self, recent: &RecentChanges) -> DateTime<Utc> {
        self.unused_polls = 0;
        self.position = Some(Position::after(recent));
        recent.read_at
    }

    /// Returns true if the friend has as many streams as they may.
    pub(super) fn is_full(&self, friend: &FriendId) -> bool {
        self.friends.get(friend).is_some_and(|friend| friend.streams.len() >= STREAMS_PER_FRIEND)
    }

    /// Sends a comment to the friend's streams.
    pub(super) fn probe(&mut self, friend: &FriendId) {
        if let Some(streams) = self.friends.get_mut(friend) {
            streams.streams.retain(|stream| stream.blocks.try_send(Bytes::from_static(b":\n\n")).is_ok());
        }
    }

    /// Returns the friends with streams, and what was last seen of each.
    pub(super) fn friends(&self) -> Vec<(FriendId, Watched)> {
        self.friends.iter().map(|(friend, streams)| (friend.clone(), streams.watched.clone())).collect()
    }

    /// Adds a stream of a session; `seen` is what its friend can see now.
    fn add(
        &mut self,
        session: &Session,
        seen: Watched,
        watches_memory: bool,
    ) -> Result<(u64, Receiver<Bytes>), ApiError> {
        let Some(position) = self.position.as_ref().filter(|_| !self.is_closed) else {
            return Err(ApiError::not_ready());
        };
        // A session is cached for a second. If its end was told already, nothing would end this stream. Not a 401: a
        // friendship that was blocked and is active again has the same session.
        if position.ended_sessions.contains(&session.id) {
            return Err(ApiError::not_ready());
        }
        if self.is_full(&session.friend) {
            let quota = u32::try_from(STREAMS_PER_FRIEND).unwrap_or(u32::MAX);
            return Err(Exceeded { policy: "event-streams", quota, window: None, retry_after: TOO_MANY_PAUSE }.into());
        }
        let friend = self.friends.entry(session.friend.clone()).or_default();
        friend.watched.add(seen);
        self.next += 1;
        let (blocks, receiver) = mpsc::channel(QUEUE);
        friend.streams.push(Open { id: self.next, session: session.id.clone(), watches_memory, blocks });
        self.count();
        Ok((self.next, receiver))
    }

    /// Forgets a stream that has ended.
    fn remove(&mut self, friend: &FriendId, id: u64) {
        if let Some(streams) = self.friends.get_mut(friend) {
            streams.streams.retain(|stream| stream.id != id);
            if streams.streams.is_empty() {
                self.friends.remove(friend);
            }
            self.count();
        }
    }

    /// Time of the last read of the log.
    pub(super) fn read_at(&self) -> Option<DateTime<Utc>> {
        self.position.as_ref().map(|position| position.read_at)
    }

    /// Tells the streams what is new among these changes.
    pub(super) fn tell(&mut self, recent: RecentChanges) {
        self.failing_since = None;
        let known = self.position.replace(Position::after(&recent));
        let RecentChanges { read_at, changes } = recent;
        if changes.len() >= WINDOW_MAX as usize {
            self.friends.values_mut().for_each(|friend| friend.send(block::RESET, read_at));
            return;
        }
        for change in changes {
            let is_known = known.as_ref().is_some_and(|known| known.seen.contains(&change.id));
            if let Some(friend) = self.friends.get_mut(&change.friend).filter(|_| !is_known) {
                friend.send(&block::event(&change), read_at);
                if change.topic == Topic::SessionEnded {
                    friend.streams.retain(|stream| stream.session != change.subject);
                }
            }
        }
    }

    /// Tells a friend's streams how this differs from what was seen before.
    pub(super) fn compare(&mut self, friend: &FriendId, seen: Watched) {
        let Some(read_at) = self.read_at() else { return };
        let Some(streams) = self.friends.get_mut(friend) else { return };
        for (block, is_of_memory) in streams.watched.differences(&seen) {
            if is_of_memory {
                streams.send_to(&block, read_at, |stream| stream.watches_memory);
            } else {
                streams.send(&block, read_at);
            }
        }
        streams.watched.replace(seen);
    }

    /// Notes that the log could not be read; the streams end when that lasts.
    pub(super) fn failed(&mut self) {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= FAILING {
            self.end_all();
            // Whoever comes back now has the log read first, and is told that it cannot be.
            self.position = None;
        }
    }

    /// Ends all streams for good.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.end_all();
    }

    /// Ends all streams. Their clients come back at times of their own, not all at once.
    fn end_all(&mut self) {
        for friend in self.friends.values() {
            for stream in &friend.streams {
                // A full queue ends without it: the client then waits as long as it likes.
                stream.blocks.try_send(block::retry().into()).ok();
            }
        }
        self.friends.clear();
        self.count();
    }

    fn count(&self) {
        let streams: usize = self.friends.values().map(|friend| friend.streams.len()).sum();
        metrics::gauge!("portal_event_streams").set(f64::from(u32::try_from(streams).unwrap_or(u32::MAX)));
    }
}

impl Position {
    fn after(recent: &RecentChanges) -> Self {
        let seen = recent.changes.iter().map(|change| change.id).collect();
        let ended = recent.changes.iter().filter(|change| change.topic == Topic::SessionEnded);
        Self { read_at: recent.read_at, seen, ended_sessions: ended.map(|change| change.subject.clone()).collect() }
    }
}

impl FriendStreams {
    fn send(&mut self, block: &str, read_at: DateTime<Utc>) {
        self.send_to(block, read_at, |_| true);
    }

    /// Queues a block for these streams; one whose queue is full is cut off.
    fn send_to(&mut self, block: &str, read_at: DateTime<Utc>, wanted: impl Fn(&Open) -> bool) {
        let block = Bytes::from(block::with_id(read_at, block));
        self.streams.retain(|stream| !wanted(stream) || stream.blocks.try_send(block.clone()).is_ok());
    }
}
