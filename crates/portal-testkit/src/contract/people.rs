//! Friends, contacts, agents, friendships, sessions and the audit log.

use std::time::Duration;

use chrono::TimeDelta;
use portal_core::{
    Action, Actor, Agent, AgentId, AuditFilter, ChannelId, Clock, Contact, ContactAdded, Friend, FriendCreated,
    FriendRemoved, Friendship, FriendshipKey, FriendshipStatus, SessionState,
};

use crate::fixture::{Fixture, friend_id};

fn contact(friend: &str, channel: &str, address: &str) -> Contact {
    Contact::parse(friend_id(friend), channel, address).unwrap()
}

fn alice(fixture: &Fixture) -> Friend {
    Friend {
        id: friend_id("alice"),
        display_name: Some("Alice Ä. \u{1f980}".to_owned()),
        preferred_channel: Some(ChannelId::parse("signal").unwrap()),
        time_zone: Some("Europe/Berlin".to_owned()),
        created_at: fixture.clock.now(),
    }
}

pub async fn a_friend_is_registered_once(fixture: &Fixture) {
    let friend = alice(fixture);
    let again = Friend { display_name: None, ..friend.clone() };
    for (friend, expected) in [(friend.clone(), FriendCreated::New), (again, FriendCreated::Exists)] {
        let created = fixture.friends.create(friend, fixture.audit(Action::FriendCreate)).await.unwrap();
        assert_eq!(created, expected);
    }
    assert_eq!(fixture.friends.find(&friend.id).await.unwrap(), Some(friend));
    assert_eq!(fixture.friends.find(&friend_id("bob")).await.unwrap(), None);
}

pub async fn friends_are_listed_by_id(fixture: &Fixture) {
    for id in ["b", "a-b", "ab", "a0", "a"] {
        fixture.friend(id).await;
    }
    let listed: Vec<String> =
        fixture.friends.list().await.unwrap().into_iter().map(|friend| friend.id.to_string()).collect();
    assert_eq!(listed, ["a", "a-b", "a0", "ab", "b"]);
}

pub async fn a_friend_is_changed_but_not_made_by_an_update(fixture: &Fixture) {
    let friend = alice(fixture);
    assert!(!fixture.friends.update(friend.clone(), fixture.audit(Action::FriendUpdate)).await.unwrap());
    assert_eq!(fixture.friends.find(&friend.id).await.unwrap(), None);

    fixture.friends.create(friend.clone(), fixture.audit(Action::FriendCreate)).await.unwrap();
    let bare = Friend { display_name: None, preferred_channel: None, time_zone: None, ..friend.clone() };
    fixture.clock.advance(Duration::from_secs(1));
    let later = Friend { created_at: fixture.clock.now(), ..bare.clone() };
    assert!(fixture.friends.update(later, fixture.audit(Action::FriendUpdate)).await.unwrap());
    assert_eq!(fixture.friends.find(&friend.id).await.unwrap(), Some(bare), "created_at stays");
}

pub async fn removing_a_friend_removes_what_is_theirs_and_nothing_else(fixture: &Fixture) {
    let (alice, agent) = fixture.pair("alice", "main").await;
    let bob = fixture.friend("bob").await;
    fixture.befriend(&agent, &bob, FriendshipStatus::Active).await;
    let tokens = [fixture.token(), fixture.token()];
    for (friend, token) in [&alice, &bob].into_iter().zip(&tokens) {
        let session = fixture.session(friend, &agent);
        assert!(fixture.sessions.issue(session, token.hash(), fixture.audit(Action::SessionIssue)).await.unwrap());
        let theirs = contact(friend.as_str(), "signal", &format!("+{friend}"));
        fixture.contacts.add(theirs, fixture.audit(Action::ContactAdd)).await.unwrap();
    }

    let removed = fixture.friends.remove(&alice, fixture.audit(Action::FriendRemove)).await.unwrap();
    let again = fixture.friends.remove(&alice, fixture.audit(Action::FriendRemove)).await.unwrap();
    assert_eq!((removed, again), (FriendRemoved::Done, FriendRemoved::Absent));
    for (friend, token, left) in [(&alice, &tokens[0], 0), (&bob, &tokens[1], 1)] {
        assert_eq!(fixture.contacts.list(friend).await.unwrap().len(), left, "{friend}");
        assert_eq!(fixture.friendships.of_friend(friend).await.unwrap().len(), left, "{friend}");
        assert_eq!(fixture.sessions.find(token).await.unwrap().is_some(), left == 1, "{friend}");
    }
}

