//! Messages and memory in a real gateway.

use std::sync::Arc;
use std::time::Duration;

use portal_adapters::SystemClock;
use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_adapters::openclaw::{
    CallError, CallKind, Conversations, DmScope, GatewayClient, GatewayFiles, HookDelivery, HookFinding, HookSettings,
    last_use,
};
use portal_adapters::webhook::{Signature, SigningKey, WebhookDelivery, WebhookSettings};
use portal_cron::RunStatus;
use portal_workspace::{DocumentFiles, DocumentName, DocumentPath, Entry, InstallMode, Installed, Tag};
use serde_json::json;

use crate::people::{People, Twice, owner};
use crate::real::{GATEWAY_TOKEN, Gateway, HOOKS_TOKEN};

mod compare;
mod jobs;

fn delivery(gateway: &Gateway, token: &str, fresh_session: bool) -> Arc<HookDelivery> {
    let url = gateway.hooks().parse().unwrap();
    let settings = HookSettings { url, token: token.to_owned().into(), fresh_session };
    Arc::new(HookDelivery::new(settings, Arc::new(SystemClock)).unwrap())
}

/// The documents of agent `main`, whose heartbeat the gateway keeps if it can.
fn files(gateway: &Gateway, client: Arc<GatewayClient>) -> GatewayFiles {
    let roots = AgentRoots::default().with(owner("alice").agent, gateway.workspace());
    GatewayFiles::new(Arc::new(DiskFiles::new(roots)), Arc::new(move |_| Some(client.clone())))
}

const DELIVERED: (RunStatus, Option<String>) = (RunStatus::Delivered, None);

