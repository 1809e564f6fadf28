//! The requests that are sent, byte for byte, and what each status and code turns into.

use std::time::Duration;

use portal_adapters::cloudflare::{CloudflareApi, CloudflareRecords, CloudflareSettings, ZoneName};
use portal_core::{BackendError, BackendErrorKind};
use portal_dns::{Ensured, Hostname, Observed, OwnershipMarker, Records, Removed};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{MARKER, ZONE, address, alice, domain, host, records, records_of, tunnel};

const TOKEN: &str = "the-token";
const RECORDS: &str = "/zones/0a1b/dns_records";

fn records_at(server: &MockServer) -> CloudflareRecords {
    records(&server.uri(), TOKEN, ZoneName::Id("0a1b".to_owned()))
}

fn result(result: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"success": true, "errors": [], "messages": [], "result": result}))
}

fn refusal(status: u16, code: u32) -> ResponseTemplate {
    let errors = json!([{"code": code, "message": "no"}]);
    ResponseTemplate::new(status).set_body_json(json!({"success": false, "errors": errors, "result": null}))
}

fn record(kind: &str, content: &str) -> Value {
    commented("r1", kind, content, &json!(MARKER))
}

fn commented(id: &str, kind: &str, content: &str, comment: &Value) -> Value {
    let name = host().to_string();
    json!({"id": id, "name": name, "type": kind, "content": content, "ttl": 600, "proxied": false, "comment": comment})
}

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(answer).mount(&server).await;
    server
}

/// Lets a look at the name be answered with these records.
async fn list(server: &MockServer, records: Value) {
    Mock::given(method("GET"))
        .and(path(RECORDS))
        .and(query_param("name", host().as_str()))
        .and(header("authorization", format!("Bearer {TOKEN}").as_str()))
        .respond_with(result(&records))
        .expect(1)
        .mount(server)
        .await;
}