pub async fn an_address_on_a_channel_belongs_to_one_friend(fixture: &Fixture) {
    for id in ["alice", "bob"] {
        fixture.friend(id).await;
    }
    for (contact, expected) in [
        (contact("alice", "signal", "+1"), ContactAdded::New),
        (contact("alice", "signal", "+1"), ContactAdded::Same),
        (contact("bob", "signal", "+1"), ContactAdded::Taken),
        (contact("bob", "whatsapp", "+1"), ContactAdded::New),
        (contact("alice", "irc", "x"), ContactAdded::New),
        (contact("carol", "irc", "y"), ContactAdded::NoFriend),
        (contact("alice", "slack", "u12ab"), ContactAdded::New),
        // The same address, typed as the channel has it.
        (contact("alice", "slack", "U12AB"), ContactAdded::New),
        (contact("alice", "slack", "U12AB"), ContactAdded::Same),
        (contact("bob", "slack", "u12AB"), ContactAdded::Taken),
    ] {
        let added = fixture.contacts.add(contact.clone(), fixture.audit(Action::ContactAdd)).await.unwrap();
        assert_eq!(added, expected, "{contact:?}");
    }
    let alices = fixture.contacts.list(&friend_id("alice")).await.unwrap();
    let expected = [contact("alice", "irc", "x"), contact("alice", "signal", "+1"), contact("alice", "slack", "U12AB")];
    assert_eq!(alices, expected);
    assert_eq!([alices[2].address.as_str(), alices[2].typed.as_str()], ["u12ab", "U12AB"]);
}

pub async fn an_address_is_never_the_id_of_a_friend(fixture: &Fixture) {
    for id in ["alice", "bob"] {
        fixture.friend(id).await;
    }
    for (address, expected) in
        [("bob", ContactAdded::IsFriendId), ("alice", ContactAdded::IsFriendId), ("carol", ContactAdded::New)]
    {
        let contact = contact("alice", "signal", address);
        let added = fixture.contacts.add(contact, fixture.audit(Action::ContactAdd)).await.unwrap();
        assert_eq!(added, expected, "{address}");
    }
    let carol = Friend { id: friend_id("carol"), ..alice(fixture) };
    let created = fixture.friends.create(carol.clone(), fixture.audit(Action::FriendCreate)).await.unwrap();
    assert_eq!(created, FriendCreated::IsContact);
    assert_eq!(fixture.friends.find(&carol.id).await.unwrap(), None);

    let hers = contact("alice", "signal", "carol");
    assert!(fixture.contacts.remove(&hers, fixture.audit(Action::ContactRemove)).await.unwrap());
    let created = fixture.friends.create(carol, fixture.audit(Action::FriendCreate)).await.unwrap();
    assert_eq!(created, FriendCreated::New, "the word is free again");
}

pub async fn an_address_and_an_id_added_at_once_never_both_win(fixture: &Fixture) {
    fixture.friend("alice").await;
    for round in 0..20 {
        let name = format!("name-{round}");
        let newcomer = Friend { id: friend_id(&name), ..alice(fixture) };
        let (created, added) = futures::join!(
            fixture.friends.create(newcomer, fixture.audit(Action::FriendCreate)),
            fixture.contacts.add(contact("alice", "signal", &name), fixture.audit(Action::ContactAdd)),
        );
        let outcome = (created.unwrap(), added.unwrap());
        let one_won = matches!(
            outcome,
            (FriendCreated::New, ContactAdded::IsFriendId) | (FriendCreated::IsContact, ContactAdded::New)
        );
        assert!(one_won, "{outcome:?}");
    }
}

