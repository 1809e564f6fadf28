//! Every operation tried by everybody else: with alice's names, with spellings near them, with hints at her.

use actix_web::http::Method;
use actix_web::test::TestRequest;

use serde_json::json;

use crate::fixture::{Fixture, Reply};
use crate::operations::{Named, OPERATIONS, OWNER, Operation, PRIVATE, Treasure};

/// The intruders: a stranger, a prefix of alice's id, one of whose id hers is a prefix, and the rest of that.
const INTRUDERS: [&str; 4] = ["bob", "al", "alice-b", "b"];

/// A name of alice's, and what might be taken for it.
fn spellings(name: &str) -> Vec<String> {
    let look_alike = name.replace('a', "%D0%B0").replace('e', "%D0%B5").replace('o', "%D0%BE");
    let mut prefix = name.to_owned();
    prefix.pop();
    vec![
        name.to_owned(),
        name.to_uppercase(),
        prefix,
        look_alike,
        format!("{name}%20"),
        format!("%20{name}"),
        format!("{name}%00"),
        format!("{name}%E2%80%8B"),
        format!("{name}."),
        format!("--{name}"),
        format!("--friend=alice%20{name}"),
        format!("alice/{name}"),
        format!("alice%2f{name}"),
        format!("alice%2F{name}"),
        format!("alice:{name}"),
        format!("../alice/{name}"),
        format!("..%2falice%2f{name}"),
        format!("..%5calice%5c{name}"),
        format!("%2e%2e%2falice%2f{name}"),
        format!("{name}%2f..%2f{name}"),
        format!("{name};friend=alice"),
        format!("{name}?friend=alice&friend_id=alice&session=alice"),
        format!("{name}%27%20or%20%271%27=%271"),
        "%25".to_owned(),
        "*".to_owned(),
    ]
}

/// Says in headers that it comes from alice.
fn with_hints(asked: TestRequest) -> TestRequest {
    ["x-friend-id", "x-friend", "x-forwarded-user", "x-remote-user"]
        .into_iter()
        .fold(asked, |asked, name| asked.insert_header((name, OWNER)))
        .insert_header(("host", "alice.your-domain.net"))
        .insert_header(("x-http-method-override", "GET"))
}

/// Returns all that alice sees of her things: every reply without a name in its path.
async fn visible_to(fixture: &Fixture, token: &str) -> Vec<(String, serde_json::Value)> {
    let mut seen = Vec::new();
    for operation in OPERATIONS {
        if operation.method() == Method::GET && operation.named == Named::Nothing && operation.answers_json() {
            let path = operation.path("");
            let answer = fixture.get(&path, token).await;
            assert_eq!(answer.status, 200, "{path}: {:?}", answer.bytes);
            seen.push((path, answer.json()));
        }
    }
    seen
}

#[track_caller]
fn assert_nothing_told(answer: &Reply, asked: &str) {
    let text = String::from_utf8_lossy(&answer.bytes);
    let headers = format!("{:?}", answer.headers);
    assert!(!text.contains(PRIVATE) && !headers.contains(PRIVATE), "{asked} tells {text} {headers}");
}

/// Tries an operation whose path names something, as an intruder: it is not there, whoever it belongs to.
async fn try_names(fixture: &Fixture, operation: &Operation, name: &str, intruder: &str) {
    let token = fixture.login(intruder).await;
    let paths: Vec<_> = spellings(name).iter().map(|spelling| operation.path(spelling)).collect();
    let answers = fixture.ask_all(paths.iter().map(|path| with_hints(operation.request(path, &token)))).await;
    for (path, answer) in paths.iter().zip(answers) {
        let asked = format!("{} {path} as {intruder}", operation.method());
        assert!(matches!(answer.status.as_u16(), 404 | 405), "{asked}: {} {:?}", answer.status, answer.bytes);
        assert_nothing_told(&answer, &asked);
    }
}

/// Tries an operation that names nothing: whatever it does, it does to the intruder's own.
async fn try_own(fixture: &Fixture, operation: &Operation, intruder: &str) {
    for query in ["", "?friend=alice&friend_id=alice&id=alice&namespace=friend-alice", "?agent=main&friend[]=alice"] {
        let token = fixture.login(intruder).await;
        let path = format!("{}{query}", operation.path(""));
        let answer = fixture.ask(with_hints(operation.request(&path, &token))).await;
        let asked = format!("{} {path} as {intruder}", operation.method());
        assert!(!answer.status.is_server_error(), "{asked}: {:?}", answer.bytes);
        assert_nothing_told(&answer, &asked);
    }
}

