//! Friends, contacts, agents, friendships, sessions and the audit log.

use std::time::Duration;

use chrono::TimeDelta;
use portal_core::{
    Action, Actor, Agent, AgentId, AuditFilter, ChannelId, Clock, Contact, ContactAdded, Friend, FriendCreated,
    FriendRemoved, Friendship, FriendshipKey, FriendshipStatus, SessionState,
};

use crate::world::{World, friend_id};

promises! {
    a_friend_is_registered_once,
    friends_are_listed_by_id,
    a_friend_is_changed_but_not_made_by_an_update,
    removing_a_friend_removes_what_is_theirs_and_nothing_else,
    an_address_on_a_channel_belongs_to_one_friend,
    an_address_is_never_the_id_of_a_friend,
    an_address_and_an_id_added_at_once_never_both_win,
    removing_a_friend_and_adding_their_contact_at_once_fails_neither,
    a_contact_is_removed_by_its_owner_only,
    an_agent_is_registered_once_and_known_by_its_token,
    a_rotated_token_is_void,
    removing_an_agent_removes_its_friendships_and_sessions,
    a_friendship_keeps_its_first_day,
    a_friendship_needs_both_sides,
    friendships_are_listed_in_order,
    a_session_needs_an_active_friendship,
    a_session_is_found_with_the_friendship_as_it_is_now,
    a_revoked_session_says_so_and_is_listed_no_more,
    a_session_is_revoked_by_its_owner_only,
    an_expired_session_is_not_listed_and_cannot_be_revoked,
    revoking_all_counts_those_that_counted,
    a_sweep_forgets_what_expired_before_it,
    every_change_leaves_one_line,
    what_changes_nothing_leaves_no_line,
    the_audit_log_is_searched_by_friend_action_and_time,
    an_audit_filter_takes_nothing_for_a_pattern,
}

fn contact(friend: &str, channel: &str, address: &str) -> Contact {
    Contact::parse(friend_id(friend), channel, address).unwrap()
}

fn alice(world: &World) -> Friend {
    Friend {
        id: friend_id("alice"),
        display_name: Some("Alice Ä. \u{1f980}".to_owned()),
        preferred_channel: Some(ChannelId::parse("signal").unwrap()),
        time_zone: Some("Europe/Berlin".to_owned()),
        created_at: world.clock.now(),
    }
}

async fn a_friend_is_registered_once(world: &World) {
    let friend = alice(world);
    let again = Friend { display_name: None, ..friend.clone() };
    for (friend, expected) in [(friend.clone(), FriendCreated::New), (again, FriendCreated::Exists)] {
        let created = world.friends.create(friend, world.audit(Action::FriendCreate)).await.unwrap();
        assert_eq!(created, expected);
    }
    assert_eq!(world.friends.find(&friend.id).await.unwrap(), Some(friend));
    assert_eq!(world.friends.find(&friend_id("bob")).await.unwrap(), None);
}

async fn friends_are_listed_by_id(world: &World) {
    for id in ["b", "a-b", "ab", "a0", "a"] {
        world.friend(id).await;
    }
    let listed: Vec<String> =
        world.friends.list().await.unwrap().into_iter().map(|friend| friend.id.to_string()).collect();
    assert_eq!(listed, ["a", "a-b", "a0", "ab", "b"]);
}

async fn a_friend_is_changed_but_not_made_by_an_update(world: &World) {
    let friend = alice(world);
    assert!(!world.friends.update(friend.clone(), world.audit(Action::FriendUpdate)).await.unwrap());
    assert_eq!(world.friends.find(&friend.id).await.unwrap(), None);

    world.friends.create(friend.clone(), world.audit(Action::FriendCreate)).await.unwrap();
    let bare = Friend { display_name: None, preferred_channel: None, time_zone: None, ..friend.clone() };
    world.clock.advance(Duration::from_secs(1));
    let later = Friend { created_at: world.clock.now(), ..bare.clone() };
    assert!(world.friends.update(later, world.audit(Action::FriendUpdate)).await.unwrap());
    assert_eq!(world.friends.find(&friend.id).await.unwrap(), Some(bare), "created_at stays");
}