pub async fn removing_a_friend_and_adding_their_contact_at_once_fails_neither(fixture: &Fixture) {
    for _ in 0..20 {
        let friend = fixture.friend("alice").await;
        fixture.contacts.add(contact("alice", "irc", "a"), fixture.audit(Action::ContactAdd)).await.unwrap();
        let (removed, added) = futures::join!(
            fixture.friends.remove(&friend, fixture.audit(Action::FriendRemove)),
            fixture.contacts.add(contact("alice", "signal", "a"), fixture.audit(Action::ContactAdd)),
        );
        assert_eq!(removed.unwrap(), FriendRemoved::Done);
        assert!(matches!(added.unwrap(), ContactAdded::New | ContactAdded::NoFriend));
        assert!(fixture.contacts.list(&friend).await.unwrap().is_empty());
    }
}

pub async fn a_contact_is_removed_by_its_owner_only(fixture: &Fixture) {
    for id in ["alice", "bob"] {
        fixture.friend(id).await;
    }
    let alices = contact("alice", "signal", "+1");
    fixture.contacts.add(alices.clone(), fixture.audit(Action::ContactAdd)).await.unwrap();
    for (contact, expected) in [
        (contact("bob", "signal", "+1"), false),
        (contact("alice", "irc", "+1"), false),
        (alices.clone(), true),
        (alices, false),
    ] {
        let removed = fixture.contacts.remove(&contact, fixture.audit(Action::ContactRemove)).await.unwrap();
        assert_eq!(removed, expected, "{contact:?}");
    }
}

pub async fn an_agent_is_registered_once_and_known_by_its_token(fixture: &Fixture) {
    let agent = Agent { id: AgentId::parse("main").unwrap(), created_at: fixture.clock.now() };
    let (token, other) = (fixture.token().hash(), fixture.token().hash());
    assert!(fixture.agents.create(agent.clone(), token, fixture.audit(Action::AgentCreate)).await.unwrap());
    assert!(!fixture.agents.create(agent.clone(), other, fixture.audit(Action::AgentCreate)).await.unwrap());
    assert_eq!(fixture.agents.find_by_token(&token).await.unwrap(), Some(agent.clone()));
    assert_eq!(fixture.agents.find_by_token(&other).await.unwrap(), None);
    assert_eq!(fixture.agents.list().await.unwrap(), [agent]);
}

pub async fn a_rotated_token_is_void(fixture: &Fixture) {
    let agent = Agent { id: AgentId::parse("main").unwrap(), created_at: fixture.clock.now() };
    let (old, new) = (fixture.token().hash(), fixture.token().hash());
    assert!(!fixture.agents.rotate(&agent.id, new, fixture.audit(Action::AgentRotate)).await.unwrap());
    fixture.agents.create(agent.clone(), old, fixture.audit(Action::AgentCreate)).await.unwrap();
    assert!(fixture.agents.rotate(&agent.id, new, fixture.audit(Action::AgentRotate)).await.unwrap());
    assert_eq!(fixture.agents.find_by_token(&old).await.unwrap(), None);
    assert_eq!(fixture.agents.find_by_token(&new).await.unwrap(), Some(agent));
}

pub async fn removing_an_agent_removes_its_friendships_and_sessions(fixture: &Fixture) {
    let (alice, main) = fixture.pair("alice", "main").await;
    let other = fixture.agent("other").await;
    fixture.befriend(&other, &alice, FriendshipStatus::Active).await;
    let tokens = [fixture.token(), fixture.token()];
    for (agent, token) in [&main, &other].into_iter().zip(&tokens) {
        let session = fixture.session(&alice, agent);
        fixture.sessions.issue(session, token.hash(), fixture.audit(Action::SessionIssue)).await.unwrap();
    }
    assert!(fixture.agents.remove(&main, fixture.audit(Action::AgentRemove)).await.unwrap());
    assert!(!fixture.agents.remove(&main, fixture.audit(Action::AgentRemove)).await.unwrap());
    assert_eq!(fixture.friendships.find(&FriendshipKey::new(alice.clone(), main.clone())).await.unwrap(), None);
    assert_eq!(fixture.sessions.find(&tokens[0]).await.unwrap(), None);
    assert!(fixture.friendships.find(&FriendshipKey::new(alice.clone(), other.clone())).await.unwrap().is_some());
    assert!(fixture.sessions.find(&tokens[1]).await.unwrap().is_some());
}

