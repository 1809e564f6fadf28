//! Login codes, as the use case of portal-core makes and exchanges them.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use portal_core::{
    Action, Actor, AgentId, AuditFilter, ChannelId, Contact, FriendshipKey, FriendshipStatus, LINK_LIFETIME, Login,
    LoginLink, Logins, Origin, Recipient, SeededIds, SessionState, Token,
};

use crate::fixture::{Fixture, friend_id};

/// Alice's friendship with `main`, and the use case over the store.
struct Links {
    key: FriendshipKey,
    logins: Logins,
}

impl Links {
    async fn new(fixture: &Fixture) -> Self {
        let (friend, agent) = fixture.pair("alice", "main").await;
        let logins = Logins::new(fixture.logins.clone(), fixture.clock.clone(), Arc::new(SeededIds::from_seed(5)));
        Self { key: FriendshipKey::new(friend, agent), logins }
    }

    /// Has a link made by this agent.
    async fn made_by(&self, agent: &AgentId, recipient: Recipient) -> Option<LoginLink> {
        self.logins.create(recipient, agent, None, Actor::Agent(agent.clone())).await.unwrap()
    }

    /// A link for alice, made by her agent.
    async fn link(&self) -> LoginLink {
        self.made_by(&self.key.agent, Recipient::Friend(self.key.friend.clone())).await.unwrap()
    }

    async fn exchange(&self, code: &Token) -> Option<Login> {
        self.logins.exchange(code).await.unwrap()
    }
}

/// The audit entries about sessions, oldest first.
async fn audited(fixture: &Fixture) -> Vec<String> {
    let filter = AuditFilter { action: Some("session".to_owned()), limit: 100, ..AuditFilter::default() };
    let mut entries = fixture.audit.list(filter).await.unwrap();
    entries.reverse();
    assert!(entries.iter().all(|entry| entry.friend == Some(friend_id("alice"))), "{entries:?}");
    entries.into_iter().map(|entry| format!("{} {} {}", entry.actor, entry.action, entry.detail)).collect()
}

pub async fn a_code_is_exchanged_for_a_session_of_its_friend(fixture: &Fixture) {
    let links = Links::new(fixture).await;
    let (recipient, agent) = (Recipient::Friend(links.key.friend.clone()), &links.key.agent);
    let open = Some("/documents".to_owned());
    let link = links.logins.create(recipient, agent, open.clone(), Actor::Agent(agent.clone())).await.unwrap().unwrap();
    assert_eq!(link.friend, links.key.friend);
    fixture.clock.advance(Duration::from_secs(61));
    let login = links.exchange(&link.code).await.unwrap();
    let session = &login.issued.session;
    assert_eq!((session.key(), session.origin, login.open), (links.key.clone(), Some(Origin::Link), open));
    let stored = fixture.sessions.find(&login.issued.token).await.unwrap().unwrap();
    assert_eq!((&stored.session, stored.state), (session, SessionState::Valid));
    assert!(fixture.sessions.find(&link.code).await.unwrap().is_none(), "a code is no session token");
}

pub async fn of_many_exchanges_of_a_code_one_gets_a_session(fixture: &Fixture) {
    let links = Links::new(fixture).await;
    let link = links.link().await;
    let logins = join_all((0..8).map(|_| links.exchange(&link.code))).await;
    assert_eq!(logins.into_iter().flatten().count(), 1);
    assert!(links.exchange(&link.code).await.is_none());
    assert!(links.exchange(&Token::presented("fpl_unknown")).await.is_none());
    let entries = audited(fixture).await;
    let expected = ["agent:main session.link ", "friend:alice session.issue link of agent:main"];
    assert_eq!(entries, expected, "one entry for the link, one for the login, none for what was refused");
}

