use portal_core::FriendId;

use super::{DomainName, ExposureName, Hostname};

#[track_caller]
fn check_name(text: &str, accepted: bool) {
    assert_eq!(ExposureName::parse(text).is_ok(), accepted, "{text:?}");
}

#[track_caller]
fn check_domain(text: &str, expected: Option<&str>) {
    assert_eq!(DomainName::parse(text).ok().as_ref().map(DomainName::as_str), expected, "{text:?}");
}

fn hostname(name: &str, friend: &str, domain: &str) -> Result<String, &'static str> {
    let name = ExposureName::parse(name).unwrap();
    let friend = FriendId::parse(friend).unwrap();
    let domain = DomainName::parse(domain).unwrap();
    Hostname::of(&name, &friend, &domain).map(|host| host.to_string()).map_err(|refusal| refusal.field)
}

/// A domain of exactly `length` bytes.
fn domain_of(length: usize) -> String {
    let labels = "a".repeat(50) + ".";
    let mut text = labels.repeat(length / 51 + 1);
    text.truncate(length - 2);
    text.trim_end_matches('.').to_owned() + if text.ends_with('.') { "aa.a" } else { ".a" }
}

#[test]
fn a_name_is_one_to_twenty_plain_letters() {
    for text in ["a", "9", "my-app", "a--b", &"a".repeat(20)] {
        check_name(text, true);
    }
    for text in ["", "-a", "a-", "-", "My-app", "my_app", "my.app", "a b", "a/b", "ä", "a\u{0}", "a\n"] {
        check_name(text, false);
    }
    check_name(&"a".repeat(21), false);
}

#[test]
fn a_domain_is_folded_to_lower_case_and_has_plain_labels() {
    check_domain("Your-Domain.NET", Some("your-domain.net"));
    check_domain("a.b.c", Some("a.b.c"));
    for text in ["", "net", ".net", "a..b", "a.b.", "-a.net", "a-.net", "a_b.net", "*.net", "а.net", "a.net\n"] {
        check_domain(text, None);
    }
    check_domain(&format!("{}.net", "a".repeat(63)), Some(&format!("{}.net", "a".repeat(63))));
    check_domain(&format!("{}.net", "a".repeat(64)), None);
    check_domain(&format!("a{}", ".a".repeat(126)), Some(&format!("a{}", ".a".repeat(126))));
    check_domain(&format!("aa{}", ".a".repeat(126)), None);
}

#[test]
fn a_hostname_is_name_friend_and_domain() {
    assert_eq!(hostname("my-app", "alice", "your-domain.net").as_deref(), Ok("my-app-alice.your-domain.net"));
}

#[test]
fn two_pairs_can_give_one_hostname() {
    assert_eq!(hostname("c", "a-b", "x.net"), Ok("c-a-b.x.net".to_owned()));
    assert_eq!(hostname("a-b", "c", "x.net"), hostname("a", "b-c", "x.net"));
}

#[test]
fn the_longest_name_and_the_longest_friend_fit_a_label() {
    let longest = hostname(&"n".repeat(20), &"f".repeat(40), "x.net");
    assert_eq!(longest, Ok(format!("{}-{}.x.net", "n".repeat(20), "f".repeat(40))));
}

#[test]
fn a_hostname_leaves_room_for_the_label_of_its_mark() {
    let fits = 253 - "_friend-portal.".len() - "n-f.".len();
    assert!(hostname("n", "f", &domain_of(fits)).is_ok());
    assert_eq!(hostname("n", "f", &domain_of(fits + 1)), Err("domain"));
}

#[test]
fn a_listed_hostname_is_read_without_regard_to_case_and_closing_dot() {
    let host = Hostname::parse("My-App-Alice.Your-Domain.net.").unwrap();
    assert_eq!(host.as_str(), "my-app-alice.your-domain.net");
    assert!(host.is_in(&DomainName::parse("your-domain.net").unwrap()));
    assert!(!host.is_in(&DomainName::parse("domain.net").unwrap()));
    assert!(Hostname::parse("_friend-portal.a.net").is_err());
    assert!(Hostname::parse("*.a.net").is_err());
}

#[test]
fn a_label_with_hyphens_in_places_3_and_4_is_refused_with_the_reason() {
    for (name, friend, accepted) in [
        ("ab--cd", "alice", false),
        ("xn--abc", "alice", false),
        ("a--b", "alice", true),
        ("abc--d", "alice", true),
        ("a", "b--c", true),
    ] {
        let host = Hostname::parse(&hostname(name, friend, "x.net").unwrap()).unwrap();
        assert_eq!(host.is_certifiable(), accepted, "{host}");
        let refused = host.check_certifiable().map_err(|refusal| refusal.message.clone());
        assert_eq!(refused.is_ok(), accepted, "{host}");
        assert!(refused.err().is_none_or(|message| message.contains("third and fourth place")), "{host}");
    }
}