pub async fn a_friendship_keeps_its_first_day(fixture: &Fixture) {
    let (friend, agent) = fixture.pair("alice", "main").await;
    let created_at = fixture.clock.now();
    fixture.clock.advance(Duration::from_hours(1));
    let changed = Friendship {
        agent: agent.clone(),
        friend: friend.clone(),
        status: FriendshipStatus::Blocked,
        heartbeat_writable: Some(false),
        created_at: fixture.clock.now(),
    };
    assert!(fixture.friendships.set(changed.clone(), fixture.audit(Action::FriendshipSet)).await.unwrap());
    let expected = Friendship { created_at, ..changed };
    assert_eq!(
        fixture.friendships.find(&FriendshipKey::new(friend.clone(), agent.clone())).await.unwrap(),
        Some(expected)
    );
}

pub async fn a_friendship_needs_both_sides(fixture: &Fixture) {
    let (friend, agent) = (fixture.friend("alice").await, fixture.agent("main").await);
    let (nobody, nothing) = (friend_id("nobody"), AgentId::parse("nothing").unwrap());
    assert!(!fixture.befriend(&nothing, &friend, FriendshipStatus::Active).await);
    assert!(!fixture.befriend(&agent, &nobody, FriendshipStatus::Active).await);
    assert!(fixture.friendships.of_friend(&friend).await.unwrap().is_empty());
    assert!(fixture.friendships.of_agent(&agent).await.unwrap().is_empty());
}

pub async fn friendships_are_listed_in_order(fixture: &Fixture) {
    let (alice, main) = fixture.pair("alice", "main").await;
    let (bob, a_agent, main_2) = (fixture.friend("a-bob").await, fixture.agent("a_").await, fixture.agent("a-").await);
    for (agent, friend) in [(&main, &bob), (&a_agent, &alice), (&main_2, &alice)] {
        assert!(fixture.befriend(agent, friend, FriendshipStatus::Inactive).await);
    }
    let agents: Vec<AgentId> =
        fixture.friendships.of_friend(&alice).await.unwrap().into_iter().map(|friendship| friendship.agent).collect();
    assert_eq!(agents, [main_2, a_agent, main.clone()]);
    let friends: Vec<_> =
        fixture.friendships.of_agent(&main).await.unwrap().into_iter().map(|friendship| friendship.friend).collect();
    assert_eq!(friends, [bob, alice]);
}

pub async fn a_session_needs_an_active_friendship(fixture: &Fixture) {
    let (friend, agent) = (fixture.friend("alice").await, fixture.agent("main").await);
    let issue = async || {
        let (session, token) = (fixture.session(&friend, &agent), fixture.token());
        fixture.sessions.issue(session, token.hash(), fixture.audit(Action::SessionIssue)).await.unwrap()
    };
    assert!(!issue().await, "no friendship");
    for (status, expected) in
        [(FriendshipStatus::Inactive, false), (FriendshipStatus::Blocked, false), (FriendshipStatus::Active, true)]
    {
        fixture.befriend(&agent, &friend, status).await;
        assert_eq!(issue().await, expected, "{status}");
    }
    let stranger = fixture.session(&friend_id("nobody"), &agent);
    assert!(
        !fixture.sessions.issue(stranger, fixture.token().hash(), fixture.audit(Action::SessionIssue)).await.unwrap()
    );
    assert_eq!(fixture.sessions.list(&friend, fixture.clock.now()).await.unwrap().len(), 1);
}

