use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use super::{SESSION_LIFETIME, Session, SessionError, SessionState, SessionStore, Sessions, StoredSession};
use crate::{
    AgentId, AuditEntry, Backend, BackendError, Clock, FixedClock, Friend, FriendId, FriendshipStatus, SeededIds,
    Token, TokenHash,
};

/// A store with one session in it, that counts how often it is asked and can be out of reach.
struct OneSession {
    stored: StoredSession,
    asked: AtomicUsize,
    down: AtomicBool,
    extended: Mutex<Vec<DateTime<Utc>>>,
}

#[async_trait]
impl SessionStore for OneSession {
    async fn issue(&self, _: Session, _: TokenHash, _: AuditEntry) -> Result<bool, BackendError> {
        Ok(false)
    }

    /// Knows every token but `absent` and guesses, whose lookups do not end.
    async fn find(&self, token: &Token) -> Result<Option<StoredSession>, BackendError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if token.reveal().starts_with("guess") {
            return std::future::pending().await;
        }
        if token.reveal() == "absent" {
            return Ok(None);
        }
        if self.down.load(Ordering::SeqCst) {
            return Err(BackendError::unavailable(Backend::Database, "gone"));
        }
        Ok(Some(self.stored.clone()))
    }

    async fn extend(&self, _: &str, expires_at: DateTime<Utc>) -> Result<(), BackendError> {
        self.extended.lock().push(expires_at);
        Ok(())
    }

    async fn list(&self, _: &FriendId, _: DateTime<Utc>) -> Result<Vec<Session>, BackendError> {
        Ok(Vec::new())
    }

    async fn revoke(&self, _: &FriendId, _: &str, _: AuditEntry) -> Result<bool, BackendError> {
        Ok(true)
    }

    async fn revoke_all(&self, _: &FriendId, _: AuditEntry) -> Result<u64, BackendError> {
        Ok(1)
    }

    async fn sweep(&self, _: DateTime<Utc>) -> Result<u64, BackendError> {
        Ok(0)
    }
}

struct Fixture {
    store: Arc<OneSession>,
    clock: Arc<FixedClock>,
    sessions: Sessions,
}

fn fixture(state: SessionState, friendship: Option<FriendshipStatus>) -> Fixture {
    let created_at = DateTime::UNIX_EPOCH;
    let session = Session {
        id: "one".to_owned(),
        friend: FriendId::parse("alice").unwrap(),
        agent: AgentId::parse("main").unwrap(),
        created_at,
        expires_at: created_at + SESSION_LIFETIME,
        origin: None,
    };
    let friend = Friend::new(session.friend.clone(), created_at);
    let stored = StoredSession { session, state, friendship, friend };
    let store = Arc::new(OneSession {
        stored,
        asked: AtomicUsize::new(0),
        down: AtomicBool::new(false),
        extended: Mutex::default(),
    });
    let clock = Arc::new(FixedClock::new(created_at));
    let sessions = Sessions::new(store.clone(), clock.clone(), Arc::new(SeededIds::from_seed(1)));
    Fixture { store, clock, sessions }
}

async fn is_refused(fixture: &Fixture) -> bool {
    matches!(fixture.sessions.check(&Token::presented("t")).await, Err(SessionError::Invalid))
}

#[tokio::test]
async fn only_a_valid_session_of_an_active_friendship_is_let_in() {
    use FriendshipStatus::{Active, Blocked, Inactive};
    assert!(!is_refused(&fixture(SessionState::Valid, Some(Active))).await);
    for (state, friendship) in [
        (SessionState::Revoked, Some(Active)),
        (SessionState::Valid, Some(Inactive)),
        (SessionState::Valid, Some(Blocked)),
        (SessionState::Valid, None),
    ] {
        assert!(is_refused(&fixture(state, friendship)).await, "{state:?} {friendship:?}");
    }
}

