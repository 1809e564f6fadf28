//! The gateway in this process against real ones: the same calls, and the same answers as far as the portal reads them.

use portal_adapters::openclaw::{CallError, CallKind, GatewayClient};
use serde_json::{Value, json};

use crate::fake::{Fake, Version};
use crate::real::{GATEWAY_TOKEN, Gateway};

/// Members of an answer that are compared. Ids, times and revisions are blanked, and what nobody reads is left out.
const MEMBERS: [&str; 16] = [
    "ok",
    "name",
    "enabled",
    "schedule",
    "sessionTarget",
    "sessionKey",
    "agentId",
    "description",
    "declarationKey",
    "created",
    "updated",
    "removed",
    "enqueued",
    "ran",
    "total",
    "hasMore",
];

/// A call that was made, and the part of its answer that is compared.
type Played = (String, Value);

struct Player<'a> {
    client: &'a GatewayClient,
    ids: Vec<String>,
    played: Vec<Played>,
}

impl Player<'_> {
    async fn call(&mut self, method: &str, params: Value) {
        let answered = self.client.call(CallKind::Write, method, params.clone()).await;
        let compared = match &answered {
            Ok(answer) => {
                let job = answer.get("job").unwrap_or(answer);
                if method == "cron.add" && answer["created"] != false {
                    self.ids.push(job["id"].as_str().unwrap().to_owned());
                }
                let mut compared = brief(answer, job);
                // A real gateway has jobs of its own, which a list counts.
                if method == "cron.list" {
                    compared.as_object_mut().unwrap().remove("total");
                }
                compared
            }
            Err(CallError::Refused(refusal)) => json!({"code": refusal.code, "detail": refusal.detail_code()}),
            Err(CallError::Unavailable(error)) => panic!("{method} {params}: {}", error.source),
        };
        let number = self.played.len();
        // The ids differ from one gateway to the next.
        let params = self
            .ids
            .iter()
            .enumerate()
            .fold(params.to_string(), |text, (number, id)| text.replace(id, &format!("#{number}")));
        self.played.push((format!("{number} {method} {params}"), compared));
    }

    fn id(&self, number: usize) -> &str {
        &self.ids[number]
    }
}

fn brief(answer: &Value, job: &Value) -> Value {
    let mut brief = json!({});
    for member in MEMBERS {
        if let Some(value) = job.get(member).or_else(|| answer.get(member)) {
            brief[member] = value.clone();
        }
    }
    for (member, parts) in
        [("payload", &["kind", "message", "thinking", "timeoutSeconds"][..]), ("delivery", &["mode"])]
    {
        for part in parts {
            if let Some(value) = job[member].get(part) {
                brief[format!("{member}.{part}")] = value.clone();
            }
        }
    }
    // An interval is counted from a moment of the gateway's own.
    if let Some(schedule) = brief.get_mut("schedule").and_then(Value::as_object_mut) {
        schedule.remove("anchorMs");
    }
    brief["jobs"] = answer["jobs"].as_array().map(Vec::len).into();
    brief["hasRunId"] = answer["runId"].is_string().into();
    brief
}

fn job(target: &str, key: Option<&str>) -> Value {
    let mut job = json!({
        "name": "t", "schedule": {"kind": "cron", "expr": "0 9 * * *", "tz": "Europe/Berlin", "staggerMs": 0},
        "sessionTarget": target, "wakeMode": "now", "payload": {"kind": "agentTurn", "message": "Say hi"},
        "delivery": {"mode": "none"},
    });
    if let Some(key) = key {
        job["sessionKey"] = key.into();
    }
    job
}

fn with(mut job: Value, member: &str, value: Value) -> Value {
    job[member] = value;
    job
}

const ALICE: &str = "agent:main:direct:alice";

