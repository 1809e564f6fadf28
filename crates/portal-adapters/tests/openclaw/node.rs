//! The plugin that answers `/portal`, run by Node (tier `node`).

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Registers the plugin as a gateway does, runs its command in each of the contexts, and prints the texts.
const DRIVER: &str = "const [plugin, url, tokenFile, contexts] = process.argv.slice(1); let command;
    require(plugin).register({ pluginConfig: { url, tokenFile }, registerCommand: (given) => { command = given; } });
    if (command.name !== 'portal' || command.requireAuth !== true) throw new Error('not the command');
    Promise.all(JSON.parse(contexts).map((context) => command.handler(context)))
        .then((results) => console.log(JSON.stringify(results.map((result) => result.text))));";

fn texts(portal: &str, contexts: &Value) -> Vec<String> {
    let plugin: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../docs/agents/portal-command/index.js"].iter().collect();
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&token, "fpa_agent\n").unwrap();
    let output = Command::new("node")
        .arg("-e")
        .arg(DRIVER)
        .arg(plugin)
        .arg(portal)
        .arg(token.path())
        .arg(contexts.to_string())
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("fpa_agent"));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn context(session: &str) -> Value {
    json!({"channel": "signal", "senderId": "+15550100", "sessionKey": session, "isAuthorizedSender": true})
}

async fn portal(answer: ResponseTemplate, times: u64) -> MockServer {
    let portal = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/api/auth/portal-session"))
        .and(header("Authorization", "Bearer fpa_agent"))
        .and(body_json(json!({"channel": "signal", "address": "+15550100"})))
        .respond_with(answer)
        .expect(times)
        .mount(&portal)
        .await;
    portal
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier node"]
async fn whoever_asks_in_a_direct_message_gets_their_own_link() {
    let link = json!({"portal_url": "https://portal.example.org/portal/enter#code"});
    let portal = portal(ResponseTemplate::new(200).set_body_json(link), 5).await;
    let direct = [
        "agent:main:main",
        "agent:main:direct:alice",
        "agent:main:signal:direct:+15550100",
        "agent:main:signal:work:direct:+15550100",
        "AGENT:Main:Direct:Alice",
    ];
    for text in texts(&portal.uri(), &direct.map(context).into_iter().collect()) {
        assert_eq!(text, "https://portal.example.org/portal/enter#code\nThe link works once, for 10 minutes.");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier node"]
async fn nobody_gets_a_link_where_others_read_it() {
    let portal = portal(ResponseTemplate::new(200), 0).await;
    let shared = [
        "agent:main:signal:group:1",
        "agent:main:signal:channel:1",
        "agent:main:direct:alice:thread:1",
        "agent:main:signal:group:direct:1:x",
        "agent:main:cron:1",
        "agent:main:direct:",
        "",
    ];
    let mut contexts: Vec<Value> = shared.map(context).to_vec();
    contexts.push(json!({"channel": "signal", "senderId": "+15550100"}));
    contexts.push(json!({"channel": "signal", "sessionKey": "agent:main:direct:alice"}));
    for text in texts(&portal.uri(), &contexts.into()) {
        assert_eq!(text, "Ask me in a direct message for your link.");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier node"]
async fn a_stranger_and_a_portal_that_is_down_are_told_apart() {
    for (status, part) in
        [(404, "no portal with me"), (503, "try again later"), (401, "try again later"), (307, "try again later")]
    {
        let answer = ResponseTemplate::new(status).insert_header("Location", "/elsewhere");
        let portal = portal(answer, 1).await;
        let text = texts(&portal.uri(), &json!([context("agent:main:direct:alice")])).remove(0);
        assert!(text.contains(part) && !text.contains("fpa_"), "{text}");
    }
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    assert!(texts(&closed, &json!([context("agent:main:direct:alice")]))[0].contains("try again later"));
}