async fn removing_a_friend_removes_what_is_theirs_and_nothing_else(world: &World) {
    let (alice, agent) = world.pair("alice", "main").await;
    let bob = world.friend("bob").await;
    world.befriend(&agent, &bob, FriendshipStatus::Active).await;
    let tokens = [world.token(), world.token()];
    for (friend, token) in [&alice, &bob].into_iter().zip(&tokens) {
        let session = world.session(friend, &agent);
        assert!(world.sessions.issue(session, token.hash(), world.audit(Action::SessionIssue)).await.unwrap());
        let theirs = contact(friend.as_str(), "signal", &format!("+{friend}"));
        world.contacts.add(theirs, world.audit(Action::ContactAdd)).await.unwrap();
    }

    let removed = world.friends.remove(&alice, world.audit(Action::FriendRemove)).await.unwrap();
    let again = world.friends.remove(&alice, world.audit(Action::FriendRemove)).await.unwrap();
    assert_eq!((removed, again), (FriendRemoved::Done, FriendRemoved::Absent));
    for (friend, token, left) in [(&alice, &tokens[0], 0), (&bob, &tokens[1], 1)] {
        assert_eq!(world.contacts.list(friend).await.unwrap().len(), left, "{friend}");
        assert_eq!(world.friendships.of_friend(friend).await.unwrap().len(), left, "{friend}");
        assert_eq!(world.sessions.find(token).await.unwrap().is_some(), left == 1, "{friend}");
    }
}

async fn an_address_on_a_channel_belongs_to_one_friend(world: &World) {
    for id in ["alice", "bob"] {
        world.friend(id).await;
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
        let added = world.contacts.add(contact.clone(), world.audit(Action::ContactAdd)).await.unwrap();
        assert_eq!(added, expected, "{contact:?}");
    }
    let alices = world.contacts.list(&friend_id("alice")).await.unwrap();
    let expected = [contact("alice", "irc", "x"), contact("alice", "signal", "+1"), contact("alice", "slack", "U12AB")];
    assert_eq!(alices, expected);
    assert_eq!([alices[2].address.as_str(), alices[2].typed.as_str()], ["u12ab", "U12AB"]);
}

async fn an_address_is_never_the_id_of_a_friend(world: &World) {
    for id in ["alice", "bob"] {
        world.friend(id).await;
    }
    for (address, expected) in
        [("bob", ContactAdded::IsFriendId), ("alice", ContactAdded::IsFriendId), ("carol", ContactAdded::New)]
    {
        let contact = contact("alice", "signal", address);
        let added = world.contacts.add(contact, world.audit(Action::ContactAdd)).await.unwrap();
        assert_eq!(added, expected, "{address}");
    }
    let carol = Friend { id: friend_id("carol"), ..alice(world) };
    let created = world.friends.create(carol.clone(), world.audit(Action::FriendCreate)).await.unwrap();
    assert_eq!(created, FriendCreated::IsContact);
    assert_eq!(world.friends.find(&carol.id).await.unwrap(), None);

    let hers = contact("alice", "signal", "carol");
    assert!(world.contacts.remove(&hers, world.audit(Action::ContactRemove)).await.unwrap());
    let created = world.friends.create(carol, world.audit(Action::FriendCreate)).await.unwrap();
    assert_eq!(created, FriendCreated::New, "the word is free again");
}

async fn an_address_and_an_id_added_at_once_never_both_win(world: &World) {
    world.friend("alice").await;
    for round in 0..20 {
        let name = format!("name-{round}");
        let newcomer = Friend { id: friend_id(&name), ..alice(world) };
        let (created, added) = futures::join!(
            world.friends.create(newcomer, world.audit(Action::FriendCreate)),
            world.contacts.add(contact("alice", "signal", &name), world.audit(Action::ContactAdd)),
        );
        let outcome = (created.unwrap(), added.unwrap());
        let one_won = matches!(
            outcome,
            (FriendCreated::New, ContactAdded::IsFriendId) | (FriendCreated::IsContact, ContactAdded::New)
        );
        assert!(one_won, "{outcome:?}");
    }
}