#[tokio::test]
async fn a_session_ends_with_its_thirtieth_day_even_while_its_answer_is_remembered() {
    let fixture = fixture(SessionState::Valid, Some(FriendshipStatus::Active));
    assert!(!is_refused(&fixture).await);
    fixture.clock.set(DateTime::UNIX_EPOCH + SESSION_LIFETIME - TimeDelta::milliseconds(1));
    assert!(!is_refused(&fixture).await);
    fixture.clock.advance(Duration::from_millis(1));
    assert!(is_refused(&fixture).await);
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_refuses_nobody() {
    let fixture = fixture(SessionState::Valid, Some(FriendshipStatus::Active));
    fixture.store.down.store(true, Ordering::SeqCst);
    let answer = fixture.sessions.check(&Token::presented("t")).await;
    assert!(matches!(answer, Err(SessionError::Unchecked(_))), "{answer:?}");
    fixture.store.down.store(false, Ordering::SeqCst);
    assert!(fixture.sessions.check(&Token::presented("t")).await.is_ok(), "a failure is not cached");
}

#[tokio::test]
async fn many_requests_at_once_ask_the_store_once() {
    let fixture = fixture(SessionState::Valid, Some(FriendshipStatus::Active));
    let token = Token::presented("t");
    let answers = futures::future::join_all((0..8).map(|_| Box::pin(fixture.sessions.check(&token)))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(fixture.store.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_this_replica_revoked_is_asked_for_again_at_once() {
    let fixture = fixture(SessionState::Valid, Some(FriendshipStatus::Active));
    let token = Token::presented("t");
    fixture.sessions.check(&token).await.unwrap();
    let alice = FriendId::parse("alice").unwrap();
    fixture.sessions.revoke(&alice, "one", crate::Actor::Friend(alice.clone())).await.unwrap();
    fixture.sessions.check(&token).await.unwrap();
    assert_eq!(fixture.store.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_session_lives_thirty_days_from_its_last_use_and_at_most_180_days() {
    let fixture = fixture(SessionState::Valid, Some(FriendshipStatus::Active));
    let start = fixture.clock.now();
    let day = Duration::from_hours(24);
    let session = &fixture.store.stored.session;
    for (days, expected) in [(0, None), (1, Some(31)), (29, Some(59)), (170, Some(180))] {
        let extended = session.extension(start + TimeDelta::days(days));
        assert_eq!(extended, expected.map(|days| start + TimeDelta::days(days)), "after {days} days");
    }
    fixture.sessions.check(&Token::presented("t")).await.unwrap();
    assert!(fixture.store.extended.lock().is_empty(), "a day is not over yet");
    fixture.clock.advance(day);
    fixture.sessions.check(&Token::presented("u")).await.unwrap();
    assert_eq!(*fixture.store.extended.lock(), [start + TimeDelta::days(31)]);
}

#[tokio::test]
async fn a_token_that_the_store_does_not_know_is_refused_for_a_while_without_asking() {
    let fixture = fixture(SessionState::Valid, Some(FriendshipStatus::Active));
    for _ in 0..3 {
        let refused = fixture.sessions.check(&Token::presented("absent")).await;
        assert!(matches!(refused, Err(SessionError::Invalid)), "{refused:?}");
        // A revocation empties the cache of sessions.
        let alice = FriendId::parse("alice").unwrap();
        fixture.sessions.revoke(&alice, "one", crate::Actor::Friend(alice.clone())).await.unwrap();
    }
    assert_eq!(fixture.store.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn lookups_of_unknown_tokens_take_nothing_from_known_ones() {
    let fixture = Arc::new(fixture(SessionState::Valid, Some(FriendshipStatus::Active)));
    let known = Token::presented("t");
    fixture.sessions.check(&known).await.unwrap();
    let guess = |number| {
        let fixture = fixture.clone();
        tokio::spawn(async move { fixture.sessions.check(&Token::presented(format!("guess-{number}"))).await })
    };
    let guesses: Vec<_> = (0..100).map(guess).collect();
    while fixture.store.asked.load(Ordering::SeqCst) < 1 + 16 {
        tokio::task::yield_now().await;
    }
    let alice = FriendId::parse("alice").unwrap();
    fixture.sessions.revoke(&alice, "one", crate::Actor::Friend(alice.clone())).await.unwrap();
    assert!(fixture.sessions.check(&known).await.is_ok(), "it is looked up again while the guesses wait");
    assert_eq!(fixture.store.asked.load(Ordering::SeqCst), 1 + 16 + 1);
    guesses.iter().for_each(tokio::task::JoinHandle::abort);
}
