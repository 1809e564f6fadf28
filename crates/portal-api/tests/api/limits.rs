//! The limits of a friend, as they meet them over HTTP.

use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::http::Method;
use portal_api::{LimitSettings, Limits, Rate};

use crate::fixture::{Fixture, request};

const ONE: NonZeroU32 = NonZeroU32::MIN;

/// One write per second and no more at once; reads as usual.
fn one_write() -> Limits {
    let writes = Rate { per_second: ONE, burst: ONE };
    Limits::new(LimitSettings { writes, ..LimitSettings::default() })
}

#[actix_web::test]
async fn a_friend_who_asks_too_often_is_told_when_to_ask_again_and_nobody_else_is() {
    let mut fixture = Fixture::new().await;
    fixture.settings.limits = one_write();
    let (alice, bob) = (fixture.login("alice").await, fixture.login("bob").await);
    let path = "/api/portal/sessions/00ff";
    // Within a second at least two of any three come too early for the second.
    let mut limited = None;
    for _ in 0..20 {
        let response = fixture.delete(path, &alice).await;
        if response.status == 429 {
            limited = Some(response);
            break;
        }
    }
    let limited = limited.expect("a response with 429");
    limited.assert_problem(429, "rate-limited");
    assert!(limited.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert!(limited.header("ratelimit").unwrap().starts_with("\"writes\";r=0;t="), "{:?}", limited.headers);
    assert_eq!(limited.header("ratelimit-policy"), Some("\"writes\";q=1;w=1"));
    assert_eq!(fixture.delete(path, &bob).await.status, 404);
    assert_eq!(fixture.get("/api/portal/me", &alice).await.status, 200, "reads are counted apart");
}

#[actix_web::test]
async fn strangers_are_not_limited_but_refused() {
    let mut fixture = Fixture::new().await;
    fixture.settings.limits = one_write();
    for _ in 0..20 {
        fixture.delete("/api/portal/sessions/00ff", "fps_x").await.assert_problem(401, "session-invalid");
    }
}

#[actix_web::test]
async fn a_request_that_ended_is_not_in_flight() {
    let mut fixture = Fixture::new().await;
    let settings = LimitSettings { in_flight: ONE, wait: Duration::from_millis(100), ..LimitSettings::default() };
    fixture.settings.limits = Limits::new(settings);
    let token = fixture.login("alice").await;
    let requests = (0..5).map(|_| request(Method::GET, "/api/portal/me", &token));
    assert!(fixture.ask_all(requests).await.iter().all(|response| response.status == 200));
}
