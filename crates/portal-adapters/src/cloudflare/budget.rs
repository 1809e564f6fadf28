//! How many API calls may still be made, and who makes the next one.
//!
//! Cloudflare allows 1200 calls in five minutes per token and then refuses everything for as long. The budget keeps
//! below that: it counts every call of the last five minutes, lets people in before background work, and gives
//! waiting friends their turns one after another, so that nobody waits behind somebody else's whole queue.

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
/// How long a friend's call waits for its turn before it is refused.
const FRIEND_PATIENCE: Duration = Duration::from_secs(3);
/// How long a background call waits for its turn before it is refused.
const BACKGROUND_PATIENCE: Duration = Duration::from_secs(5);

/// No call may be made for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the budget of cloudflare api calls is spent for another {} s", retry_after.as_secs())]
pub(crate) struct Spent {
    /// When a call of this caller could be made again.
    pub(crate) retry_after: Duration,
}

/// The calls of one API token, shared by all zones that it serves.
pub(crate) struct Budget(Mutex<State>);

struct State {
    window: Window,
    /// Nobody calls before this instant, because Cloudflare said so.
    paused_until: Option<Instant>,
    /// Friends who wait, the one whose turn is next in front.
    friends: VecDeque<(FriendId, VecDeque<oneshot::Sender<()>>)>,
    background: VecDeque<oneshot::Sender<()>>,
}

impl Budget {
    /// The share of one of `replicas` replicas in the budget of a token.
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
    /// [`Spent`], at once, if the turn cannot come while the caller has patience.
    pub(crate) async fn take(&self, caller: &Priority) -> Result<(), Spent> {
        let patience = match caller {
            Priority::Friend(_) => FRIEND_PATIENCE,
            Priority::Background => BACKGROUND_PATIENCE,
        };
        let deadline = Instant::now() + patience;
        let mut turn = self.state().enqueue(caller);
        loop {
            let now = Instant::now();
            let opens_at = {
                let mut state = self.state();
                state.hand_out(now);
                state.opens_at(caller, now)
            };
            if turn.try_recv().is_ok() {
                return Ok(());
            }
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

    /// Lets nobody call for `pause`: Cloudflare refused a call for want of quota, or said that none is left.
    pub(crate) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.state();
        state.paused_until = Some(state.paused_until.map_or(until, |before| before.max(until)));
    }

    /// How many calls could be made right now; none during a pause.
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
    fn enqueue(&mut self, caller: &Priority) -> oneshot::Receiver<()> {
        let (sender, turn) = oneshot::channel();
        match caller {
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

    /// Gives out every call that may be made now, friends in turn, background work only when no friend waits.
    fn hand_out(&mut self, now: Instant) {
        self.forget_who_left();
        if self.is_paused(now) {
            return;
        }
        while let Some(next) = self.friends.iter().position(|(friend, _)| self.window.admits(Some(friend), now)) {
            self.grant_friend(next, now);
        }
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
        if !calls.is_empty() {
            self.friends.push_back((friend, calls));
        }
    }

    /// Drops those who stopped waiting: a request that was cancelled, or one that was refused.
    fn forget_who_left(&mut self) {
        self.background.retain(|sender| !sender.is_closed());
        for (_, calls) in &mut self.friends {
            calls.retain(|sender| !sender.is_closed());
        }
        self.friends.retain(|(_, calls)| !calls.is_empty());
    }

    /// When the next call of this caller may be made, as far as is known; never in the past.
    fn opens_at(&self, caller: &Priority, now: Instant) -> Instant {
        let friend = match caller {
            Priority::Friend(friend) => Some(friend),
            Priority::Background => None,
        };
        let room = self.window.opens_at(friend, now);
        self.paused_until.map_or(room, |until| until.max(room))
    }
}

#[cfg(test)]
mod tests;
