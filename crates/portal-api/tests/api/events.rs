//! Event streams. `database/changes.rs` of the adapters has the real log.

use std::pin::Pin;
use std::time::Duration;

use actix_web::App;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::Method;
use actix_web::test as http;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::poll_fn;
use parking_lot::Mutex;
use portal_core::{Backend, BackendError, ChangeLog, FriendId, FriendshipKey, LoggedChange, RecentChanges, Topic};
use portal_workspace::{DocumentName, DocumentPath};
use tokio::time::{Instant, advance, timeout};

use crate::fixture::{Fixture, agent_id, friend_id, now, request};

const EVENTS: &str = "/api/portal/events";

/// A log whose changes and time the tests set.
#[derive(Default)]
pub(crate) struct ScriptedLog(Mutex<Script>);

#[derive(Default)]
struct Script {
    passed: TimeDelta,
    changes: Vec<(DateTime<Utc>, LoggedChange)>,
    is_down: bool,
}

impl Script {
    fn since(&self, at: DateTime<Utc>, limit: u32) -> Result<Vec<LoggedChange>, BackendError> {
        if self.is_down {
            return Err(BackendError::unavailable(Backend::Database, "sesame"));
        }
        let later = self.changes.iter().filter(|(written, _)| *written >= at);
        Ok(later.map(|(_, change)| change.clone()).take(limit as usize).collect())
    }
}

impl ScriptedLog {
    fn pass(&self, time: TimeDelta) {
        self.0.lock().passed += time;
    }

    fn write(&self, id: i64, friend: &str, topic: Topic, subject: &str) {
        let agent = (topic != Topic::Exposure).then(|| agent_id("main"));
        let change = LoggedChange { id, friend: friend_id(friend), topic, agent, subject: subject.to_owned() };
        let mut script = self.0.lock();
        let at = now() + script.passed;
        script.changes.push((at, change));
    }

    fn set_down(&self, is_down: bool) {
        self.0.lock().is_down = is_down;
    }
}

#[async_trait]
impl ChangeLog for ScriptedLog {
    async fn recent(&self, age: Duration, limit: u32) -> Result<RecentChanges, BackendError> {
        let script = self.0.lock();
        let read_at = now() + script.passed;
        let changes = script.since(read_at - TimeDelta::from_std(age).unwrap(), limit)?;
        Ok(RecentChanges { read_at, changes })
    }

    async fn since(&self, friend: &FriendId, at: DateTime<Utc>, limit: u32) -> Result<Vec<LoggedChange>, BackendError> {
        let changes = self.0.lock().since(at, u32::MAX)?;
        Ok(changes.into_iter().filter(|change| change.friend == *friend).take(limit as usize).collect())
    }
}

/// An open stream.
struct Stream(Pin<Box<BoxBody>>);

impl Stream {
    async fn open(fixture: &Fixture, path: &str, token: &str, last: Option<&str>) -> Result<Self, u16> {
        let app = App::new().configure(|config| portal_api::configure(config, &fixture.state, &fixture.settings));
        let app = http::init_service(app).await;
        let mut wanted = request(Method::GET, path, token).insert_header(("accept-encoding", "gzip, br"));
        if let Some(last) = last {
            wanted = wanted.insert_header(("last-event-id", last));
        }
        let response = http::call_service(&app, wanted.to_request()).await;
        if response.status() != 200 {
            return Err(response.status().as_u16());
        }
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
        assert_eq!(header("content-encoding"), None, "it must not be compressed");
        assert_eq!(header("x-accel-buffering").as_deref(), Some("no"));
        assert_eq!(header("cache-control").as_deref(), Some("no-store, no-transform"));
        Ok(Self(Box::pin(response.into_body().boxed())))
    }

    /// Returns the next piece; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let piece = poll_fn(|cx| self.0.as_mut().poll_next(cx)).await?;
        Some(String::from_utf8(piece.unwrap().to_vec()).unwrap())
    }

    /// Returns the next piece without its `id` line; the caller knows that there is one.
    async fn event(&mut self) -> String {
        let piece =
            timeout(Duration::from_secs(1), self.next()).await.expect("nothing came").expect("the stream ended");
        let (id, event) = piece.split_once('\n').unwrap();
        assert!(id.starts_with("id: "), "{piece}");
        event.to_owned()
    }

    async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_secs(1), self.next()).await.is_err()
    }
}