pub async fn a_session_is_found_with_the_friendship_as_it_is_now(fixture: &Fixture) {
    let (friend, agent) = fixture.pair("alice", "main").await;
    let (session, token) = (fixture.session(&friend, &agent), fixture.token());
    fixture.sessions.issue(session.clone(), token.hash(), fixture.audit(Action::SessionIssue)).await.unwrap();
    for status in [FriendshipStatus::Active, FriendshipStatus::Blocked, FriendshipStatus::Inactive] {
        fixture.befriend(&agent, &friend, status).await;
        let stored = fixture.sessions.find(&token).await.unwrap().unwrap();
        assert_eq!((stored.session, stored.state), (session.clone(), SessionState::Valid));
        assert_eq!(stored.friendship, Some(status));
    }
    assert_eq!(fixture.sessions.find(&fixture.token()).await.unwrap(), None);
}

pub async fn a_revoked_session_says_so_and_is_listed_no_more(fixture: &Fixture) {
    let (friend, agent) = fixture.pair("alice", "main").await;
    let (session, token) = (fixture.session(&friend, &agent), fixture.token());
    fixture.sessions.issue(session.clone(), token.hash(), fixture.audit(Action::SessionIssue)).await.unwrap();
    assert_eq!(fixture.sessions.list(&friend, fixture.clock.now()).await.unwrap(), std::slice::from_ref(&session));
    for expected in [true, false] {
        let audit = fixture.audit(Action::SessionRevoke);
        assert_eq!(fixture.sessions.revoke(&friend, &session.id, audit).await.unwrap(), expected);
        assert_eq!(fixture.sessions.find(&token).await.unwrap().unwrap().state, SessionState::Revoked);
        assert!(fixture.sessions.list(&friend, fixture.clock.now()).await.unwrap().is_empty());
    }
}

pub async fn a_session_is_revoked_by_its_owner_only(fixture: &Fixture) {
    let (friend, agent) = fixture.pair("alice", "main").await;
    let bob = fixture.friend("bob").await;
    let (session, token) = (fixture.session(&friend, &agent), fixture.token());
    fixture.sessions.issue(session.clone(), token.hash(), fixture.audit(Action::SessionIssue)).await.unwrap();
    assert!(!fixture.sessions.revoke(&bob, &session.id, fixture.audit(Action::SessionRevoke)).await.unwrap());
    assert!(!fixture.sessions.revoke(&friend, "other", fixture.audit(Action::SessionRevoke)).await.unwrap());
    assert_eq!(fixture.sessions.find(&token).await.unwrap().unwrap().state, SessionState::Valid);
}

pub async fn an_expired_session_is_not_listed_and_cannot_be_revoked(fixture: &Fixture) {
    let (friend, agent) = fixture.pair("alice", "main").await;
    let session = fixture.session(&friend, &agent);
    fixture.sessions.issue(session.clone(), fixture.token().hash(), fixture.audit(Action::SessionIssue)).await.unwrap();
    fixture.clock.set(session.expires_at - TimeDelta::milliseconds(1));
    assert_eq!(fixture.sessions.list(&friend, fixture.clock.now()).await.unwrap().len(), 1);
    fixture.clock.set(session.expires_at);
    assert!(fixture.sessions.list(&friend, fixture.clock.now()).await.unwrap().is_empty());
    assert!(!fixture.sessions.revoke(&friend, &session.id, fixture.audit(Action::SessionRevoke)).await.unwrap());
    assert_eq!(fixture.sessions.revoke_all(&friend, fixture.audit(Action::SessionRevoke)).await.unwrap(), 0);
}

