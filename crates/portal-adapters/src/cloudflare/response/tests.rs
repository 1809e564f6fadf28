use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use portal_core::{BackendError, BackendErrorKind};
use serde_json::{Value, json};

use super::{Envelope, Meaning, Refusal, pause_after_refusal, pause_of_last_call};

fn refusal(status: u16, errors: &Value) -> Refusal {
    let envelope: Envelope = serde_json::from_value(json!({"success": false, "errors": errors})).unwrap();
    Refusal::new(status, &envelope)
}

#[track_caller]
fn check(status: u16, code: u64, expected: Meaning) {
    let errors = if code == 0 { Value::Null } else { json!([{"code": code, "message": "m"}]) };
    assert_eq!(refusal(status, &errors).meaning(), expected, "{status} {code}");
}

#[test]
fn every_code_has_its_meaning() {
    for code in [81053, 81054, 81057, 81058] {
        check(400, code, Meaning::Occupied);
    }
    check(404, 81044, Meaning::Missing);
    check(400, 1004, Meaning::Wrong);
    check(400, 9109, Meaning::Denied);
    check(400, 10000, Meaning::Denied);
    check(400, 10429, Meaning::TooMany);
    check(403, 10100, Meaning::TooMany);
    check(404, 7003, Meaning::Wrong);
}

#[test]
fn without_a_known_code_the_status_decides() {
    check(401, 0, Meaning::Denied);
    check(403, 4711, Meaning::Denied);
    check(429, 0, Meaning::TooMany);
    check(500, 0, Meaning::Down);
    check(503, 1, Meaning::Down);
    check(408, 0, Meaning::Down);
    check(400, 0, Meaning::Wrong);
    check(302, 0, Meaning::Wrong);
}

#[test]
fn a_code_may_stand_in_the_chain() {
    let chain = json!([{"code": 1004, "message": "DNS Validation Error", "error_chain": [{"code": 81057, "message": "taken"}]}]);
    let refusal = refusal(400, &chain);
    assert_eq!(refusal.meaning(), Meaning::Occupied);
    assert_eq!(refusal.to_string(), "cloudflare answered with status 400, 1004: DNS Validation Error, 81057: taken");
}

#[test]
fn errors_of_an_odd_shape_hide_none_of_the_others() {
    let errors = json!(["what", {"code": "81044"}, {"message": 7}, {"code": 81044}]);
    assert_eq!(refusal(400, &errors).meaning(), Meaning::Missing);
}

#[test]
fn a_refusal_becomes_the_error_that_it_means() {
    let error = |status| refusal(status, &Value::Null).into_backend_error(Some(Duration::from_secs(7)));
    assert!(matches!(error(403), BackendError { kind: BackendErrorKind::Denied, .. }));
    assert_eq!(error(429).retry_after, Some(Duration::from_secs(7)));
    assert!(matches!(error(502), BackendError { kind: BackendErrorKind::Unavailable, .. }));
    assert!(matches!(error(400), BackendError { kind: BackendErrorKind::Failed, .. }));
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let header =
        |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    pairs.iter().map(header).collect()
}

#[test]
fn the_rest_after_too_many_calls_is_what_cloudflare_asks_for() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (pairs, seconds) in [
        (vec![("retry-after", "17")], 17),
        (vec![("retry-after", "Sun, 06 Nov 1994 08:50:00 GMT"), date], 23),
        (vec![("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"), date], 0),
        (vec![("ratelimit", "\"default\";r=0;t=30")], 30),
        (vec![("retry-after", "5"), ("ratelimit", "\"default\";r=0;t=30")], 5),
        (vec![("retry-after", "soon")], 300),
        (vec![], 300),
        (vec![("retry-after", "999999999999")], 3600),
    ] {
        assert_eq!(pause_after_refusal(&headers(&pairs)).as_secs(), seconds, "{pairs:?}");
    }
}

#[test]
fn the_last_call_of_a_quota_is_noticed() {
    for (value, seconds) in [
        ("\"default\";r=50;t=30", None),
        ("\"default\";r=0;t=30", Some(30)),
        ("\"burst\"; r=9; t=1, \"default\"; r=0; t=200", Some(200)),
        ("nonsense", None),
    ] {
        let pause = pause_of_last_call(&headers(&[("ratelimit", value)]));
        assert_eq!(pause.map(|pause| pause.as_secs()), seconds, "{value}");
    }
    assert_eq!(pause_of_last_call(&HeaderMap::new()), None);
}