/// Makes the calls in their order; a newer gateway takes 30 of each kind in a minute.
async fn play(client: &GatewayClient) -> Vec<Played> {
    let mut player = Player { client, ids: Vec::new(), played: Vec::new() };
    let session = format!("session:{ALICE}");
    for (target, key) in [
        (session.as_str(), None),
        (session.as_str(), Some(ALICE)),
        ("session:agent:main:direct:bob", None),
        ("isolated", None),
        ("isolated", Some(ALICE)),
        ("current", None),
        ("current", Some(ALICE)),
        ("nope", None),
        ("session:", None),
        (ALICE, None),
        ("main", None),
        ("main", Some(ALICE)),
    ] {
        player.call("cron.add", job(target, key)).await;
    }
    for (member, value) in [
        ("enabled", json!(false)),
        ("agentId", json!("main")),
        ("description", json!("why")),
        ("foo", json!(1)),
        ("schedule", json!({"kind": "every", "everyMs": 60_000})),
        ("schedule", json!({"kind": "cron", "expr": "0 9 * * MONDAY", "tz": "UTC"})),
        ("payload", json!({"kind": "agentTurn", "message": "x", "thinking": "low", "timeoutSeconds": 60})),
        ("declarationKey", json!("friend-portal:x:alice:daily")),
        ("declarationKey", json!("friend-portal:x:alice:daily")),
    ] {
        player.call("cron.add", with(job(&session, None), member, value)).await;
    }
    for params in [
        json!({"limit": 0}),
        json!({"limit": 201}),
        json!({"foo": 1}),
        json!({"limit": 1}),
        json!({"limit": 5, "offset": 2}),
        json!({"limit": 1, "includeDisabled": true}),
        json!({"offset": 1000}),
    ] {
        player.call("cron.list", params).await;
    }
    change(&mut player).await;
    player.played
}

async fn change(player: &mut Player<'_>) {
    let thinking = |value: Value| json!({"payload": {"kind": "agentTurn", "thinking": value}});
    for number in 0..3 {
        for patch in [
            json!({"enabled": false}),
            json!({}),
            json!({"foo": 1}),
            json!({"enabled": true}),
            json!({"description": "other"}),
            json!({"payload": {"kind": "agentTurn", "message": "Other"}}),
            thinking(json!("low")),
            thinking(Value::Null),
            json!({"sessionTarget": "session:agent:main:direct:carol"}),
        ] {
            let params = json!({"id": player.id(number), "patch": patch});
            player.call("cron.update", params).await;
        }
    }
    player.call("cron.update", json!({"id": "nope", "patch": {"enabled": false}})).await;
    for id in ["nope", "00000000-0000-4000-8000-000000000000"] {
        player.call("cron.run", json!({"id": id, "mode": "force"})).await;
        player.call("cron.runs", json!({"id": id})).await;
        player.call("cron.remove", json!({"id": id})).await;
    }
    player.call("cron.runs", json!({"id": "../x"})).await;
    for number in 0..player.ids.len() {
        let params = json!({"id": player.id(number)});
        player.call("cron.get", params.clone()).await;
        player.call("cron.runs", params.clone()).await;
        if number < 8 {
            player.call("cron.run", json!({"id": player.id(number), "mode": "force"})).await;
        }
        player.call("cron.remove", params.clone()).await;
        // Not of all: a newer gateway takes 30 in a minute.
        if number < 8 {
            player.call("cron.remove", params).await;
        }
    }
}

async fn compare(version: Version, name: &str) {
    let (real, fake) = (Gateway::start(name).await, Fake::start(version).await);
    let client = GatewayClient::start(real.settings(GATEWAY_TOKEN));
    let (said, played) = (play(&client).await, play(&fake.client()).await);
    assert!(said.len() >= 120, "{}", said.len());
    let differences: Vec<_> = said.iter().zip(&played).filter(|(said, played)| said != played).collect();
    assert!(differences.is_empty() && said.len() == played.len(), "real and fake differ: {differences:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn the_gateway_of_the_tests_answers_as_a_new_one_does() {
    compare(Version::New, "2026.9.6").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn the_gateway_of_the_tests_answers_as_an_older_one_does() {
    compare(Version::Old, "2026.3.24").await;
}
