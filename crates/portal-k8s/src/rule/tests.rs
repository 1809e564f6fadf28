//! Rules as people write them.

use super::{HostRule, Protocol, hosts};

#[track_caller]
fn check_hosts(rule: &str, expected: &[&str]) {
    assert_eq!(hosts(rule), expected, "{rule}");
}

#[track_caller]
fn check(rule: &str, claimed: bool) {
    assert_eq!(HostRule::parse(rule, Protocol::Http).claims("app-alice.example.net"), claimed, "{rule}");
}

#[test]
fn hosts_are_named_in_order_and_once_each() {
    check_hosts("Host(`a.example.net`)", &["a.example.net"]);
    check_hosts("Host(\"a.example.net\")", &["a.example.net"]);
    check_hosts("Host(`b.net`) || Host(`a.net`) || Host(`b.net`)", &["b.net", "a.net"]);
    check_hosts("Host(`a.net`, `b.net`,\"c.net\")", &["a.net", "b.net", "c.net"]);
    check_hosts("(Host(`a.net`) || Host(`b.net`)) && PathPrefix(`/x`, `/y`)", &["a.net", "b.net"]);
    check_hosts("  HOST( `A.Example.NET.` )  &&  method(`GET`)", &["a.example.net"]);
    check_hosts("PathPrefix(`/Host(x)`) && Host(`a.net`)", &["a.net"]);
}

#[test]
fn a_negated_host_and_a_pattern_name_no_host() {
    check_hosts("!Host(`a.net`)", &[]);
    check_hosts("!(Host(`a.net`) || Host(`b.net`)) && Host(`c.net`)", &["c.net"]);
    check_hosts("HostRegexp(`^.+\\.a\\.net$`)", &[]);
    check_hosts("HostSNI(`a.net`)", &[]);
    check_hosts("PathPrefix(`/`)", &[]);
    for unreadable in ["", "Host", "Host(`a.net`", "Host(`a.net`) &&", "Host(`a.net`) Host(`b.net`)", "(Host(`a.net`)"]
    {
        check_hosts(unreadable, &[]);
    }
}

#[test]
fn a_rule_claims_the_hosts_for_which_it_can_be_true() {
    check("Host(`app-alice.example.net`)", true);
    check("Host(`App-Alice.Example.Net.`)", true);
    check("Host(`other.example.net`, `app-alice.example.net`)", true);
    check("Host(`other.example.net`) || Host(`app-alice.example.net`) && PathPrefix(`/x`)", true);
    check("Host(`app-alice.example.net`) && !PathPrefix(`/x`)", true);
    check("Host(`app-alice.example.net`) && !(Host(`app-alice.example.net`) && Path(`/x`))", true);
    check("PathPrefix(`/x`) || Host(`app-alice.example.net`)", true);
    check("!!Host(`app-alice.example.net`) && Host(`app-alice.example.net`)", true);

    check("Host(`other.example.net`)", false);
    check("Host(`xapp-alice.example.net`)", false);
    check("Host(`app-alice.example.net`) && Host(`other.example.net`)", false);
    check("Host(`app-alice.example.net`) && !Host(`app-alice.example.net`)", false);
    check("PathPrefix(`/app-alice.example.net`)", false);
}

#[test]
fn a_rule_that_names_no_host_claims_none() {
    check("PathPrefix(`/dashboard`) || PathPrefix(`/api`)", false);
    check("!Host(`other.example.net`)", false);
    check("HostRegexp(`.*`)", false);
    check("HostRegexp(`^.+$`) && PathPrefix(`/`)", false);
    check("HostRegexp(`{any:.+}`)", false);
}

#[test]
fn a_pattern_claims_the_hosts_that_it_accepts() {
    check("HostRegexp(`^[a-z-]+\\.example\\.net$`)", true);
    check("HostRegexp(\"^[a-z-]+\\\\.example\\\\.net$\")", true);
    check("HostRegexp(`^APP-.+\\.example\\.net$`)", true);
    check("HostRegexp(`alice`)", true);
    check("HostRegexp(`^.{9}\\.example\\.net$`)", true);
    check("HostRegexp(`{sub:[a-z]+-[a-z]{5}}.example.net`)", true);
    check("HostRegexp(`{sub}.example.net`)", true);
    check("HostRegexp(`bob`, `alice`)", true);

    check("HostRegexp(`^[a-z]+\\.example\\.net$`)", false);
    check("HostRegexp(`{sub:[a-z]+}.example.net`)", false);
    check("HostRegexp(`^.+\\.other\\.net$`)", false);
    check("!HostRegexp(`^.+\\.example\\.net$`)", false);
}

#[test]
fn a_wildcard_host_claims_one_label() {
    check("Host(`*.example.net`)", true);
    check("Host(`*.EXAMPLE.net.`)", true);
    check("Host(`b.net`) || Host(`*.example.net`) && PathPrefix(`/x`)", true);
    check("Host(`*.net`)", false);
    check("Host(`*.app-alice.example.net`)", false);
    check("Host(`*`)", false);
    check("Host(`app-*.example.net`)", false);
}

#[test]
fn aliases_and_escapes_are_read_as_traefik_reads_them() {
    check("HostHeader(`app-alice.example.net`)", true);
    check("HOST(`app-alice.example.net`,)", true);
    check(r#"Host("\x61pp-\u0061lice.example.net")"#, true);
    check(r"HostRegexp(`^\Qapp-alice.\E`)", true);
    check(r"HostRegexp(`^\pL+-alice`)", true);
    check(r"HostRegexp(`^[[:alpha:]-]+\.example\.net\z`)", true);
    check("HostSNI(`app-alice.example.net`)", false);
}

#[test]
fn what_cannot_be_read_claims_only_the_domains_that_it_contains() {
    check(r"HostRegexp(`^(?!www\.).+\.example\.net$`)", true);
    check(r#"HostRegexp("^(?!www\\.).+\\.example\\.net$")"#, true);
    check("HostRegexp(`(?!x).+[.]example[.]net`)", true);
    check("Host(`app-alice.example.net`", true);
    check("Host(`App-Alice.example.net`) or something", true);
    check(&format!("{}Host(`app-alice.example.net`){}", "(".repeat(100), ")".repeat(100)), true);

    check(r"HostRegexp(`^(?!www\.).+\.example\.com$`)", false);
    check("HostRegexp(`^(app`)", false);
    check(&format!("HostRegexp(`{}`)", "a?".repeat(1000)), false);
    check("Host(`other.example.net`", false);
    check("Host(`other.example.org`) && HostRegexp(`(`)", false);
}

#[test]
fn only_a_rule_that_is_read_whole_is_certain() {
    for (rule, readable) in [
        ("Host(`a.net`)", true),
        ("Host(`a.net`) || HostRegexp(`^.+$`)", true),
        ("Host(`a.net`) || HostRegexp(`(`)", false),
        ("Host(`a.net`", false),
    ] {
        assert_eq!(HostRule::parse(rule, Protocol::Http).is_readable(), readable, "{rule}");
    }
}