/// A stream of alice's that has begun.
async fn opened(fixture: &Fixture) -> Stream {
    let token = fixture.login("alice").await;
    let mut stream = Stream::open(fixture, EVENTS, &token, None).await.unwrap();
    let beginning = stream.next().await.unwrap();
    assert!(beginning.starts_with("retry: ") && beginning.ends_with("\n\nid: 1772359200000\n\n"), "{beginning}");
    stream
}

#[tokio::test(start_paused = true)]
async fn a_change_reaches_its_friends_streams_alone_and_once() {
    let fixture = Fixture::new().await;
    let (alice, bob) = (fixture.login("alice").await, fixture.login("bob").await);
    fixture.changes.write(1, "alice", Topic::Job, "before");
    let mut streams = Vec::new();
    for token in [&alice, &alice, &bob] {
        let mut stream = Stream::open(&fixture, EVENTS, token, None).await.unwrap();
        stream.next().await.unwrap();
        streams.push(stream);
    }
    // The second became visible after the third, whose number is larger.
    fixture.changes.write(3, "alice", Topic::Exposure, "web");
    fixture.state.events.poll().await.unwrap();
    fixture.changes.write(2, "alice", Topic::Document, "memory");
    fixture.state.events.poll().await.unwrap();
    fixture.state.events.poll().await.unwrap();
    for stream in &mut streams[..2] {
        assert_eq!(stream.event().await, "event: exposure\ndata: {\"name\":\"web\"}\n\n");
        assert_eq!(stream.event().await, "event: document\ndata: {\"agent_id\":\"main\",\"name\":\"memory\"}\n\n");
        assert!(stream.is_quiet().await);
    }
    assert!(streams[2].is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_session() {
    let fixture = Fixture::new().await;
    let mut own = opened(&fixture).await;
    let id = fixture.state.sessions.list(&friend_id("alice")).await.unwrap()[0].id.clone();
    let mut other = opened(&fixture).await;
    fixture.changes.write(1, "alice", Topic::SessionEnded, &id);
    fixture.state.events.poll().await.unwrap();
    let told = format!("event: session-ended\ndata: {{\"id\":\"{id}\"}}\n\n");
    assert_eq!([own.event().await, other.event().await], [told.clone(), told]);
    assert_eq!(own.next().await, None);
    assert!(other.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_end_was_told_opens_no_further_stream() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let id = fixture.state.sessions.list(&friend_id("alice")).await.unwrap()[0].id.clone();
    let mut other = opened(&fixture).await;
    fixture.changes.write(1, "alice", Topic::SessionEnded, &id);
    fixture.state.events.poll().await.unwrap();
    other.event().await;
    // The session is still cached, so the request gets as far as the hub.
    fixture.get(EVENTS, &token).await.assert_problem(503, "not-ready");
    // Its friendship is active again, and the end no longer in the part of the log that is read.
    fixture.changes.pass(TimeDelta::seconds(31));
    fixture.state.events.poll().await.unwrap();
    Stream::open(&fixture, EVENTS, &token, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_resumed_stream_is_told_what_it_missed() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    fixture.changes.write(1, "alice", Topic::Run, "job-1");
    fixture.changes.write(2, "bob", Topic::Run, "job-2");
    fixture.changes.pass(TimeDelta::minutes(9));
    let mut resumed = Stream::open(&fixture, EVENTS, &token, Some("1772359200000")).await.unwrap();
    let beginning = resumed.next().await.unwrap();
    let events = beginning.split_once("id: 1772359740000\n\n").unwrap().1;
    let missed = "event: namespace\ndata: {}\n\nevent: run\ndata: {\"agent_id\":\"main\",\"id\":\"job-1\"}\n\n";
    assert_eq!(events, missed);
    fixture.changes.pass(TimeDelta::minutes(1));
    fixture.state.events.poll().await.unwrap();
    for unknown in ["1772359200000", "1772459200000", "", "yesterday", "99999999999999999999"] {
        let mut late = Stream::open(&fixture, EVENTS, &token, Some(unknown)).await.unwrap();
        let beginning = late.next().await.unwrap();
        assert!(beginning.ends_with("event: namespace\ndata: {}\n\nevent: reset\ndata: {}\n\n"), "{beginning}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_friend_has_four_streams_and_takes_none_from_others() {
    let fixture = Fixture::new().await;
    let (alice, bob) = (fixture.login("alice").await, fixture.login("bob").await);
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(Stream::open(&fixture, EVENTS, &alice, None).await.unwrap());
    }
    let refused = fixture.get(EVENTS, &alice).await;
    refused.assert_problem(429, "rate-limited");
    assert_eq!(refused.header("retry-after"), Some("11"));
    Stream::open(&fixture, EVENTS, &bob, None).await.unwrap();
    streams.pop();
    Stream::open(&fixture, EVENTS, &alice, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_takes_nothing_is_cut_off_and_disturbs_no_other() {
    let fixture = Fixture::new().await;
    let (mut slow, mut quick) = (opened(&fixture).await, opened(&fixture).await);
    for id in 0..100 {
        fixture.changes.write(id, "alice", Topic::Job, &id.to_string());
        fixture.state.events.poll().await.unwrap();
        assert!(quick.event().await.ends_with(&format!("\"id\":\"{id}\"}}\n\n")));
    }
    let mut taken = 0;
    while slow.next().await.is_some() {
        taken += 1;
    }
    assert!((1..100).contains(&taken), "{taken}");
}

#[tokio::test(start_paused = true)]
async fn streams_end_when_the_log_fails_for_long_and_when_the_portal_stops() {
    let fixture = Fixture::new().await;
    let mut stream = opened(&fixture).await;
    fixture.changes.set_down(true);
    fixture.state.events.poll().await.unwrap_err();
    fixture.changes.set_down(false);
    fixture.state.events.poll().await.unwrap();
    fixture.changes.set_down(true);
    fixture.state.events.poll().await.unwrap_err();
    advance(Duration::from_secs(4)).await;
    fixture.state.events.poll().await.unwrap_err();
    assert!(stream.is_quiet().await, "one second of grace is left");
    fixture.state.events.poll().await.unwrap_err();
    assert!(stream.next().await.unwrap().starts_with("retry: "));
    assert_eq!(stream.next().await, None);
    let token = fixture.login("alice").await;
    fixture.get(EVENTS, &token).await.assert_problem(503, "database-unavailable");

    fixture.changes.set_down(false);
    let mut stream = opened(&fixture).await;
    fixture.state.events.close();
    assert!(stream.next().await.unwrap().starts_with("retry: "));
    assert_eq!(stream.next().await, None);
    fixture.get(EVENTS, &token).await.assert_problem(503, "not-ready");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_gets_comments_and_ends_after_an_hour() {
    let fixture = Fixture::new().await;
    let begun = Instant::now();
    let mut stream = opened(&fixture).await;
    fixture.changes.pass(TimeDelta::seconds(7));
    fixture.state.events.poll().await.unwrap();
    let mut comments = 0;
    while let Some(piece) = stream.next().await {
        assert_eq!(piece, ":\nid: 1772359207000\n\n");
        comments += 1;
    }
    assert_eq!((comments, begun.elapsed().as_secs()), (239, 3600));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_and_watched_memory_are_told_of() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let mut plain = Stream::open(&fixture, EVENTS, &token, None).await.unwrap();
    let mut watching = Stream::open(&fixture, "/api/portal/events?watch=memory", &token, None).await.unwrap();
    plain.next().await.unwrap();
    watching.next().await.unwrap();
    fixture.kubernetes.load_yaml("test", include_str!("namespace.yaml"), "friend-alice").unwrap();
    fixture.state.events.poll().await.unwrap();
    for stream in [&mut plain, &mut watching] {
        assert_eq!(stream.event().await, "event: namespace\ndata: {}\n\n");
    }
    let key = FriendshipKey::new(friend_id("alice"), agent_id("main"));
    fixture.files.write(&DocumentPath::of(&key, DocumentName::Memory), "written by the agent");
    fixture.state.events.poll().await.unwrap();
    assert_eq!(watching.event().await, "event: document\ndata: {\"agent_id\":\"main\",\"name\":\"memory\"}\n\n");
    fixture.kubernetes.go_down("sesame");
    fixture.state.events.poll().await.unwrap();
    fixture.state.events.poll().await.unwrap();
    for stream in [&mut plain, &mut watching] {
        assert_eq!(stream.event().await, "event: namespace\ndata: {}\n\n", "it cannot be shown any more");
        assert!(stream.is_quiet().await);
    }
}

#[tokio::test]
async fn a_bad_wish_is_refused() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    fixture.get("/api/portal/events?watch=everything", &token).await.assert_problem(400, "query-malformed");
    fixture.get(EVENTS, "").await.assert_problem(401, "session-missing");
}