async fn removing_a_friend_and_adding_their_contact_at_once_fails_neither(world: &World) {
    for _ in 0..20 {
        let friend = world.friend("alice").await;
        world.contacts.add(contact("alice", "irc", "a"), world.audit(Action::ContactAdd)).await.unwrap();
        let (removed, added) = futures::join!(
            world.friends.remove(&friend, world.audit(Action::FriendRemove)),
            world.contacts.add(contact("alice", "signal", "a"), world.audit(Action::ContactAdd)),
        );
        assert_eq!(removed.unwrap(), FriendRemoved::Done);
        assert!(matches!(added.unwrap(), ContactAdded::New | ContactAdded::NoFriend));
        assert!(world.contacts.list(&friend).await.unwrap().is_empty());
    }
}

async fn a_contact_is_removed_by_its_owner_only(world: &World) {
    for id in ["alice", "bob"] {
        world.friend(id).await;
    }
    let alices = contact("alice", "signal", "+1");
    world.contacts.add(alices.clone(), world.audit(Action::ContactAdd)).await.unwrap();
    for (contact, expected) in [
        (contact("bob", "signal", "+1"), false),
        (contact("alice", "irc", "+1"), false),
        (alices.clone(), true),
        (alices, false),
    ] {
        let removed = world.contacts.remove(&contact, world.audit(Action::ContactRemove)).await.unwrap();
        assert_eq!(removed, expected, "{contact:?}");
    }
}

async fn an_agent_is_registered_once_and_known_by_its_token(world: &World) {
    let agent = Agent { id: AgentId::parse("main").unwrap(), created_at: world.clock.now() };
    let (token, other) = (world.token().hash(), world.token().hash());
    assert!(world.agents.create(agent.clone(), token, world.audit(Action::AgentCreate)).await.unwrap());
    assert!(!world.agents.create(agent.clone(), other, world.audit(Action::AgentCreate)).await.unwrap());
    assert_eq!(world.agents.find_by_token(&token).await.unwrap(), Some(agent.clone()));
    assert_eq!(world.agents.find_by_token(&other).await.unwrap(), None);
    assert_eq!(world.agents.list().await.unwrap(), [agent]);
}

async fn a_rotated_token_is_void(world: &World) {
    let agent = Agent { id: AgentId::parse("main").unwrap(), created_at: world.clock.now() };
    let (old, new) = (world.token().hash(), world.token().hash());
    assert!(!world.agents.rotate(&agent.id, new, world.audit(Action::AgentRotate)).await.unwrap());
    world.agents.create(agent.clone(), old, world.audit(Action::AgentCreate)).await.unwrap();
    assert!(world.agents.rotate(&agent.id, new, world.audit(Action::AgentRotate)).await.unwrap());
    assert_eq!(world.agents.find_by_token(&old).await.unwrap(), None);
    assert_eq!(world.agents.find_by_token(&new).await.unwrap(), Some(agent));
}

async fn removing_an_agent_removes_its_friendships_and_sessions(world: &World) {
    let (alice, main) = world.pair("alice", "main").await;
    let other = world.agent("other").await;
    world.befriend(&other, &alice, FriendshipStatus::Active).await;
    let tokens = [world.token(), world.token()];
    for (agent, token) in [&main, &other].into_iter().zip(&tokens) {
        let session = world.session(&alice, agent);
        world.sessions.issue(session, token.hash(), world.audit(Action::SessionIssue)).await.unwrap();
    }
    assert!(world.agents.remove(&main, world.audit(Action::AgentRemove)).await.unwrap());
    assert!(!world.agents.remove(&main, world.audit(Action::AgentRemove)).await.unwrap());
    assert_eq!(world.friendships.find(&FriendshipKey::new(alice.clone(), main.clone())).await.unwrap(), None);
    assert_eq!(world.sessions.find(&tokens[0]).await.unwrap(), None);
    assert!(world.friendships.find(&FriendshipKey::new(alice.clone(), other.clone())).await.unwrap().is_some());
    assert!(world.sessions.find(&tokens[1]).await.unwrap().is_some());
}

