//! Jobs in a real gateway.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portal_adapters::SystemClock;
use portal_adapters::openclaw::{CallKind, GatewayClient, GatewaySettings};
use portal_core::BackendErrorKind;
use portal_cron::{CronError, JobDraft, JobPatch, Run, RunStatus, Sent, Trigger};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::engine::fixture::{Portal, actor, draft, owner};
use crate::real::{GATEWAY_TOKEN, Gateway, LONG_WORK};

/// Longest time of a run with a model that answers at once, on two busy processors.
const RUN: Duration = Duration::from_mins(2);

/// A way to the gateway that loses the next answer which holds a text, and the connection with it.
struct Proxy {
    address: String,
    loses: Arc<Mutex<Option<&'static str>>>,
}

impl Proxy {
    async fn before(gateway: &Gateway) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("ws://{}/", listener.local_addr().unwrap());
        let (target, loses) = (gateway.address(), Arc::<Mutex<Option<&'static str>>>::default());
        let lost = loses.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(forward(client, server, lost.clone()));
            }
        });
        Self { address, loses }
    }

    fn settings(&self, settings: GatewaySettings) -> GatewaySettings {
        GatewaySettings { url: self.address.parse().unwrap(), ..settings }
    }

    fn lose_next_answer_with(&self, text: &'static str) {
        *self.loses.lock() = Some(text);
    }
}

/// Forwards both ways.
async fn forward(client: TcpStream, server: TcpStream, loses: Arc<Mutex<Option<&'static str>>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let upwards = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from_server.read(&mut buffer).await {
        let text = String::from_utf8_lossy(&buffer[..count]);
        let is_lost = {
            let mut loses = loses.lock();
            let is_it = loses.is_some_and(|part| text.contains("\"type\":\"res\"") && text.contains(part));
            is_it && loses.take().is_some()
        };
        if count == 0 || is_lost || to_client.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    upwards.abort();
}