pub async fn revoking_all_counts_those_that_counted(fixture: &Fixture) {
    let (friend, agent) = fixture.pair("alice", "main").await;
    let (bob, _) = fixture.pair("bob", "other").await;
    assert!(fixture.befriend(&agent, &bob, FriendshipStatus::Active).await);
    let mut sessions = Vec::new();
    for friend in [&friend, &friend, &friend, &bob] {
        fixture.clock.advance(Duration::from_millis(1));
        let session = fixture.session(friend, &agent);
        sessions.push(session.id.clone());
        fixture.sessions.issue(session, fixture.token().hash(), fixture.audit(Action::SessionIssue)).await.unwrap();
    }
    let newest_first: Vec<String> = fixture
        .sessions
        .list(&friend, fixture.clock.now())
        .await
        .unwrap()
        .into_iter()
        .map(|session| session.id)
        .collect();
    assert_eq!(newest_first, [sessions[2].clone(), sessions[1].clone(), sessions[0].clone()]);
    fixture.sessions.revoke(&friend, &sessions[0], fixture.audit(Action::SessionRevoke)).await.unwrap();
    assert_eq!(fixture.sessions.revoke_all(&friend, fixture.audit(Action::SessionRevoke)).await.unwrap(), 2);
    assert_eq!(fixture.sessions.list(&bob, fixture.clock.now()).await.unwrap().len(), 1, "bob's stays");
}

pub async fn a_sweep_forgets_what_expired_before_it(fixture: &Fixture) {
    let (friend, agent) = fixture.pair("alice", "main").await;
    let (session, token) = (fixture.session(&friend, &agent), fixture.token());
    fixture.sessions.issue(session.clone(), token.hash(), fixture.audit(Action::SessionIssue)).await.unwrap();
    assert_eq!(fixture.sessions.sweep(session.expires_at).await.unwrap(), 0);
    assert!(fixture.sessions.find(&token).await.unwrap().is_some());
    assert_eq!(fixture.sessions.sweep(session.expires_at + TimeDelta::milliseconds(1)).await.unwrap(), 1);
    assert_eq!(fixture.sessions.find(&token).await.unwrap(), None);
}

pub async fn every_change_leaves_one_line(fixture: &Fixture) {
    let (friend, agent) = fixture.pair("alice", "main").await;
    let contact = contact("alice", "signal", "+1");
    fixture.contacts.add(contact.clone(), fixture.audit(Action::ContactAdd)).await.unwrap();
    fixture.contacts.remove(&contact, fixture.audit(Action::ContactRemove)).await.unwrap();
    fixture.friends.update(alice(fixture), fixture.audit(Action::FriendUpdate)).await.unwrap();
    fixture.agents.rotate(&agent, fixture.token().hash(), fixture.audit(Action::AgentRotate)).await.unwrap();
    for _ in 0..2 {
        let session = fixture.session(&friend, &agent);
        fixture.sessions.issue(session, fixture.token().hash(), fixture.audit(Action::SessionIssue)).await.unwrap();
    }
    fixture.sessions.revoke_all(&friend, fixture.audit(Action::SessionRevoke)).await.unwrap();
    fixture.agents.remove(&agent, fixture.audit(Action::AgentRemove)).await.unwrap();
    fixture.friends.remove(&friend, fixture.audit(Action::FriendRemove)).await.unwrap();
    for (action, lines) in [
        (Action::FriendCreate, 1),
        (Action::FriendUpdate, 1),
        (Action::FriendRemove, 1),
        (Action::ContactAdd, 1),
        (Action::ContactRemove, 1),
        (Action::AgentCreate, 1),
        (Action::AgentRotate, 1),
        (Action::AgentRemove, 1),
        (Action::FriendshipSet, 1),
        (Action::SessionIssue, 2),
        (Action::SessionRevoke, 1),
    ] {
        assert_eq!(fixture.audited(action).await, lines, "{action:?}");
    }
}