async fn a_friendship_keeps_its_first_day(world: &World) {
    let (friend, agent) = world.pair("alice", "main").await;
    let created_at = world.clock.now();
    world.clock.advance(Duration::from_hours(1));
    let changed = Friendship {
        agent: agent.clone(),
        friend: friend.clone(),
        status: FriendshipStatus::Blocked,
        heartbeat_writable: Some(false),
        created_at: world.clock.now(),
    };
    assert!(world.friendships.set(changed.clone(), world.audit(Action::FriendshipSet)).await.unwrap());
    let expected = Friendship { created_at, ..changed };
    assert_eq!(
        world.friendships.find(&FriendshipKey::new(friend.clone(), agent.clone())).await.unwrap(),
        Some(expected)
    );
}

async fn a_friendship_needs_both_sides(world: &World) {
    let (friend, agent) = (world.friend("alice").await, world.agent("main").await);
    let (nobody, nothing) = (friend_id("nobody"), AgentId::parse("nothing").unwrap());
    assert!(!world.befriend(&nothing, &friend, FriendshipStatus::Active).await);
    assert!(!world.befriend(&agent, &nobody, FriendshipStatus::Active).await);
    assert!(world.friendships.of_friend(&friend).await.unwrap().is_empty());
    assert!(world.friendships.of_agent(&agent).await.unwrap().is_empty());
}

async fn friendships_are_listed_in_order(world: &World) {
    let (alice, main) = world.pair("alice", "main").await;
    let (bob, a_agent, main_2) = (world.friend("a-bob").await, world.agent("a_").await, world.agent("a-").await);
    for (agent, friend) in [(&main, &bob), (&a_agent, &alice), (&main_2, &alice)] {
        assert!(world.befriend(agent, friend, FriendshipStatus::Inactive).await);
    }
    let agents: Vec<AgentId> =
        world.friendships.of_friend(&alice).await.unwrap().into_iter().map(|friendship| friendship.agent).collect();
    assert_eq!(agents, [main_2, a_agent, main.clone()]);
    let friends: Vec<_> =
        world.friendships.of_agent(&main).await.unwrap().into_iter().map(|friendship| friendship.friend).collect();
    assert_eq!(friends, [bob, alice]);
}

async fn a_session_needs_an_active_friendship(world: &World) {
    let (friend, agent) = (world.friend("alice").await, world.agent("main").await);
    let issue = async || {
        let (session, token) = (world.session(&friend, &agent), world.token());
        world.sessions.issue(session, token.hash(), world.audit(Action::SessionIssue)).await.unwrap()
    };
    assert!(!issue().await, "no friendship");
    for (status, expected) in
        [(FriendshipStatus::Inactive, false), (FriendshipStatus::Blocked, false), (FriendshipStatus::Active, true)]
    {
        world.befriend(&agent, &friend, status).await;
        assert_eq!(issue().await, expected, "{status}");
    }
    let stranger = world.session(&friend_id("nobody"), &agent);
    assert!(!world.sessions.issue(stranger, world.token().hash(), world.audit(Action::SessionIssue)).await.unwrap());
    assert_eq!(world.sessions.list(&friend, world.clock.now()).await.unwrap().len(), 1);
}

async fn a_session_is_found_with_the_friendship_as_it_is_now(world: &World) {
    let (friend, agent) = world.pair("alice", "main").await;
    let (session, token) = (world.session(&friend, &agent), world.token());
    world.sessions.issue(session.clone(), token.hash(), world.audit(Action::SessionIssue)).await.unwrap();
    for status in [FriendshipStatus::Active, FriendshipStatus::Blocked, FriendshipStatus::Inactive] {
        world.befriend(&agent, &friend, status).await;
        let stored = world.sessions.find(&token).await.unwrap().unwrap();
        assert_eq!((stored.session, stored.state), (session.clone(), SessionState::Valid));
        assert_eq!(stored.friendship, Some(status));
    }
    assert_eq!(world.sessions.find(&world.token()).await.unwrap(), None);
}

