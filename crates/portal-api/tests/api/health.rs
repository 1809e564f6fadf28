//! Liveness, readiness and the documentation.

use actix_web::test::TestRequest;
use serde_json::json;

use crate::world::{Answer, World};

async fn ask(world: &World, path: &str) -> Answer {
    world.ask(TestRequest::get().uri(path)).await
}

#[actix_web::test]
async fn anybody_may_ask_whether_the_portal_is_there() {
    let world = World::new().await;
    world.people.go_down("gone");
    world.database.switch.go_down();
    for path in ["/livez", "/api/health"] {
        assert_eq!(ask(&world, path).await.json(), json!({"ok": true, "version": env!("CARGO_PKG_VERSION")}));
    }
}

#[actix_web::test]
async fn readiness_names_what_is_missing_and_waits_only_for_what_is_required() {
    let world = World::new().await;
    world.cluster.switch.go_down();
    let answer = ask(&world, "/readyz").await;
    assert_eq!(answer.status, 200);
    let check = |name, required, ok| json!({"name": name, "required": required, "ok": ok});
    assert_eq!(
        answer.json(),
        json!({"ready": true, "checks": [check("database", true, true), check("cluster", false, false)]})
    );
}

#[actix_web::test]
async fn without_its_database_the_portal_is_not_ready() {
    let world = World::new().await;
    world.database.switch.go_down();
    let problem = ask(&world, "/readyz").await.assert_problem(503, "not-ready");
    assert_eq!(problem["errors"], json!([{"field": "database", "message": "database is not there"}]));
}

#[actix_web::test]
async fn a_portal_that_is_about_to_stop_is_not_ready() {
    let world = World::new().await;
    world.state.readiness.drain();
    let answer = ask(&world, "/readyz").await;
    answer.assert_problem(503, "not-ready");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(ask(&world, "/livez").await.status, 200);
}

#[actix_web::test]
async fn the_documentation_comes_whole_from_the_portal() {
    let world = World::new().await;
    let moved = ask(&world, "/docs").await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (308, Some("docs/")));
    let page = ask(&world, "/docs/").await;
    let text = String::from_utf8(page.bytes.to_vec()).unwrap();
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{:?}", page.headers);
    assert!(text.contains("swagger-ui") && !text.contains("https://"), "{text}");
    let start = ask(&world, "/docs/swagger-initializer.js").await;
    assert!(String::from_utf8(start.bytes.to_vec()).unwrap().contains("../openapi.json"));
    assert_eq!(ask(&world, "/openapi.json").await.json()["openapi"], "3.1.0");
    ask(&world, "/docs/none.js").await.assert_problem(404, "not-found");
}
