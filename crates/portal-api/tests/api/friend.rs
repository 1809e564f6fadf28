//! `/me`, `/agents`, `/domains`.

use portal_core::FriendshipStatus;
use serde_json::json;

use crate::fixture::{CAUSE, Fixture};

#[actix_web::test]
async fn me_is_the_specification_s_example() {
    let fixture = Fixture::new().await;
    let answer = fixture.get("/api/portal/me", &fixture.login("alice").await).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({
            "id": "alice",
            "display_name": "Alice",
            "preferred_channel": "signal",
            "namespace": "friend-alice",
            "stats": {"logs": 42, "secrets": 3}
        })
    );
}

#[actix_web::test]
async fn a_stat_that_cannot_be_counted_is_null_and_the_rest_is_told() {
    let fixture = Fixture::new().await;
    let token = fixture.login("bob").await;
    fixture.logs.switch.go_down();
    fixture.secrets.switch.go_down();
    let answer = fixture.get("/api/portal/me", &token).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["stats"], json!({"logs": null, "secrets": null}));
    assert_eq!(answer.json()["preferred_channel"], json!(null));
}

#[actix_web::test]
async fn agents_are_listed_with_how_they_stand() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    fixture.befriend("second", "alice", FriendshipStatus::Inactive).await;
    let answer = fixture.get("/api/portal/agents", &token).await;
    let agent = |agent, status| json!({"agent_id": agent, "friend_id": "alice", "status": status, "created_at": "2026-03-01T10:00:00Z"});
    assert_eq!(answer.json(), json!([agent("main", "active"), agent("old", "blocked"), agent("second", "inactive")]));
}

#[actix_web::test]
async fn domains_are_strings_with_the_default_first() {
    let fixture = Fixture::new().await;
    let answer = fixture.get("/api/portal/domains", &fixture.login("alice").await).await;
    assert_eq!(answer.json(), json!(["your-domain.net", "other.example"]));
}

#[actix_web::test]
async fn a_database_that_cannot_be_asked_is_503_and_never_an_empty_list_or_401() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    for looked_up_before in [false, true] {
        if looked_up_before {
            fixture.outage.come_back();
            assert_eq!(fixture.get("/api/portal/me", &token).await.status, 200);
        }
        fixture.outage.go_down(CAUSE);
        let asks_each_time = ["/api/portal/agents", "/api/portal/sessions"];
        let asks_for_the_session = (!looked_up_before).then_some("/api/portal/me");
        for path in asks_for_the_session.into_iter().chain(asks_each_time) {
            let answer = fixture.get(path, &token).await;
            answer.assert_problem(503, "database-unavailable");
            assert_eq!(answer.header("retry-after"), Some("5"), "{path}");
        }
    }
}