/// Expects one call with this body.
async fn expect(server: &MockServer, verb: &str, to: &str, body: &Value) {
    Mock::given(method(verb))
        .and(path(to))
        .and(header("authorization", format!("Bearer {TOKEN}").as_str()))
        .and(header("content-type", "application/json"))
        .and(body_json(body))
        .respond_with(result(&json!({"id": "r1"})))
        .expect(1)
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_look_asks_for_all_types_at_the_name() {
    let server = MockServer::start().await;
    list(&server, json!([])).await;
    assert_eq!(records_at(&server).look(&host(), &alice()).await.unwrap(), Observed::Absent);
}

#[tokio::test]
async fn a_new_record_carries_its_mark_as_comment_and_an_automatic_ttl_if_proxied() {
    for (wanted, ttl) in [(tunnel(true), 1), (tunnel(false), 600)] {
        let server = MockServer::start().await;
        let body = json!({"type": "CNAME", "name": "app-alice.example.org", "content": "tunnel.example.net", "ttl": ttl,
            "proxied": wanted.proxied, "comment": MARKER});
        expect(&server, "POST", RECORDS, &body).await;
        let ensured = records_at(&server).ensure(&host(), &wanted, &Observed::Absent, &alice()).await.unwrap();
        assert_eq!(ensured, Ensured::Created);
    }
}

#[tokio::test]
async fn a_record_is_changed_by_its_id() {
    let server = MockServer::start().await;
    list(&server, json!([record("A", "192.0.2.99")])).await;
    let body = json!({"type": "A", "name": "app-alice.example.org", "content": "192.0.2.7", "ttl": 600, "proxied": false,
        "comment": MARKER});
    expect(&server, "PATCH", "/zones/0a1b/dns_records/r1", &body).await;
    let ensured = records_at(&server).ensure(&host(), &address(7), &Observed::Foreign, &alice()).await.unwrap();
    assert_eq!(ensured, Ensured::Changed);
}

#[tokio::test]
async fn a_record_that_changes_its_type_is_replaced_in_one_call() {
    let server = MockServer::start().await;
    list(&server, json!([record("A", "192.0.2.7")])).await;
    let new = json!({"type": "CNAME", "name": "app-alice.example.org", "content": "tunnel.example.net", "ttl": 600,
        "proxied": false, "comment": MARKER});
    let body = json!({"deletes": [{"id": "r1"}], "posts": [new]});
    expect(&server, "POST", "/zones/0a1b/dns_records/batch", &body).await;
    let ensured = records_at(&server).ensure(&host(), &tunnel(false), &Observed::Foreign, &alice()).await.unwrap();
    assert_eq!(ensured, Ensured::Changed);
}

#[tokio::test]
async fn a_record_is_deleted_by_its_id_and_a_second_deletion_is_no_failure() {
    for answer in [result(&json!({"id": "r1"})), refusal(404, 81044)] {
        let server = MockServer::start().await;
        list(&server, json!([record("A", "192.0.2.7")])).await;
        let deletion = Mock::given(method("DELETE")).and(path("/zones/0a1b/dns_records/r1"));
        deletion.respond_with(answer).expect(1).mount(&server).await;
        let removed =
            records_at(&server).remove(&host(), &OwnershipMarker::parse(MARKER).unwrap(), &alice()).await.unwrap();
        assert_eq!(removed, Removed::Done);
    }
}

/// Records at the name that do not carry our marker: of another exposure, of another portal, of nobody, and of people
/// who write something like a marker.
fn not_ours() -> Vec<Value> {
    let other_exposure = MARKER.replace("ffeeddcc", "00000000");
    let other_portal = MARKER.replace("00112233", "ffffffff");
    let almost =
        [format!("{MARKER} "), format!("see {MARKER}"), MARKER.to_uppercase(), MARKER[..MARKER.len() - 1].to_owned()];
    let texts = [other_exposure, other_portal, String::new()].into_iter().chain(almost).map(Value::String);
    let comments = texts.chain([Value::Null, json!(17)]).map(|comment| (comment, "A", "192.0.2.7"));
    let others = comments.chain([(json!(MARKER), "TXT", "a comment of ours at a type that we never make")]);
    let numbered =
        others.zip(2..).map(|((comment, kind, content), id)| commented(&format!("r{id}"), kind, content, &comment));
    numbered.collect()
}

#[tokio::test]
async fn a_record_without_our_mark_is_neither_changed_nor_deleted() {
    for theirs in not_ours() {
        let server = answering(result(&json!([theirs]))).await;
        let records = records_at(&server);
        for seen in [Observed::Foreign, Observed::Marked(address(7))] {
            // What it says may well be what we want; that does not make it ours.
            for wanted in [address(7), address(8), tunnel(false)] {
                let ensured = records.ensure(&host(), &wanted, &seen, &alice()).await.unwrap();
                assert_eq!(ensured, Ensured::Foreign, "{theirs}");
            }
        }
        let removed = records.remove(&host(), &OwnershipMarker::parse(MARKER).unwrap(), &alice()).await.unwrap();
        assert_eq!(removed, Removed::Foreign, "{theirs}");
        let asked = server.received_requests().await.unwrap();
        assert!(asked.iter().all(|request| request.method.as_str() == "GET"), "{theirs}: {asked:?}");
    }
}

#[tokio::test]
async fn beside_a_record_of_ours_only_ours_is_deleted() {
    let server = MockServer::start().await;
    let mut records = not_ours();
    records.insert(3, record("A", "192.0.2.7"));
    list(&server, json!(records)).await;
    // A call to any other id has no answer but 404.
    let deletion = Mock::given(method("DELETE")).and(path("/zones/0a1b/dns_records/r1"));
    deletion.respond_with(result(&json!({"id": "r1"}))).expect(1).mount(&server).await;
    let removed =
        records_at(&server).remove(&host(), &OwnershipMarker::parse(MARKER).unwrap(), &alice()).await.unwrap();
    assert_eq!(removed, Removed::Done);
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_zone_is_looked_up_by_its_name_once() {
    let server = MockServer::start().await;
    let zones = json!([{"id": "ffff", "name": "other.example.org"}, {"id": "0a1b", "name": ZONE}]);
    let lookup = Mock::given(path("/zones")).and(query_param("name", ZONE)).respond_with(result(&zones));
    lookup.expect(1).mount(&server).await;
    Mock::given(path(RECORDS)).respond_with(result(&json!([]))).expect(2).mount(&server).await;
    let records = records(&server.uri(), TOKEN, ZoneName::Name(domain(ZONE)));
    for _ in 0..2 {
        assert_eq!(records.look(&host(), &alice()).await.unwrap(), Observed::Absent);
    }
}

#[tokio::test]
async fn a_zone_that_the_token_does_not_show_is_a_matter_of_rights() {
    let server = answering(result(&json!([{"id": "ffff", "name": "other.example.org"}]))).await;
    let records = records(&server.uri(), TOKEN, ZoneName::Name(domain(ZONE)));
    assert!(matches!(records.look(&host(), &alice()).await, Err(BackendError { kind: BackendErrorKind::Denied, .. })));
}

/// Returns the error of a look that gets this answer.
async fn failure(answer: ResponseTemplate) -> BackendError {
    let server = answering(answer).await;
    let error = records_at(&server).look(&host(), &alice()).await.unwrap_err();
    assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
    error
}

#[tokio::test]
async fn refusals_of_the_token_are_denials() {
    for answer in [refusal(401, 1), refusal(403, 10000), refusal(400, 9109), ResponseTemplate::new(403)] {
        let error = failure(answer.clone()).await;
        assert!(matches!(error, BackendError { kind: BackendErrorKind::Denied, .. }), "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_failing_cloudflare_is_unavailable() {
    let html = ResponseTemplate::new(502).set_body_string("<html>Bad gateway</html>");
    let slow = result(&json!([])).set_delay(Duration::from_secs(5));
    for answer in [html, slow, ResponseTemplate::new(500), refusal(503, 1)] {
        let error = failure(answer.clone()).await;
        assert!(matches!(error, BackendError { kind: BackendErrorKind::Unavailable, .. }), "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_are_failures_and_never_an_absence() {
    let elsewhere = json!([{"id": "r1", "name": "other-alice.example.org", "type": "A", "content": "192.0.2.7"}]);
    for answer in [
        ResponseTemplate::new(200).set_body_string("<html>hello</html>"),
        ResponseTemplate::new(200).set_body_string(""),
        ResponseTemplate::new(302).insert_header("location", "/elsewhere"),
        result(&Value::Null),
        result(&json!({})),
        result(&elsewhere),
        refusal(200, 1004),
        refusal(400, 1004),
        refusal(404, 7003),
    ] {
        let error = failure(answer.clone()).await;
        assert!(matches!(error, BackendError { kind: BackendErrorKind::Failed, .. }), "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let records = records("http://127.0.0.1:1/", TOKEN, ZoneName::Id("0a1b".to_owned()));
    assert!(matches!(
        records.look(&host(), &alice()).await,
        Err(BackendError { kind: BackendErrorKind::Unavailable, .. })
    ));
}

#[tokio::test]
async fn after_a_429_nobody_calls_until_the_time_is_over() {
    let limited = refusal(429, 10429).insert_header("retry-after", "40");
    let server = answering(limited).await;
    let records = records_at(&server);
    for _ in 0..3 {
        let error = records.look(&host(), &alice()).await.unwrap_err();
        assert!(error.retry_after.is_some_and(|after| after.as_secs() >= 39), "{error:?}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn after_the_last_call_of_a_quota_nobody_calls_until_it_is_renewed() {
    let server = answering(result(&json!([])).insert_header("ratelimit", "\"default\";r=0;t=40")).await;
    let records = records_at(&server);
    assert_eq!(records.look(&host(), &alice()).await.unwrap(), Observed::Absent);
    assert!(records.look(&host(), &alice()).await.unwrap_err().retry_after.is_some());
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_odd_record_spoils_no_list() {
    let server =
        answering(result(&json!([17, {"type": "X"}, {"name": 3}, record("CNAME", "tunnel.example.net")]))).await;
    assert_eq!(records_at(&server).list().await.unwrap(), [(host(), Observed::Marked(tunnel(false)))]);
    // At the name itself, what cannot be read is somebody else's.
    let beside = Observed::Several { marked: vec![tunnel(false)], others: true };
    assert_eq!(records_at(&server).look(&host(), &alice()).await.unwrap(), beside);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let settings = |token: &str, url: Option<&str>| CloudflareSettings {
        api_url: url.map(str::to_owned),
        ..CloudflareSettings::with_token(token.to_owned().into())
    };
    for (token, url, refused) in [
        ("token", None, None),
        ("token\n", None, None),
        ("token", Some("http://127.0.0.1:1"), None),
        ("", None, Some("token")),
        ("to\nken", None, Some("token")),
        ("token", Some("api.cloudflare.com"), Some("api_url")),
        ("token", Some("file:///etc/passwd"), Some("api_url")),
        ("token", Some("https://api.example.org/?x=1"), Some("api_url")),
    ] {
        let read = CloudflareApi::new(&settings(token, url));
        assert_eq!(read.err().map(|invalid| invalid.field), refused, "{token:?} {url:?}");
    }
    assert!(!format!("{:?}", settings("the-token", None)).contains("the-token"));
}

/// Answers a call for zones of this name with a zone that Cloudflare calls `shown`.
async fn zone(server: &MockServer, asked: &str, shown: Option<&str>) {
    let zones: Vec<_> = shown.iter().map(|name| json!({"id": "0a1b", "name": name})).collect();
    Mock::given(method("GET"))
        .and(path("/zones"))
        .and(query_param("name", asked))
        .respond_with(result(&json!(zones)))
        .mount(server)
        .await;
}

#[tokio::test]
async fn an_internationalized_zone_is_found_by_whichever_name_cloudflare_knows_it() {
    let (ours, unicode) = ("xn--mnchen-3ya.example", "m\u{fc}nchen.example");
    let answers = [
        [(ours, Some(unicode)), (unicode, None)],
        [(ours, Some(ours)), (unicode, None)],
        [(ours, None), (unicode, Some(unicode))],
    ];
    for answers in answers {
        let server = MockServer::start().await;
        for (asked, shown) in answers {
            zone(&server, asked, shown).await;
        }
        let name = format!("app-alice.{unicode}");
        let stands = json!([{"id": "r1", "name": name, "type": "A", "content": "192.0.2.7", "ttl": 600,
            "proxied": false, "comment": MARKER}]);
        Mock::given(method("GET")).and(path(RECORDS)).respond_with(result(&stands)).mount(&server).await;
        let records = records_of(&server.uri(), ours);
        let host = Hostname::parse(&format!("app-alice.{ours}")).unwrap();
        assert_eq!(records.look(&host, &alice()).await.unwrap(), Observed::Marked(address(7)), "{answers:?}");
        assert_eq!(records.list().await.unwrap(), [(host, Observed::Marked(address(7)))], "{answers:?}");
    }
    let server = MockServer::start().await;
    zone(&server, ours, None).await;
    zone(&server, unicode, Some("xn--mnchen-3ya.example.org")).await;
    let host = Hostname::parse(&format!("app-alice.{ours}")).unwrap();
    let refused = records_of(&server.uri(), ours).look(&host, &alice()).await.unwrap_err();
    assert_eq!(refused.kind, BackendErrorKind::Denied);
}