#[track_caller]
fn check_prompt(prompt: &str, has: &[&str], lacks: &[&str]) {
    for text in has {
        assert!(prompt.contains(text), "the prompt lacks: {text}");
    }
    for text in lacks {
        assert!(!prompt.contains(text), "the prompt has: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn a_message_is_said_in_the_friends_own_conversation_with_their_memory() {
    let gateway = Gateway::start("2026.9.6").await;
    let delivery = delivery(&gateway, HOOKS_TOKEN, false);
    assert_eq!(delivery.check().await.unwrap(), HookFinding::Ready);
    let people = People::new(delivery).await;

    assert_eq!(people.say("alice", "first", "Water the roses").await, DELIVERED);
    let [prompt] = &gateway.prompts("Water the roses").await[..] else { panic!("not one prompt") };
    check_prompt(prompt, &["Alice likes tea."], &["Bob likes coffee."]);

    assert_eq!(people.say("bob", "first", "Feed the cat").await, DELIVERED);
    let [prompt] = &gateway.prompts("Feed the cat").await[..] else { panic!("not one prompt") };
    let client = GatewayClient::start(gateway.settings(GATEWAY_TOKEN));
    for (friend, is_used) in [("alice", true), ("bob", true), ("carol", false)] {
        let used_at = last_use(&client, &format!("agent:main:direct:{friend}")).await.unwrap();
        assert_eq!(used_at.is_some(), is_used, "{friend}");
    }
    check_prompt(prompt, &["Bob likes coffee."], &["Alice likes tea.", "Water the roses"]);

    // An edit is in the next prompt of the same conversation, whose history stays.
    gateway.write_memory("alice", "Alice likes cocoa.");
    assert_eq!(people.say("alice", "second", "Mow the lawn").await, DELIVERED);
    let [prompt] = &gateway.prompts("Mow the lawn").await[..] else { panic!("not one prompt") };
    check_prompt(prompt, &["Alice likes cocoa.", "Water the roses"], &["Alice likes tea.", "Feed the cat"]);
    assert_eq!(gateway.receipt("alice")["chars"], "Alice likes cocoa.".len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn an_answer_reaches_the_friends_own_address_in_the_chat_and_nobody_elses() {
    let gateway = Gateway::start("2026.9.6").await;
    let people = People::new(delivery(&gateway, HOOKS_TOKEN, false)).await;
    // Without a contact the answer stays in the conversation.
    assert_eq!(people.say("bob", "first", "Feed the cat").await, DELIVERED);
    people.add_contact("alice", "fakechat", "Alice#1").await;
    people.add_contact("bob", "elsewhere", "bob#2").await;
    assert_eq!(people.say("alice", "first", "Water the roses").await, DELIVERED);
    gateway.prompts("Water the roses").await;
    assert_eq!(gateway.said().await, [json!({"to": "Alice#1", "text": "It was said."})]);
    // A channel that the gateway does not have is the friend's to hear about.
    let (status, error) = people.say("bob", "second", "Feed the cat again").await;
    assert!(status == RunStatus::Failed && error.is_some_and(|error| error.contains("answers to your channel")));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn a_command_asks_for_the_senders_link_in_a_direct_message_alone_and_without_the_model() {
    let gateway = Gateway::start("2026.9.6").await;
    let client = GatewayClient::start(gateway.settings(GATEWAY_TOKEN));
    for (key, session) in [("1", "agent:main:fakechat:group:7"), ("2", "agent:main:direct:alice")] {
        let params = json!({"sessionKey": session, "message": "/portal", "idempotencyKey": key});
        let sent = client.call(CallKind::Write, "chat.send", params).await.unwrap();
        assert_eq!(sent["status"], "started");
        if key == "2" {
            // The gateway names the sender; as an operator's client this portal is one.
            let expected = json!({"channel": "webchat", "address": "gateway-client"});
            assert_eq!(gateway.asked_for_links().await, [expected]);
        }
    }
    assert!(gateway.prompts_now("/portal").await.is_empty(), "the model was asked");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn an_older_gateway_gets_a_message_only_where_a_fresh_conversation_is_allowed() {
    let gateway = Gateway::start("2026.3.24").await;
    let refusing = delivery(&gateway, HOOKS_TOKEN, false);
    let found = refusing.check().await.unwrap();
    assert!(matches!(&found, HookFinding::Refused(why) if why.contains("fresh_session")), "{found:?}");
    let (status, error) = People::new(refusing).await.say("alice", "first", "Water the roses").await;
    assert!(status == RunStatus::Failed && error.is_some_and(|error| error.contains("too old")));

    let allowing = delivery(&gateway, HOOKS_TOKEN, true);
    assert_eq!(allowing.check().await.unwrap(), HookFinding::FreshSession);
    assert_eq!(People::new(allowing).await.say("alice", "first", "Mow the lawn").await, DELIVERED);
    let prompts = gateway.prompts("Mow the lawn").await;
    check_prompt(&prompts[0], &["Alice likes tea."], &["Bob likes coffee.", "Water the roses"]);
    // What friends write into HEARTBEAT.md is in every prompt there.
    let path = DocumentPath::of(&owner("alice"), DocumentName::Heartbeat);
    let files = files(&gateway, Arc::new(GatewayClient::start(gateway.settings(GATEWAY_TOKEN))));
    files.stage(&path, "a", b"# Look after the lawn".to_vec()).await.unwrap();
    assert_eq!(files.install(&path, "a", InstallMode::Create).await.unwrap(), Installed::Done);
    assert_eq!(std::fs::read(gateway.workspace().join("HEARTBEAT.md")).unwrap(), b"# Look after the lawn");
    let delivery = delivery(&gateway, HOOKS_TOKEN, true);
    assert_eq!(People::new(delivery).await.say("alice", "second", "Rake the leaves").await, DELIVERED);
    check_prompt(&gateway.prompts("Rake the leaves").await[0], &["# Look after the lawn"], &[]);
    assert!(gateway.prompts_now("friend-portal-probe").await.is_empty(), "a probe was run");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn a_wrong_token_and_a_missing_path_are_named_and_a_repeated_message_is_said_once() {
    let gateway = Gateway::start("2026.9.6").await;
    let found = delivery(&gateway, "token-of-the-gateway", false).check().await.unwrap();
    assert!(matches!(&found, HookFinding::Refused(why) if why.contains("agents.hook.token_file")), "{found:?}");
    let elsewhere = HookSettings {
        url: gateway.hooks().replace("/hooks", "/elsewhere").parse().unwrap(),
        token: HOOKS_TOKEN.to_owned().into(),
        fresh_session: false,
    };
    let found = HookDelivery::new(elsewhere, Arc::new(SystemClock)).unwrap().check().await.unwrap();
    assert!(matches!(&found, HookFinding::Refused(why) if why.contains("hooks.enabled")), "{found:?}");
    // The runner hands a run over again under its id if it could not store the end of the first attempt.
    let twice = Arc::new(Twice(delivery(&gateway, HOOKS_TOKEN, false)));
    let people = People::new(twice).await;
    assert_eq!(people.say("alice", "first", "Water the roses").await, DELIVERED);
    let [prompt] = &gateway.prompts("Water the roses").await[..] else { panic!("not one prompt") };
    let times = |prompt: &str| prompt.matches("Water the roses").count();
    assert_eq!(people.say("alice", "second", "Mow the lawn").await, DELIVERED);
    // Said twice, it would stand once more in the conversation's history.
    assert_eq!(times(&gateway.prompts("Mow the lawn").await[0]), times(prompt));
    assert!(gateway.prompts_now("friend-portal-probe").await.is_empty(), "a probe was run");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn a_mapping_takes_the_signed_webhook_as_it_is() {
    let gateway = Gateway::start("2026.9.6").await;
    let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".to_owned().into();
    let settings = WebhookSettings {
        url: format!("{}/portal", gateway.hooks()).parse().unwrap(),
        key: SigningKey::parse(Signature::Standard, &secret).unwrap(),
        bearer_token: Some(HOOKS_TOKEN.to_owned().into()),
        timeout: Duration::from_secs(30),
    };
    let people = People::new(Arc::new(WebhookDelivery::new(settings, Arc::new(SystemClock)).unwrap())).await;
    for (name, message) in [("first", "Water the roses"), ("second", "Mow the lawn")] {
        assert_eq!(people.say("alice", name, message).await, DELIVERED);
        let [prompt] = &gateway.prompts(message).await[..] else { panic!("not one prompt") };
        // The second one finds the first in the history of alice's conversation.
        check_prompt(prompt, &["Alice likes tea.", "Water the roses"], &["Bob likes coffee."]);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn a_gateway_is_called_as_a_device_and_keeps_the_heartbeat() {
    let gateway = Gateway::start("2026.9.6").await;
    let refused = GatewayClient::introduce(&gateway.settings(HOOKS_TOKEN)).await.unwrap_err();
    assert!(refused.message.contains("agents.gateway.token_file"), "{}", refused.message);
    let settings = gateway.settings(GATEWAY_TOKEN);
    let hello = GatewayClient::introduce(&settings).await.unwrap();
    assert_eq!((hello.protocol, hello.version.as_str()), (4, "2026.9.6"));
    let client = Arc::new(GatewayClient::start(settings.clone()));
    let found = Conversations::read(&client).await.unwrap();
    assert_eq!(found.scope, Some(DmScope::PerPeer));
    assert!(found.accepts("agent:main:direct:") && !found.accepts("agent:other:direct:"));
    let missing = client.call(CallKind::Write, "cron.remove", json!({"id": "nope"})).await;
    assert!(
        matches!(&missing, Err(CallError::Refused(refusal)) if refusal.detail_code() == "CRON_JOB_NOT_FOUND"),
        "{missing:?}"
    );

    let files = files(&gateway, client);
    let path = DocumentPath::of(&owner("alice"), DocumentName::Heartbeat);
    assert_eq!(files.read(&path).await.unwrap(), Entry::Absent);
    files.stage(&path, "a", b"# Look after the roses".to_vec()).await.unwrap();
    assert_eq!(files.install(&path, "a", InstallMode::Create).await.unwrap(), Installed::Done);
    files.stage(&path, "b", b"# Look after the lawn".to_vec()).await.unwrap();
    assert_eq!(files.install(&path, "b", InstallMode::Create).await.unwrap(), Installed::Conflict);
    let expected = Tag::of(b"# Look after the roses");
    assert_eq!(files.install(&path, "b", InstallMode::Overwrite { expected }).await.unwrap(), Installed::Done);
    // Another portal, that has its own connection with the same key, sees it.
    let other = GatewayClient::start(settings);
    let jobs = other.call(CallKind::Read, "cron.list", json!({"includeDisabled": true})).await.unwrap();
    let jobs = jobs["jobs"].as_array().unwrap();
    let job = jobs.iter().find(|job| job["payload"]["kind"] == "heartbeat").unwrap();
    let scratch = other.call(CallKind::Read, "cron.scratch.get", json!({"id": job["id"]})).await.unwrap();
    assert_eq!(scratch["scratch"]["content"], "# Look after the lawn");
    assert!(matches!(files.read(&path).await.unwrap(), Entry::File { bytes, .. } if bytes == b"# Look after the lawn"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn a_gateway_that_was_killed_is_connected_again() {
    let mut gateway = Gateway::start("2026.3.24").await;
    let client = GatewayClient::start(gateway.settings(GATEWAY_TOKEN));
    assert_eq!(client.hello().await.unwrap().protocol, 3);
    let status = async || client.call(CallKind::Read, "cron.status", json!({})).await;
    assert_eq!(status().await.unwrap()["enabled"], true);
    gateway.restart().await;
    // The pauses between attempts grow while it is away, up to half a minute.
    let again = tokio::time::timeout(Duration::from_mins(2), async {
        while status().await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    again.await.unwrap();
}
