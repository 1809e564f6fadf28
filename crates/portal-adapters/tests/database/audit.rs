//! A change and its line in the audit log: both, or neither.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use portal_adapters::RandomIds;
use portal_adapters::db::{Db, DbSettings};
use portal_core::{
    Action, Agent, AgentId, AgentStore, BackendError, Contact, ContactStore, Friend, FriendStore, Friendship,
    FriendshipStatus, FriendshipStore, Ids, SESSION_LIFETIME, Session, SessionState, SessionStore, Token,
};

use crate::postgres::Database;
use crate::registration::{by_root, friend_and_audit};

/// A friend with a contact, an agent and a session, and what is about to be changed.
struct Stores {
    friends: Arc<dyn FriendStore>,
    contacts: Arc<dyn ContactStore>,
    agents: Arc<dyn AgentStore>,
    friendships: Arc<dyn FriendshipStore>,
    sessions: Arc<dyn SessionStore>,
    alice: Friend,
    contact: Contact,
    friendship: Friendship,
    session: Session,
    token: Token,
}

impl Stores {
    async fn filled(settings: &DbSettings) -> Self {
        let db = Db::open(settings, tokio::runtime::Handle::current()).unwrap();
        db.migrate().await.unwrap();
        let (alice, audit) = friend_and_audit("alice");
        let created_at = alice.created_at;
        let agent = Agent { id: AgentId::parse("main").unwrap(), created_at };
        let friendship = Friendship {
            agent: agent.id.clone(),
            friend: alice.id.clone(),
            status: FriendshipStatus::Active,
            heartbeat_writable: Some(true),
            created_at,
        };
        let session = Session {
            id: RandomIds.id(),
            friend: alice.id.clone(),
            agent: agent.id.clone(),
            created_at,
            expires_at: created_at + SESSION_LIFETIME,
            origin: None,
        };
        let stores = Self {
            friends: db.friends(),
            contacts: db.contacts(),
            agents: db.agents(),
            friendships: db.friendships(),
            sessions: db.sessions(),
            contact: Contact::parse(alice.id.clone(), "signal", "+1").unwrap(),
            token: Token::presented(RandomIds.id()),
            alice,
            friendship,
            session,
        };
        let Self { friends, contacts, agents, friendships, sessions, alice, contact, friendship, session, token } =
            &stores;
        friends.create(alice.clone(), audit.clone()).await.unwrap();
        contacts.add(contact.clone(), audit.clone()).await.unwrap();
        agents.create(agent, token.hash(), audit.clone()).await.unwrap();
        friendships.set(friendship.clone(), audit.clone()).await.unwrap();
        sessions.issue(session.clone(), token.hash(), audit).await.unwrap();
        stores
    }

    /// Tries every change there is, each of which must fail.
    async fn try_everything(&self) {
        let (alice, agent) = (&self.alice.id, &self.friendship.agent);
        let (bob, _) = friend_and_audit("bob");
        let audit = || by_root(Action::FriendUpdate, alice);
        let token = Token::presented(RandomIds.id()).hash();
        let renamed = Friend { display_name: Some("Alice".to_owned()), ..self.alice.clone() };
        let other = Contact { address: "+2".to_owned(), ..self.contact.clone() };
        let new_agent = Agent { id: AgentId::parse("other").unwrap(), created_at: self.alice.created_at };
        let blocked = Friendship { status: FriendshipStatus::Blocked, ..self.friendship.clone() };
        let login = Session { id: RandomIds.id(), ..self.session.clone() };
        fails(&self.friends.create(bob, audit()).await);
        fails(&self.friends.update(renamed, audit()).await);
        fails(&self.friends.remove(alice, audit()).await);
        fails(&self.contacts.add(other, audit()).await);
        fails(&self.contacts.remove(&self.contact, audit()).await);
        fails(&self.agents.create(new_agent, token, audit()).await);
        fails(&self.agents.rotate(agent, token, audit()).await);
        fails(&self.agents.remove(agent, audit()).await);
        fails(&self.friendships.set(blocked, audit()).await);
        fails(&self.sessions.issue(login, token, audit()).await);
        fails(&self.sessions.revoke(alice, &self.session.id, audit()).await);
        fails(&self.sessions.revoke_all(alice, audit()).await);
    }

    async fn are_as_they_were(&self) {
        let Self { friendship, session, token, alice, contact, .. } = self;
        assert_eq!(self.friends.list().await.unwrap(), std::slice::from_ref(alice));
        assert_eq!(self.contacts.list(&alice.id).await.unwrap(), std::slice::from_ref(contact));
        assert_eq!(self.friendships.of_friend(&alice.id).await.unwrap(), std::slice::from_ref(friendship));
        let agents = self.agents.list().await.unwrap();
        assert_eq!(self.agents.find_by_token(&token.hash()).await.unwrap().as_slice(), agents);
        assert_eq!(self.sessions.list(&alice.id, alice.created_at).await.unwrap(), std::slice::from_ref(session));
        assert_eq!(self.sessions.find(token).await.unwrap().unwrap().state, SessionState::Valid);
    }
}

#[track_caller]
fn fails<T: std::fmt::Debug>(outcome: &Result<T, BackendError>) {
    assert!(outcome.is_err(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_change_whose_line_cannot_be_written_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portal.db").display().to_string();
    let stores = Stores::filled(&DbSettings::new(format!("sqlite:{path}"))).await;
    SqliteConnection::establish(&path).unwrap().batch_execute("drop table audit_log").unwrap();
    stores.try_everything().await;
    stores.are_as_they_were().await;
}

mod postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn on_postgres_a_change_whose_line_cannot_be_written_is_not_made() {
        use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
        let database = Database::create().await;
        let stores = Stores::filled(&DbSettings::new(database.url())).await;
        let mut other = AsyncPgConnection::establish(&database.url()).await.unwrap();
        other.batch_execute("drop table audit_log").await.unwrap();
        stores.try_everything().await;
        stores.are_as_they_were().await;
    }
}