pub async fn what_changes_nothing_leaves_no_line(fixture: &Fixture) {
    let (friend, agent) = (friend_id("alice"), AgentId::parse("main").unwrap());
    fixture.friends.update(alice(fixture), fixture.audit(Action::FriendUpdate)).await.unwrap();
    fixture.friends.remove(&friend, fixture.audit(Action::FriendRemove)).await.unwrap();
    let contact = contact("alice", "signal", "+1");
    fixture.contacts.add(contact.clone(), fixture.audit(Action::ContactAdd)).await.unwrap();
    fixture.contacts.remove(&contact, fixture.audit(Action::ContactRemove)).await.unwrap();
    fixture.agents.rotate(&agent, fixture.token().hash(), fixture.audit(Action::AgentRotate)).await.unwrap();
    fixture.agents.remove(&agent, fixture.audit(Action::AgentRemove)).await.unwrap();
    fixture.befriend(&agent, &friend, FriendshipStatus::Active).await;
    let session = fixture.session(&friend, &agent);
    fixture.sessions.issue(session, fixture.token().hash(), fixture.audit(Action::SessionIssue)).await.unwrap();
    fixture.sessions.revoke(&friend, "x", fixture.audit(Action::SessionRevoke)).await.unwrap();
    fixture.sessions.revoke_all(&friend, fixture.audit(Action::SessionRevoke)).await.unwrap();
    let lines = fixture.audit.list(AuditFilter { limit: 1000, ..AuditFilter::default() }).await.unwrap();
    assert_eq!(lines, []);
}

pub async fn the_audit_log_is_searched_by_friend_action_and_time(fixture: &Fixture) {
    let started = fixture.clock.now();
    let mut entries = Vec::new();
    for (action, friend) in [
        (Action::JobCreate, Some("alice")),
        (Action::JobRun, Some("bob")),
        (Action::JobRun, Some("alice")),
        (Action::OrphanDelete, None),
    ] {
        let mut entry = fixture.audit(action);
        entry.friend = friend.map(friend_id);
        entry.actor = friend.map_or_else(|| entry.actor.clone(), |friend| Actor::Friend(friend_id(friend)));
        "déjà vu".clone_into(&mut entry.subject);
        "0 9 * * *".clone_into(&mut entry.detail);
        fixture.audit.append(entry.clone()).await.unwrap();
        entries.push(entry);
        fixture.clock.advance(Duration::from_millis(1));
    }
    let check = async |filter: AuditFilter, expected: &[usize]| {
        let records = fixture.audit.list(filter.clone()).await.unwrap();
        let found: Vec<_> =
            records.iter().map(|record| entries.iter().position(|entry| entry.at == record.at).unwrap()).collect();
        assert_eq!(found, expected, "{filter:?}");
        for (record, entry) in records.iter().zip(found.iter().map(|place| &entries[*place])) {
            assert_eq!((&record.actor, &*record.action), (&entry.actor, entry.action.as_str()));
            assert_eq!(
                (&record.friend, &record.subject, &record.detail),
                (&entry.friend, &entry.subject, &entry.detail)
            );
        }
    };
    let all = AuditFilter { limit: 10, ..AuditFilter::default() };
    check(all.clone(), &[3, 2, 1, 0]).await;
    check(AuditFilter { limit: 2, ..all.clone() }, &[3, 2]).await;
    check(AuditFilter { limit: 0, ..all.clone() }, &[]).await;
    check(AuditFilter { friend: Some(friend_id("alice")), ..all.clone() }, &[2, 0]).await;
    check(AuditFilter { action: Some("job.run".to_owned()), ..all.clone() }, &[2, 1]).await;
    check(AuditFilter { action: Some("job".to_owned()), ..all.clone() }, &[2, 1, 0]).await;
    check(AuditFilter { since: Some(started + TimeDelta::milliseconds(2)), ..all }, &[3, 2]).await;
}

pub async fn an_audit_filter_takes_nothing_for_a_pattern(fixture: &Fixture) {
    fixture.audit.append(fixture.audit(Action::JobRun)).await.unwrap();
    for action in ["", "jo", "job.", "job.r", "%", "j_b", "JOB", "Job.run", "job.run.", "\u{1f980}"] {
        let filter = AuditFilter { action: Some(action.to_owned()), limit: 10, ..AuditFilter::default() };
        assert_eq!(fixture.audit.list(filter).await.unwrap(), [], "{action:?}");
    }
}