impl Portal {
    async fn connected(&self) {
        while self.client.hello().await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits for the end of a job's newest run.
    async fn ended(&self, friend: &str, name: &str) -> Run {
        let begun = Instant::now();
        loop {
            self.engine.follow_runs().await.unwrap();
            let run = self.runs(friend, name).await.remove(0);
            if run.finished_at.is_some() {
                return run;
            }
            assert!(begun.elapsed() < RUN, "no end of {run:?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// What every version promises.
async fn keep_jobs(gateway: &Gateway) -> Portal {
    let proxy = Proxy::before(gateway).await;
    let client = Arc::new(GatewayClient::start(proxy.settings(gateway.settings(GATEWAY_TOKEN))));
    let portal = Portal::new(client, Arc::new(SystemClock)).await;
    for (friend, message) in [("alice", "Water the roses"), ("bob", "Feed the cat")] {
        let new = JobDraft { message: message.to_owned(), ..draft("daily") };
        portal.jobs.create(&owner(friend), new, actor(friend)).await.unwrap();
    }
    assert_eq!((portal.names("alice").await, portal.names("bob").await), (vec!["daily".into()], vec!["daily".into()]));
    // A run by hand, to its end, in the friend's own conversation.
    let run = portal.run("alice", "daily").await.unwrap();
    let ended = portal.ended("alice", "daily").await;
    assert_eq!((&ended.id, ended.trigger, ended.status), (&run, Trigger::Manual, RunStatus::Delivered), "{ended:?}");
    // Nobody asked for the answer to be sent, and alice may read it.
    assert_eq!((ended.accepted(), ended.finished, ended.sent), (Some(true), Some(true), Some(Sent::Nowhere)));
    assert_eq!(ended.answer.as_deref(), Some("It was said."));
    let [prompt] = &gateway.prompts("Water the roses").await[..] else { panic!("not one prompt") };
    assert!(prompt.contains("Alice likes tea.") && !prompt.contains("Bob likes coffee."));
    assert_eq!(portal.runs("bob", "daily").await, []);
    let owner_of_alice = owner("alice");
    // A job whose answer is lost is there once.
    proxy.lose_next_answer_with("\"name\":\"lost\"");
    if portal.create("alice", "lost").await.is_err() {
        // It took long until the next connection; the same request finds the job.
        portal.connected().await;
        portal.create("alice", "lost").await.unwrap();
    }
    assert_eq!(portal.names("alice").await, ["daily", "lost"]);
    proxy.lose_next_answer_with("Mow the lawn");
    let patch = JobPatch { enabled: Some(false), message: Some("Mow the lawn".to_owned()), ..JobPatch::default() };
    let update = || portal.jobs.update(&owner_of_alice, "lost", patch.clone(), actor("alice"));
    let off = if let Ok(off) = update().await {
        off
    } else {
        portal.connected().await;
        update().await.unwrap()
    };
    assert_eq!((off.enabled, off.state.next_run, off.spec.message.as_str()), (false, None, "Mow the lawn"));
    // What the agent makes for alice is hers, and what is moved to bob is not.
    let reminder = json!({
        "name": "of the agent", "schedule": {"kind": "every", "everyMs": 86_400_000}, "wakeMode": "now",
        "sessionTarget": "session:agent:main:direct:alice", "payload": {"kind": "agentTurn", "message": "Tea time"},
        "delivery": {"mode": "none"},
    });
    let made = portal.client.call(CallKind::Write, "cron.add", reminder).await.unwrap();
    assert_eq!(portal.names("alice").await, ["daily", "lost", "of the agent"]);
    let patch = json!({"sessionTarget": "session:agent:main:direct:bob"});
    portal.client.call(CallKind::Write, "cron.update", json!({"id": made["id"], "patch": patch})).await.unwrap();
    let gone = portal.jobs.remove(&owner("alice"), made["id"].as_str().unwrap(), actor("alice")).await;
    assert!(matches!(gone, Err(CronError::NotFound)), "{gone:?}");
    assert_eq!(portal.names("bob").await, ["daily", "of the agent"]);
    for name in ["daily", "lost"] {
        portal.jobs.remove(&owner("alice"), name, actor("alice")).await.unwrap();
    }
    assert_eq!(portal.names("alice").await, [""; 0]);
    portal
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn a_new_gateway_keeps_the_friends_jobs() {
    let gateway = Gateway::start("2026.9.6").await;
    let portal = keep_jobs(&gateway).await;
    // An answer reaches the friend's own address in the chat.
    portal.add_contact("alice", "fakechat", "Alice#1").await;
    portal.create("alice", "told").await.unwrap();
    portal.run("alice", "told").await.unwrap();
    let ended = portal.ended("alice", "told").await;
    assert_eq!((ended.status, ended.error.as_deref()), (RunStatus::Delivered, None));
    assert_eq!((ended.finished, ended.sent), (Some(true), Some(Sent::Sent)));
    assert_eq!(gateway.said().await, [json!({"to": "Alice#1", "text": "It was said."})]);
    // The gateway takes 30 jobs in a minute; some were made above.
    let mut made = 0;
    let limited = loop {
        match portal.create("bob", &format!("job {made}")).await {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    let CronError::Port(limited) = limited else { panic!("{limited:?}") };
    assert!(limited.kind == BackendErrorKind::Unavailable && limited.retry_after.is_some(), "{limited:?}");
    assert!((20..30).contains(&made), "{made}");
    assert_eq!(portal.list("bob").await.len(), made + 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn an_older_gateway_keeps_the_friends_jobs_and_sends_no_answers() {
    let gateway = Gateway::start("2026.3.24").await;
    let portal = keep_jobs(&gateway).await;
    portal.add_contact("alice", "fakechat", "Alice#1").await;
    let job = portal.create("alice", "told").await.unwrap();
    assert_eq!(job.spec.answer_to.as_str(), "nowhere");
}

/// Returns the end of a run that was under way when its gateway was killed.
async fn interrupted(version: &str) -> Run {
    let mut gateway = Gateway::start(version).await;
    let client = Arc::new(GatewayClient::start(gateway.settings(GATEWAY_TOKEN)));
    let portal = Portal::new(client, Arc::new(SystemClock)).await;
    let long = JobDraft { message: LONG_WORK.to_owned(), ..draft("long") };
    portal.jobs.create(&owner("alice"), long, actor("alice")).await.unwrap();
    portal.run("alice", "long").await.unwrap();
    gateway.prompts(LONG_WORK).await;
    gateway.restart().await;
    portal.connected().await;
    portal.ended("alice", "long").await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn a_new_gateway_tells_of_a_run_that_was_interrupted() {
    let run = interrupted("2026.9.6").await;
    assert_eq!(run.status, RunStatus::Failed, "{run:?}");
    assert!(run.error.is_some_and(|error| error.contains("restarted while this run was under way")));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tier gateway"]
async fn a_run_that_an_older_gateway_forgot_is_unknown() {
    let run = interrupted("2026.3.24").await;
    assert_eq!(run.status, RunStatus::Unknown, "{run:?}");
    assert!(run.error.is_some_and(|error| error.contains("may or may not have taken place")));
}
