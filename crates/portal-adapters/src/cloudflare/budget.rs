//! Budget of API calls, and the order of those who wait for one.
//!
//! Cloudflare allows 1200 calls in five minutes per token and then refuses everything for as long. The budget keeps
//! below that: it counts every call of the last five minutes, serves friends before background work, and serves
//! waiting friends in turn, so that nobody waits behind somebody else's whole queue.

mod window;

use std::collections::VecDeque;

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use portal_core::FriendId;
use portal_dns::Priority;
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::window::Window;

/// Calls in five minutes that all replicas together may make: what Cloudflare allows, less a margin for people at
/// its dashboard and for clocks that differ.
const CALLS: usize = 1100;
/// Time that a friend's call waits for its turn before it is refused.
const FRIEND_WAIT: Duration = Duration::from_secs(3);
/// Time that a background call waits for its turn before it is refused.
const BACKGROUND_WAIT: Duration = Duration::from_secs(5);

/// The budget is spent for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the budget of cloudflare api calls is spent for another {} s", retry_after.as_secs())]
pub(crate) struct Spent {
    /// Time until a call of this priority could be made again.
    pub(crate) retry_after: Duration,
}

/// The calls of one API token, shared by all zones that it serves.
pub(crate) struct Budget(Mutex<State>);

struct State {
    window: Window,
    /// No call is made before this instant, because Cloudflare said so.
    paused_until: Option<Instant>,
    /// Waiting friends, the next one in front.
    friends: VecDeque<(FriendId, VecDeque<oneshot::Sender<()>>)>,
    background: VecDeque<oneshot::Sender<()>>,
}

impl Budget {
    /// Makes the share of one of `replicas` replicas in the budget of a token.
    pub(crate) fn shared_by(replicas: u16) -> Self {
        Self::of(CALLS / usize::from(replicas.max(1)))
    }

    fn of(calls: usize) -> Self {
        let window = Window::new(calls.max(1));
        let (friends, background) = (VecDeque::new(), VecDeque::new());
        Self(Mutex::new(State { window, paused_until: None, friends, background }))
    }

    /// Waits for the caller's turn and takes one call from the budget.
    ///
    /// # Errors
    /// [`Spent`], at once, if the turn cannot come within the caller's waiting time.
    pub(crate) async fn take(&self, priority: &Priority) -> Result<(), Spent> {
        let wait = match priority {
            Priority::Friend(_) => FRIEND_WAIT,
            Priority::Background => BACKGROUND_WAIT,
        };
        let deadline = Instant::now() + wait;
        let mut turn = self.state().enqueue(priority);
        loop {
            let now = Instant::now();
            let opens_at = {
                let mut state = self.state();
                state.hand_out(now);
                state.opens_at(priority, now)
            };
            if turn.try_recv().is_ok() {
                return Ok(());
            }
            // Refused at once instead of waiting in vain; the caller tells when to come again.
            if opens_at > deadline {
                return Err(Spent { retry_after: opens_at - now });
            }
            tokio::select! {
                biased;
                _ = &mut turn => return Ok(()),
                () = tokio::time::sleep_until(opens_at) => {}
            }
        }
    }

    /// Stops all calls for `pause`: Cloudflare refused a call for want of quota, or said that none is left.
    pub(crate) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.state();
        state.paused_until = Some(state.paused_until.map_or(until, |before| before.max(until)));
    }

    /// Returns the number of calls that could be made now; none during a pause.
    pub(crate) fn left(&self) -> usize {
        let now = Instant::now();
        let mut state = self.state();
        if state.is_paused(now) { 0 } else { state.window.left(now) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    fn enqueue(&mut self, priority: &Priority) -> oneshot::Receiver<()> {
        let (sender, turn) = oneshot::channel();
        match priority {
            Priority::Background => self.background.push_back(sender),
            Priority::Friend(friend) => match self.friends.iter_mut().find(|(waiting, _)| waiting == friend) {
                Some((_, calls)) => calls.push_back(sender),
                None => self.friends.push_back((friend.clone(), VecDeque::from([sender]))),
            },
        }
        turn
    }

    fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| until > now)
    }

    /// Grants every call that may be made now: friends in turn, background work only when no friend waits.
    fn hand_out(&mut self, now: Instant) {
        self.drop_cancelled();
        if self.is_paused(now) {
            return;
        }
        while let Some(next) = self.friends.iter().position(|(friend, _)| self.window.admits(Some(friend), now)) {
            self.grant_friend(next, now);
        }
        // A waiting friend's call is made before any in the background.
        while self.friends.is_empty() && self.window.admits(None, now) {
            let Some(sender) = self.background.pop_front() else { return };
            if sender.send(()).is_ok() {
                self.window.spend(None, now);
            }
        }
    }

    fn grant_friend(&mut self, index: usize, now: Instant) {
        let Some((friend, mut calls)) = self.friends.remove(index) else { return };
        if calls.pop_front().is_some_and(|sender| sender.send(()).is_ok()) {
            self.window.spend(Some(&friend), now);
        }
        // To the end of the line: friends take turns call by call.
        if !calls.is_empty() {
            self.friends.push_back((friend, calls));
        }
    }

    /// Drops those who stopped waiting: requests that were cancelled or refused.
    fn drop_cancelled(&mut self) {
        self.background.retain(|sender| !sender.is_closed());
        for (_, calls) in &mut self.friends {
            calls.retain(|sender| !sender.is_closed());
        }
        self.friends.retain(|(_, calls)| !calls.is_empty());
    }

    /// Returns the time of the next possible call of this priority, as far as is known; never in the past.
    fn opens_at(&self, priority: &Priority, now: Instant) -> Instant {
        let friend = match priority {
            Priority::Friend(friend) => Some(friend),
            Priority::Background => None,
        };
        let room = self.window.opens_at(friend, now);
        self.paused_until.map_or(room, |until| until.max(room))
    }
}

#[cfg(test)]
mod tests;
