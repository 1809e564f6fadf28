use actix_web::FromRequest;
use actix_web::test::TestRequest;
use futures::StreamExt;
use serde::Deserialize;

use super::Json;
use crate::error::Problem;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    #[serde(default)]
    inner: Option<Inner>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    port: u16,
}

async fn read(content_type: &str, body: &'static str) -> Result<Wanted, Problem> {
    let request = TestRequest::post().insert_header(("content-type", content_type)).set_payload(body);
    let (request, mut payload) = request.to_http_parts();
    let read = Json::<Wanted, 100>::from_request(&request, &mut payload).await;
    read.map(|Json(wanted)| wanted).map_err(|error| error.problem("r"))
}

#[track_caller]
fn check(problem: &Problem, status: u16, code: &str, field: Option<&str>, mentions: &str) {
    let named = problem.errors.first().map(|error| error.field.as_str());
    assert_eq!((problem.status, problem.code, named), (status, code, field), "{problem:?}");
    assert!(problem.detail.contains(mentions), "{:?} does not mention {mentions:?}", problem.detail);
}

async fn refused(body: &'static str) -> Problem {
    read("application/json", body).await.expect_err(body)
}

#[actix_web::test]
async fn a_body_is_read() {
    let wanted = Wanted { name: "\\u0000".to_owned(), inner: Some(Inner { port: 1 }) };
    for media_type in ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/x+json"]
    {
        let body = r#"{"name":"\\u0000","inner":{"port":1}}"#;
        assert_eq!(read(media_type, body).await.expect(media_type), wanted);
    }
}

#[actix_web::test]
async fn what_is_not_wanted_is_named_by_its_path() {
    let body = "body-malformed";
    check(&refused("").await, 400, body, None, "missing");
    check(&refused("{").await, 400, body, None, "not JSON");
    check(&refused(r#"{"name":"a"} x"#).await, 400, body, None, "not JSON");
    check(&refused(r#"{"inner":null}"#).await, 400, body, Some("name"), "missing field `name`");
    check(&refused(r#"{"name":"a","inner":{}}"#).await, 400, body, Some("inner"), "missing field `port`");
    check(&refused(r#"{"name":"a","nom":"b"}"#).await, 400, body, Some("nom"), "unknown field `nom`");
}

#[actix_web::test]
async fn a_value_of_the_wrong_type_is_told_what_it_must_be_in_words_for_people() {
    for (body, field, detail) in [
        (r#"{"name":1}"#, Some("name"), "name must be a text in quotes."),
        (r#"{"name":null}"#, Some("name"), "name must be a text in quotes."),
        (r#"{"name":"a","inner":[]}"#, Some("inner"), "inner"),
        (r#"{"name":"a","inner":"b, expected u8"}"#, Some("inner"), "inner must be an object."),
        (
            r#"{"name":"a","inner":{"port":70000}}"#,
            Some("inner.port"),
            "inner.port must be a whole number from 0 to 65535.",
        ),
        (
            r#"{"name":"a","inner":{"port":-1}}"#,
            Some("inner.port"),
            "inner.port must be a whole number from 0 to 65535.",
        ),
        (
            r#"{"name":"a","inner":{"port":1.5}}"#,
            Some("inner.port"),
            "inner.port must be a whole number from 0 to 65535.",
        ),
        (
            r#"{"name":"a","inner":{"port":"80"}}"#,
            Some("inner.port"),
            "inner.port must be a whole number from 0 to 65535.",
        ),
        ("\"name\"", None, "The body must be an object."),
        ("1", None, "The body must be an object."),
    ] {
        check(&refused(body).await, 400, "body-malformed", field, detail);
    }
}

#[actix_web::test]
async fn a_body_that_does_not_come_is_given_up() {
    tokio::time::pause();
    let request = TestRequest::post().insert_header(("content-type", "application/json")).to_http_request();
    let first = futures::stream::iter([Ok(bytes::Bytes::from_static(b"{\"name\":"))]);
    let payload = first.chain(futures::stream::pending()).boxed_local();
    let started = tokio::time::Instant::now();
    let mut payload = actix_web::dev::Payload::Stream { payload };
    let read = Json::<Wanted, 100>::from_request(&request, &mut payload).await;
    check(&read.expect_err("half a body").problem("r"), 408, "body-late", None, "in time");
    assert!(started.elapsed() >= super::BODY_TIME);
}

#[actix_web::test]
async fn a_list_is_not_taken_for_the_members_in_order() {
    for list in ["[]", r#"["a",null]"#, " \n[\"a\",{\"port\":1}]"] {
        check(&refused(list).await, 400, "body-malformed", None, "object, not a list");
    }
    check(&refused(r#"["a""#).await, 400, "body-malformed", None, "not JSON");
}

#[actix_web::test]
async fn a_body_too_large_or_not_json_is_not_read() {
    let long = r#"{"name":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#;
    check(&refused(long).await, 413, "body-too-large", None, "100 bytes");
    let typed = read("application/x-www-form-urlencoded", r#"{"name":"a"}"#).await;
    check(&typed.expect_err("a form"), 415, "media-type-unsupported", None, "application/json");
}

#[actix_web::test]
async fn no_text_may_hold_the_null_character() {
    check(&refused(r#"{"name":"a\u0000b"}"#).await, 422, "value-invalid", Some("body"), "U+0000");
}

#[actix_web::test]
async fn a_refusal_repeats_little_of_what_was_sent() {
    let long = "x".repeat(60_000);
    for body in [
        format!(r#"{{"name":"a","{long}":1}}"#),
        format!(r#"{{"name":"a","{long}, expected y":1}}"#),
        format!(r#"{{"name":"a","inner":"{long}"}}"#),
        format!(r#"{{"name":"a","inner":{{"{long}":1}}}}"#),
    ] {
        let request = TestRequest::post().insert_header(("content-type", "application/json")).set_payload(body);
        let (request, mut payload) = request.to_http_parts();
        let refused = Json::<Wanted, 100_000>::from_request(&request, &mut payload).await.unwrap_err();
        let said = serde_json::to_string(&refused.problem("r")).unwrap();
        assert!(!said.contains(&"x".repeat(101)) && said.len() < 1500, "{} bytes: {said:.300}", said.len());
    }
}

#[actix_web::test]
async fn a_member_is_refused_by_a_rule_with_a_name() {
    let rule = async |body| refused(body).await.errors.first().map(|error| error.rule);
    assert_eq!(rule(r#"{"inner":null}"#).await, Some("required"));
    assert_eq!(rule(r#"{"name":"a","nom":"b"}"#).await, Some("unknown"));
    assert_eq!(rule(r#"{"name":1}"#).await, Some("type"));
}
