use std::time::Duration;

use portal_dns::DomainName;

use super::{Rfc2136Settings, TsigKeyAlgorithm};

fn settings() -> Rfc2136Settings {
    let domain = |text| DomainName::parse(text).unwrap();
    Rfc2136Settings {
        server: "ns1.example.org:53".to_owned(),
        zone: domain("example.org"),
        domain: domain("apps.example.org"),
        key_name: "portal".to_owned(),
        key_algorithm: TsigKeyAlgorithm::HmacSha256,
        key_secret: "c2VjcmV0".to_owned().into(),
        timeout: Duration::from_secs(5),
    }
}

#[track_caller]
fn check(edit: impl FnOnce(&mut Rfc2136Settings), refused: Option<&str>) {
    let mut settings = settings();
    edit(&mut settings);
    let read = settings.origin().and(settings.address().map(drop)).and(settings.signer().map(drop));
    assert_eq!(read.err().map(|invalid| invalid.field), refused, "{settings:?}");
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    check(|_| {}, None);
    check(|it| it.domain = it.zone.clone(), None);
    check(|it| it.server = "[2001:db8::1]:53".to_owned(), None);
    check(|it| it.domain = DomainName::parse("badexample.org").unwrap(), Some("domain"));
    check(|it| it.domain = DomainName::parse("example.net").unwrap(), Some("domain"));
    for server in ["", "ns1.example.org", ":53", "ns1.example.org:dns", "ns1.example.org:70000"] {
        check(|it| it.server = server.to_owned(), Some("server"));
    }
    for name in ["", ".", "a..b"] {
        check(|it| it.key_name = name.to_owned(), Some("key_name"));
    }
    for secret in ["", "not base64!"] {
        check(|it| it.key_secret = secret.to_owned().into(), Some("key_secret"));
    }
}

#[test]
fn the_secret_is_not_printed() {
    assert!(!format!("{:?}", settings()).contains("c2VjcmV0"));
}

#[test]
fn an_algorithm_is_read_as_name_servers_write_it() {
    for (text, accepted) in
        [("hmac-sha256", true), ("HMAC-SHA512", true), ("hmac-sha384", false), ("hmac-md5", false), ("", false)]
    {
        assert_eq!(TsigKeyAlgorithm::parse(text).is_ok(), accepted, "{text}");
    }
}
