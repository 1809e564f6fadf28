use portal_core::{AgentId, ChannelId, Contact, FriendId};
use proptest::prelude::{prop_assert, proptest};

use super::Claimant;

struct Person {
    agent: AgentId,
    friend: FriendId,
    contacts: Vec<Contact>,
    channels: Vec<ChannelId>,
}

impl Person {
    fn own(&self, session: &str) -> Option<String> {
        let Self { agent, friend, contacts, channels } = self;
        Claimant { agent, friend, contacts, channels }.own(session).map(|key| key.to_string())
    }
}

/// A friend of agent `main`, on the configured channels signal, matrix and discord.
fn person(friend: &str, contacts: &[(&str, &str)]) -> Person {
    let friend = FriendId::parse(friend).unwrap();
    let contact = |(channel, address): &(&str, &str)| Contact::parse(friend.clone(), channel, address).unwrap();
    Person {
        agent: AgentId::parse("main").unwrap(),
        contacts: contacts.iter().map(contact).collect(),
        channels: ["signal", "matrix", "discord"].map(|id| ChannelId::parse(id).unwrap()).to_vec(),
        friend,
    }
}

fn alice() -> Person {
    person("alice", &[("signal", "+15550100"), ("matrix", "@Alice:server.example"), ("telegram", "4711")])
}

#[track_caller]
fn check(person: &Person, session: &str, key: Option<&str>) {
    assert_eq!(person.own(session).as_deref(), key, "{session:?} for {}", person.friend);
}

#[test]
fn every_direct_form_becomes_its_canonical_key() {
    for (session, key) in [
        ("isolated", "agent:main:direct:alice"),
        ("agent:main:direct:alice", "agent:main:direct:alice"),
        ("agent:main:direct:channel:alice", "agent:main:direct:alice"),
        ("agent:main:direct:signal:alice", "agent:main:signal:direct:alice"),
        ("agent:main:direct:signal:+15550100", "agent:main:signal:direct:+15550100"),
        ("agent:main:signal:direct:+15550100", "agent:main:signal:direct:+15550100"),
        ("agent:main:signal:direct:alice", "agent:main:signal:direct:alice"),
        ("agent:main:signal:work:direct:+15550100", "agent:main:signal:work:direct:+15550100"),
        ("agent:main:matrix:direct:@alice:server.example", "agent:main:matrix:direct:@alice:server.example"),
        ("AGENT:Main:Direct:ALICE", "agent:main:direct:alice"),
        ("Isolated", "agent:main:direct:alice"),
        ("agent:main:Matrix:direct:@ALICE:Server.Example", "agent:main:matrix:direct:@alice:server.example"),
    ] {
        check(&alice(), session, Some(key));
    }
}

#[test]
fn nothing_shared_and_nothing_malformed_is_anybodys() {
    for session in [
        "",
        "main",
        "current",
        "isolated ",
        "agent:main:main",
        "agent:main",
        "agent:main:",
        "agent:main:direct",
        "agent:main:direct:",
        "agent::direct:alice",
        "agent:main::direct:alice",
        "agent:main:direct::alice",
        "agent:main:direct:alice:",
        "agent:main:direct:alice:thread:1",
        "agent:main:signal:thread:direct:alice",
        "agent:main:direct:alice:topic:1",
        "agent:main:direct: alice",
        " agent:main:direct:alice",
        "agent:main:direct:alice\n",
        "agent:main:direct:alice\0",
        "session:agent:main:direct:alice",
        "agent:main:alice",
        "agent:main:cron:alice",
        "agent:main:cron:direct:alice",
        "agent:main:hook:direct:alice",
        "agent:main:subagent:alice:direct:alice",
        "agent:main:signal:group:alice",
        "agent:main:signal:group:direct:alice",
        "agent:main:signal:channel:direct:alice",
        "agent:main:signal:direct:direct:alice",
        "agent:main:channel:direct:alice",
        "agent:main:openai-user:alice",
        "agent:main:telegram:direct:alice",
        "agent:main:telegram:direct:4711",
        "agent:main:signal:a:b:direct:alice",
        "agent:main:signal:wörk:direct:alice",
        "agent:main:direct:--alice",
        "agent:main:direct:../alice",
        "agent:main:direct:alice/../bob",
        "agent:main:direct:%61lice",
    ] {
        check(&alice(), session, None);
    }
}

#[test]
fn the_agent_is_the_chosen_one() {
    for session in [
        "agent:other:direct:alice",
        "agent:mai:direct:alice",
        "agent:main2:direct:alice",
        "agent:main-x:main:direct:alice",
    ] {
        check(&alice(), session, None);
    }
}

#[test]
fn a_peer_is_compared_whole() {
    let al = person("al", &[("signal", "+1555")]);
    for session in [
        "agent:main:direct:alice",
        "agent:main:direct:a",
        "agent:main:direct:al-x",
        "agent:main:direct:x-al",
        "agent:main:direct:channel:alice",
        "agent:main:direct:alice:al",
        "agent:main:direct:al:alice",
        "agent:main:signal:direct:+15550100",
        "agent:main:signal:direct:+155",
        "agent:main:signal:direct:alice:+1555",
    ] {
        check(&al, session, None);
    }
    check(&al, "agent:main:direct:al", Some("agent:main:direct:al"));
    check(&alice(), "agent:main:direct:al", None);
}

#[test]
fn letters_that_only_look_alike_are_other_letters() {
    // Cyrillic a, full-width a, dotless i, the Kelvin sign (which Unicode lower-cases to k).
    for session in ["agent:main:direct:\u{430}lice", "agent:main:direct:\u{ff41}lice", "agent:main:direct:al\u{131}ce"]
    {
        check(&alice(), session, None);
    }
    check(&person("kim", &[]), "agent:main:direct:\u{212a}im", None);
    check(&person("kim", &[]), "agent:main:direct:Kim", Some("agent:main:direct:kim"));
}

#[test]
fn a_contact_counts_on_its_own_channel_only() {
    check(&alice(), "agent:main:discord:direct:+15550100", None);
    check(&alice(), "agent:main:direct:matrix:+15550100", None);
    check(&alice(), "agent:main:direct:channel:+15550100", None);
    check(&alice(), "agent:main:direct:+15550100", None);
}

#[test]
fn a_contact_of_somebody_else_does_not_count() {
    let mut bob = person("bob", &[]);
    bob.contacts = alice().contacts;
    check(&bob, "agent:main:signal:direct:+15550100", None);
}

proptest! {
    #[test]
    fn a_key_that_somebody_owns_ends_in_what_identifies_them(session in "agent:main:([a-z+0-9]{1,9}:){0,3}[a-z+0-9]{1,9}") {
        if let Some(key) = alice().own(&session) {
            prop_assert!([":alice", ":+15550100"].iter().any(|end| key.ends_with(end)), "{session} gave {key}");
        }
    }

    #[test]
    fn a_key_of_one_friend_is_never_anothers(friend in "[a-z]{1,3}", other in "[a-z]{1,3}", form in 0..4_usize) {
        let forms = ["direct", "direct:channel", "signal:direct", "signal:work:direct"];
        let session = format!("agent:main:{}:{friend}", forms[form]);
        prop_assert!(person(&friend, &[]).own(&session).is_some());
        prop_assert!((friend == other) == person(&other, &[]).own(&session).is_some());
    }
}