pub async fn the_entry_of_a_login_names_no_operator(fixture: &Fixture) {
    let links = Links::new(fixture).await;
    let (recipient, operator) = (Recipient::Friend(links.key.friend.clone()), Actor::Operator("olga".to_owned()));
    let link = links.logins.create(recipient, &links.key.agent, None, operator).await.unwrap().unwrap();
    let login = links.exchange(&link.code).await.unwrap();
    assert_eq!(login.issued.session.origin, Some(Origin::Operator));
    let expected = ["operator:olga session.link ", "friend:alice session.issue link of operator"];
    assert_eq!(audited(fixture).await, expected, "the friend reads the second one");
}

pub async fn an_address_stands_for_its_friend(fixture: &Fixture) {
    let links = Links::new(fixture).await;
    let contact = Contact::parse(friend_id("alice"), "slack", "U12AB").unwrap();
    fixture.contacts.add(contact.clone(), fixture.audit(Action::ContactAdd)).await.unwrap();
    let at = |channel: &str, address: &str| {
        let channel = ChannelId::parse(channel).unwrap();
        Recipient::Contact { channel, address: address.to_owned() }
    };
    let link = links.made_by(&links.key.agent, at("slack", &contact.address)).await.unwrap();
    assert_eq!(link.friend, links.key.friend);
    assert!(links.exchange(&link.code).await.is_some());
    for (channel, address) in [("slack", "u12"), ("signal", "u12ab"), ("slack", "%"), ("slack", "")] {
        assert!(links.made_by(&links.key.agent, at(channel, address)).await.is_none(), "{channel} {address}");
    }
}

pub async fn a_link_needs_an_active_friendship_with_its_agent(fixture: &Fixture) {
    let links = Links::new(fixture).await;
    let (other, bob) = (fixture.agent("other").await, fixture.friend("bob").await);
    fixture.befriend(&other, &bob, FriendshipStatus::Active).await;
    let alice = Recipient::Friend(links.key.friend.clone());
    assert!(links.made_by(&other, alice.clone()).await.is_none(), "another agent's friend");
    assert!(links.made_by(&links.key.agent, Recipient::Friend(bob)).await.is_none(), "a friend of another agent");
    assert!(links.made_by(&links.key.agent, Recipient::Friend(friend_id("nobody"))).await.is_none());
    for status in [FriendshipStatus::Inactive, FriendshipStatus::Blocked] {
        fixture.befriend(&links.key.agent, &links.key.friend, status).await;
        assert!(links.made_by(&links.key.agent, alice.clone()).await.is_none(), "{status}");
    }
    assert_eq!(audited(fixture).await, [""; 0], "what was refused leaves no entry");
}

pub async fn a_code_needs_the_friendship_until_it_is_exchanged(fixture: &Fixture) {
    let links = Links::new(fixture).await;
    for status in [FriendshipStatus::Inactive, FriendshipStatus::Blocked] {
        fixture.befriend(&links.key.agent, &links.key.friend, FriendshipStatus::Active).await;
        let link = links.link().await;
        fixture.befriend(&links.key.agent, &links.key.friend, status).await;
        assert!(links.exchange(&link.code).await.is_none(), "{status}");
    }
    fixture.befriend(&links.key.agent, &links.key.friend, FriendshipStatus::Active).await;
    let link = links.link().await;
    fixture.agents.remove(&links.key.agent, fixture.audit(Action::AgentRemove)).await.unwrap();
    assert!(links.exchange(&link.code).await.is_none(), "the agent is gone");
    assert_eq!(fixture.audited(Action::SessionIssue).await, 0);
}

pub async fn a_code_is_refused_from_its_end_on(fixture: &Fixture) {
    let links = Links::new(fixture).await;
    let (in_time, late) = (links.link().await, links.link().await);
    let nearly = LINK_LIFETIME - TimeDelta::milliseconds(1);
    fixture.clock.advance(nearly.to_std().unwrap());
    assert!(links.exchange(&in_time.code).await.is_some());
    fixture.clock.advance(Duration::from_millis(1));
    assert!(links.exchange(&late.code).await.is_none());
    assert_eq!(fixture.audited(Action::SessionIssue).await, 1);
}