async fn a_revoked_session_says_so_and_is_listed_no_more(world: &World) {
    let (friend, agent) = world.pair("alice", "main").await;
    let (session, token) = (world.session(&friend, &agent), world.token());
    world.sessions.issue(session.clone(), token.hash(), world.audit(Action::SessionIssue)).await.unwrap();
    assert_eq!(world.sessions.list(&friend, world.clock.now()).await.unwrap(), std::slice::from_ref(&session));
    for expected in [true, false] {
        let audit = world.audit(Action::SessionRevoke);
        assert_eq!(world.sessions.revoke(&friend, &session.id, audit).await.unwrap(), expected);
        assert_eq!(world.sessions.find(&token).await.unwrap().unwrap().state, SessionState::Revoked);
        assert!(world.sessions.list(&friend, world.clock.now()).await.unwrap().is_empty());
    }
}

async fn a_session_is_revoked_by_its_owner_only(world: &World) {
    let (friend, agent) = world.pair("alice", "main").await;
    let bob = world.friend("bob").await;
    let (session, token) = (world.session(&friend, &agent), world.token());
    world.sessions.issue(session.clone(), token.hash(), world.audit(Action::SessionIssue)).await.unwrap();
    assert!(!world.sessions.revoke(&bob, &session.id, world.audit(Action::SessionRevoke)).await.unwrap());
    assert!(!world.sessions.revoke(&friend, "other", world.audit(Action::SessionRevoke)).await.unwrap());
    assert_eq!(world.sessions.find(&token).await.unwrap().unwrap().state, SessionState::Valid);
}

async fn an_expired_session_is_not_listed_and_cannot_be_revoked(world: &World) {
    let (friend, agent) = world.pair("alice", "main").await;
    let session = world.session(&friend, &agent);
    world.sessions.issue(session.clone(), world.token().hash(), world.audit(Action::SessionIssue)).await.unwrap();
    world.clock.set(session.expires_at - TimeDelta::milliseconds(1));
    assert_eq!(world.sessions.list(&friend, world.clock.now()).await.unwrap().len(), 1);
    world.clock.set(session.expires_at);
    assert!(world.sessions.list(&friend, world.clock.now()).await.unwrap().is_empty());
    assert!(!world.sessions.revoke(&friend, &session.id, world.audit(Action::SessionRevoke)).await.unwrap());
    assert_eq!(world.sessions.revoke_all(&friend, world.audit(Action::SessionRevoke)).await.unwrap(), 0);
}

async fn revoking_all_counts_those_that_counted(world: &World) {
    let (friend, agent) = world.pair("alice", "main").await;
    let (bob, _) = world.pair("bob", "other").await;
    assert!(world.befriend(&agent, &bob, FriendshipStatus::Active).await);
    let mut sessions = Vec::new();
    for friend in [&friend, &friend, &friend, &bob] {
        world.clock.advance(Duration::from_millis(1));
        let session = world.session(friend, &agent);
        sessions.push(session.id.clone());
        world.sessions.issue(session, world.token().hash(), world.audit(Action::SessionIssue)).await.unwrap();
    }
    let newest_first: Vec<String> =
        world.sessions.list(&friend, world.clock.now()).await.unwrap().into_iter().map(|session| session.id).collect();
    assert_eq!(newest_first, [sessions[2].clone(), sessions[1].clone(), sessions[0].clone()]);
    world.sessions.revoke(&friend, &sessions[0], world.audit(Action::SessionRevoke)).await.unwrap();
    assert_eq!(world.sessions.revoke_all(&friend, world.audit(Action::SessionRevoke)).await.unwrap(), 2);
    assert_eq!(world.sessions.list(&bob, world.clock.now()).await.unwrap().len(), 1, "bob's stays");
}

async fn a_sweep_forgets_what_expired_before_it(world: &World) {
    let (friend, agent) = world.pair("alice", "main").await;
    let (session, token) = (world.session(&friend, &agent), world.token());
    world.sessions.issue(session.clone(), token.hash(), world.audit(Action::SessionIssue)).await.unwrap();
    assert_eq!(world.sessions.sweep(session.expires_at).await.unwrap(), 0);
    assert!(world.sessions.find(&token).await.unwrap().is_some());
    assert_eq!(world.sessions.sweep(session.expires_at + TimeDelta::milliseconds(1)).await.unwrap(), 1);
    assert_eq!(world.sessions.find(&token).await.unwrap(), None);
}