#[actix_web::test]
async fn nobody_reaches_what_is_somebody_else_s() {
    let fixture = Fixture::new().await;
    let alice = fixture.login(OWNER).await;
    let treasure = Treasure::of(&fixture, &alice).await;
    let before = visible_to(&fixture, &alice).await;
    let log = fixture.audit_of(OWNER).await;
    assert!(before.iter().any(|(_, answer)| answer.to_string().contains(PRIVATE)), "alice has nothing to hide");
    for operation in OPERATIONS {
        for intruder in INTRUDERS {
            if operation.named == Named::Nothing {
                try_own(&fixture, operation, intruder).await;
            } else {
                try_names(&fixture, operation, treasure.name(operation.named), intruder).await;
            }
        }
    }
    assert_eq!(visible_to(&fixture, &alice).await, before);
    assert_eq!(fixture.audit_of(OWNER).await, log);
}

#[actix_web::test]
async fn no_operation_works_without_a_session_or_with_an_agent_s_token() {
    let fixture = Fixture::new().await;
    let alice = fixture.login(OWNER).await;
    let treasure = Treasure::of(&fixture, &alice).await;
    let before = visible_to(&fixture, &alice).await;
    for operation in OPERATIONS {
        let path = operation.path(treasure.name(operation.named));
        fixture.ask(operation.request(&path, "")).await.assert_problem(401, "session-missing");
        fixture.ask(operation.request(&path, "fpa_main")).await.assert_problem(401, "session-invalid");
        fixture.ask(operation.request(&path, &alice.to_uppercase())).await.assert_problem(401, "session-invalid");
    }
    assert_eq!(visible_to(&fixture, &alice).await, before);
}

#[actix_web::test]
async fn an_agent_that_is_not_one_s_own_and_active_is_not_there() {
    let fixture = Fixture::new().await;
    let alice = fixture.login(OWNER).await;
    let treasure = Treasure::of(&fixture, &alice).await;
    let before = visible_to(&fixture, &alice).await;
    // `second` works for alice alone; `old` is kept from her; nobody has the others.
    let tries = [(OWNER, "old"), ("bob", "second"), ("al", "old"), ("bob", "none"), ("bob", ""), ("bob", "MAIN")];
    let near = ["m%D0%B0in", "main%20", "main%00", "--main", "..%2Fmain", "main%2F..%2Fsecond", "main,second", "*"];
    for (who, agent) in tries.into_iter().chain(near.map(|agent| ("bob", agent))) {
        let token = fixture.login(who).await;
        let asked = OPERATIONS.iter().filter(|operation| operation.name.contains("/workspace")).map(|operation| {
            let path = format!("{}?agent={agent}", operation.path(treasure.name(operation.named)));
            with_hints(operation.request(&path, &token))
        });
        for answer in fixture.ask_all(asked).await {
            answer.assert_problem(404, "agent-not-found");
        }
    }
    let own = fixture.get("/api/portal/workspace/crons?agent=second", &alice).await;
    assert_eq!(own.status, 200, "{:?}", own.bytes);
    let twice = fixture.get("/api/portal/workspace/crons?agent=main&agent=second", &alice).await;
    twice.assert_problem(400, "query-malformed");
    assert_eq!(without_sessions(visible_to(&fixture, &alice).await), without_sessions(before));
}

/// Logging in as alice on the way adds to her sessions and her activity.
fn without_sessions(mut seen: Vec<(String, serde_json::Value)>) -> Vec<(String, serde_json::Value)> {
    seen.retain(|(path, _)| !path.ends_with("/sessions") && !path.ends_with("/activity"));
    seen
}

#[actix_web::test]
async fn nobody_schedules_a_message_into_somebody_else_s_conversation() {
    let fixture = Fixture::new().await;
    let alice = fixture.login(OWNER).await;
    Treasure::of(&fixture, &alice).await;
    let before = visible_to(&fixture, &alice).await;
    for intruder in INTRUDERS {
        let token = fixture.login(intruder).await;
        for session in [
            "agent:main:direct:alice",
            "agent:main:direct:channel:alice",
            "agent:main:direct:signal:+15550100",
            "agent:main:signal:direct:+15550100",
            "agent:main:signal:account:direct:+15550100",
            "AGENT:MAIN:DIRECT:ALICE",
            "agent:main:direct:\u{430}lice",
            "agent:main:direct:alice ",
            "agent:main:direct::alice",
            "agent:main:direct:bob:alice",
            "agent:main:direct:alice:thread:1",
            "agent:second:direct:alice",
            "agent:main:main",
            "agent:main:cron:alice",
            "main",
            "alice",
            "--session=alice",
            "../alice",
        ] {
            let job = json!({"name": "x", "message": "x", "cron": "@daily", "session": session});
            let answer = fixture.post("/api/portal/workspace/crons", &token, job).await;
            answer.assert_problem(403, "session-not-owned");
        }
        assert_eq!(fixture.get("/api/portal/workspace/crons", &token).await.json(), json!({"jobs": []}));
    }
    assert_eq!(visible_to(&fixture, &alice).await, before);
}
