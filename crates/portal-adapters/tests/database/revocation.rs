//! Who is let in when several portals share a database: what one of them revoked, the others refuse a second later;
//! and a database that cannot be asked makes nobody a stranger.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portal_adapters::db::{Db, DbSettings};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{
    Action, Actor, Agent, AgentId, Friend, Friendship, FriendshipStatus, Ids, IssuedSession, SessionError, Sessions,
    Token,
};

use crate::registration::{by_root, friend_and_audit};

/// Cache lifetime of a session look-up.
const CACHE_LIFETIME: Duration = Duration::from_secs(1);

/// Two portals on one file, and alice's session, which the second one has just let in.
struct Portals {
    folder: tempfile::TempDir,
    first: Sessions,
    second: Sessions,
    db: Db,
    alice: Friend,
    agent: AgentId,
    issued: IssuedSession,
}

fn sessions(db: &Db) -> Sessions {
    Sessions::new(db.sessions(), Arc::new(SystemClock), Arc::new(RandomIds))
}

impl Portals {
    async fn with_alice_let_in() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = DbSettings::new(format!("sqlite:{}", folder.path().join("portal.db").display()));
        let [db, other] = [(); 2].map(|()| Db::open(&settings, tokio::runtime::Handle::current()).unwrap());
        db.migrate().await.unwrap();
        let (alice, audit) = friend_and_audit("alice");
        let agent = AgentId::parse("main").unwrap();
        db.friends().create(alice.clone(), audit.clone()).await.unwrap();
        let known = Agent { id: agent.clone(), created_at: alice.created_at };
        db.agents().create(known, Token::presented(RandomIds.id()).hash(), audit).await.unwrap();
        befriend(&db, &alice, &agent, FriendshipStatus::Active).await;
        let (first, second) = (sessions(&db), sessions(&other));
        let by = Actor::Operator("root".to_owned());
        let issued = first.issue(alice.id.clone(), agent.clone(), by).await.unwrap().unwrap();
        second.check(&issued.token).await.unwrap();
        Self { folder, first, second, db, alice, agent, issued }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("portal.db")
    }

    /// The second portal refuses alice once its cached look-up is a second old.
    async fn is_refused_in_time(&self) {
        tokio::time::sleep(CACHE_LIFETIME).await;
        let answer = self.second.check(&self.issued.token).await;
        assert!(matches!(answer, Err(SessionError::Invalid)), "{answer:?}");
    }
}

async fn befriend(db: &Db, alice: &Friend, agent: &AgentId, status: FriendshipStatus) {
    let friendship = Friendship {
        agent: agent.clone(),
        friend: alice.id.clone(),
        status,
        heartbeat_writable: Some(true),
        created_at: alice.created_at,
    };
    let audit = by_root(Action::FriendshipSet, &alice.id);
    assert!(db.friendships().set(friendship, audit).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_revoked_by_one_portal_is_refused_by_the_other_a_second_later() {
    let portals = Portals::with_alice_let_in().await;
    let (alice, by) = (&portals.alice.id, Actor::Operator("root".to_owned()));
    assert!(portals.first.revoke(alice, &portals.issued.session.id, by).await.unwrap());
    let at_once = portals.first.check(&portals.issued.token).await;
    assert!(matches!(at_once, Err(SessionError::Invalid)), "{at_once:?}");
    portals.is_refused_in_time().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_friend_who_is_blocked_is_refused_a_second_later_and_let_in_again_afterwards() {
    let portals = Portals::with_alice_let_in().await;
    for (status, let_in) in
        [(FriendshipStatus::Blocked, false), (FriendshipStatus::Active, true), (FriendshipStatus::Inactive, false)]
    {
        befriend(&portals.db, &portals.alice, &portals.agent, status).await;
        tokio::time::sleep(CACHE_LIFETIME).await;
        assert_eq!(portals.second.check(&portals.issued.token).await.is_ok(), let_in, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_friend_who_was_removed_is_refused_a_second_later() {
    let portals = Portals::with_alice_let_in().await;
    let audit = by_root(Action::FriendRemove, &portals.alice.id);
    portals.db.friends().remove(&portals.alice.id, audit).await.unwrap();
    portals.is_refused_in_time().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_removed_opens_no_door_a_second_later() {
    let portals = Portals::with_alice_let_in().await;
    let audit = by_root(Action::AgentRemove, &portals.alice.id);
    assert!(portals.db.agents().remove(&portals.agent, audit).await.unwrap());
    portals.is_refused_in_time().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_a_portal_calls_nobody_a_stranger() {
    let portals = Portals::with_alice_let_in().await;
    let away = portals.folder.path().join("away.db");
    std::fs::rename(portals.file(), &away).unwrap();
    tokio::time::sleep(CACHE_LIFETIME).await;
    for token in [&portals.issued.token, &Token::presented("fps_unknown")] {
        let answer = portals.second.check(token).await;
        assert!(matches!(answer, Err(SessionError::Unchecked(_))), "{answer:?}");
    }
    std::fs::rename(&away, portals.file()).unwrap();
    assert!(portals.second.check(&portals.issued.token).await.is_ok());
    let stranger = portals.second.check(&Token::presented("fps_unknown")).await;
    assert!(matches!(stranger, Err(SessionError::Invalid)), "{stranger:?}");
}