async fn every_change_leaves_one_line(world: &World) {
    let (friend, agent) = world.pair("alice", "main").await;
    let contact = contact("alice", "signal", "+1");
    world.contacts.add(contact.clone(), world.audit(Action::ContactAdd)).await.unwrap();
    world.contacts.remove(&contact, world.audit(Action::ContactRemove)).await.unwrap();
    world.friends.update(alice(world), world.audit(Action::FriendUpdate)).await.unwrap();
    world.agents.rotate(&agent, world.token().hash(), world.audit(Action::AgentRotate)).await.unwrap();
    for _ in 0..2 {
        let session = world.session(&friend, &agent);
        world.sessions.issue(session, world.token().hash(), world.audit(Action::SessionIssue)).await.unwrap();
    }
    world.sessions.revoke_all(&friend, world.audit(Action::SessionRevoke)).await.unwrap();
    world.agents.remove(&agent, world.audit(Action::AgentRemove)).await.unwrap();
    world.friends.remove(&friend, world.audit(Action::FriendRemove)).await.unwrap();
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
        assert_eq!(world.audited(action).await, lines, "{action:?}");
    }
}

async fn what_changes_nothing_leaves_no_line(world: &World) {
    let (friend, agent) = (friend_id("alice"), AgentId::parse("main").unwrap());
    world.friends.update(alice(world), world.audit(Action::FriendUpdate)).await.unwrap();
    world.friends.remove(&friend, world.audit(Action::FriendRemove)).await.unwrap();
    let contact = contact("alice", "signal", "+1");
    world.contacts.add(contact.clone(), world.audit(Action::ContactAdd)).await.unwrap();
    world.contacts.remove(&contact, world.audit(Action::ContactRemove)).await.unwrap();
    world.agents.rotate(&agent, world.token().hash(), world.audit(Action::AgentRotate)).await.unwrap();
    world.agents.remove(&agent, world.audit(Action::AgentRemove)).await.unwrap();
    world.befriend(&agent, &friend, FriendshipStatus::Active).await;
    let session = world.session(&friend, &agent);
    world.sessions.issue(session, world.token().hash(), world.audit(Action::SessionIssue)).await.unwrap();
    world.sessions.revoke(&friend, "x", world.audit(Action::SessionRevoke)).await.unwrap();
    world.sessions.revoke_all(&friend, world.audit(Action::SessionRevoke)).await.unwrap();
    let lines = world.audit.list(AuditFilter { limit: 1000, ..AuditFilter::default() }).await.unwrap();
    assert_eq!(lines, []);
}

async fn the_audit_log_is_searched_by_friend_action_and_time(world: &World) {
    let started = world.clock.now();
    let mut entries = Vec::new();
    for (action, friend) in [
        (Action::JobCreate, Some("alice")),
        (Action::JobRun, Some("bob")),
        (Action::JobRun, Some("alice")),
        (Action::OrphanDelete, None),
    ] {
        let mut entry = world.audit(action);
        entry.friend = friend.map(friend_id);
        entry.actor = friend.map_or_else(|| entry.actor.clone(), |friend| Actor::Friend(friend_id(friend)));
        "déjà vu".clone_into(&mut entry.subject);
        "0 9 * * *".clone_into(&mut entry.detail);
        world.audit.append(entry.clone()).await.unwrap();
        entries.push(entry);
        world.clock.advance(Duration::from_millis(1));
    }
    let check = async |filter: AuditFilter, expected: &[usize]| {
        let records = world.audit.list(filter.clone()).await.unwrap();
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

async fn an_audit_filter_takes_nothing_for_a_pattern(world: &World) {
    world.audit.append(world.audit(Action::JobRun)).await.unwrap();
    for action in ["", "jo", "job.", "job.r", "%", "j_b", "JOB", "Job.run", "job.run.", "\u{1f980}"] {
        let filter = AuditFilter { action: Some(action.to_owned()), limit: 10, ..AuditFilter::default() };
        assert_eq!(world.audit.list(filter).await.unwrap(), [], "{action:?}");
    }
}
