//! One watch against an API server that keeps to a script.

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use futures::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::client::Body;
use kube::{Api, Client};
use portal_core::{BackendError, BackendErrorKind, FixedClock};
use portal_dns::{Hostname, RoutePlace};
use portal_k8s::{ClaimKind, Kind};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower_test::mock::{self, Handle, SendResponse};

use super::super::cache::Cache;
use super::super::observe::{Content, Observe, Topic};
use super::{Arc, Source, watch};

const PODS: Topic = Topic::Objects(Kind::Pod);
const TLS_ROUTES: Topic = Topic::Claims(ClaimKind::TlsRoute);
const HOME: &str = "friend-alice";

/// Bodies that the API server sends.
type Sent = UnsyncBoxBody<Bytes, std::io::Error>;

/// A watch of pods, and the API server that it asks.
struct Script {
    cache: Arc<Cache>,
    server: Handle<Request<Body>, Response<Sent>>,
    watching: JoinHandle<()>,
}

/// A question that waits for its answer.
struct Asked {
    uri: String,
    answer: SendResponse<Response<Sent>>,
}

impl Script {
    /// Begins to watch `TLSRoute`, of which three versions are understood.
    fn start_claims() -> Self {
        let (service, server) = mock::pair();
        let cache = Arc::new(Cache::new(Arc::new(FixedClock::new(DateTime::UNIX_EPOCH)), Duration::from_secs(30)));
        let client = Client::new(service, "default");
        let kind = ClaimKind::TlsRoute;
        let api = |version: &&str| -> Api<DynamicObject> {
            let named = GroupVersionKind::gvk(kind.group(), version, kind.kind());
            Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&named, kind.resource()))
        };
        let versions = kind.versions().iter().map(api).collect();
        let read = move |object: &DynamicObject| -> Content { super::super::observe::claims(kind, object) };
        let watching = tokio::spawn(watch(Source { topic: TLS_ROUTES, versions, read }, cache.clone()));
        Self { cache, server, watching }
    }

    /// Names of the objects that claim a hostname.
    fn claimants(&self, host: &str) -> Vec<String> {
        let place = RoutePlace { namespace: HOME.to_owned(), name: "expose-app".to_owned() };
        let claims = self.cache.claims(&place, &[Hostname::parse(host).unwrap()]);
        claims
            .into_iter()
            .map(|claim| format!("{} {}/{}", claim.kind, claim.place.namespace, claim.place.name))
            .collect()
    }

    fn start() -> Self {
        let (service, server) = mock::pair();
        let cache = Arc::new(Cache::new(Arc::new(FixedClock::new(DateTime::UNIX_EPOCH)), Duration::from_secs(30)));
        let api: Api<Pod> = Api::all(Client::new(service, "default"));
        let watching =
            tokio::spawn(watch(Source { topic: PODS, versions: vec![api], read: Pod::content }, cache.clone()));
        Self { cache, server, watching }
    }

    /// The next question, which holds `parts` in its address.
    async fn asked(&mut self, parts: &[&str]) -> Asked {
        let (request, answer) = self.server.next_request().await.unwrap();
        let uri = request.uri().to_string();
        for part in parts {
            assert!(uri.contains(part), "{uri} does not contain {part}");
        }
        Asked { uri, answer }
    }

    /// Streams a list of these pods, as of version 5, and waits until the watch goes on from there.
    async fn list(&mut self, pods: &[&str]) -> Asked {
        let mut events: Vec<_> = pods.iter().map(|pod| event("ADDED", pod, "4")).collect();
        events.push(list_end("5"));
        self.asked(&["sendInitialEvents=true"]).await.events(&events);
        self.asked(&["resourceVersion=5"]).await
    }

    fn pods(&self) -> Vec<String> {
        self.cache.with_contents(HOME, |contents| contents.names(Kind::Pod)).iter().map(ToString::to_string).collect()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Asked {
    fn status(self, code: u16, body: &Value) {
        let bytes = serde_json::to_vec(body).unwrap();
        self.answer.send_response(Response::builder().status(code).body(whole(bytes)).unwrap());
    }

    fn refuse(self, code: u16) {
        self.status(code, &json!({"kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": ""}));
    }

    /// Sends events and ends the watch.
    fn events(self, events: &[Value]) {
        let mut lines = Vec::new();
        for event in events {
            serde_json::to_writer(&mut lines, event).unwrap();
            lines.push(b'\n');
        }
        self.answer.send_response(Response::new(whole(lines)));
    }

    /// Opens a watch on which nothing ever comes.
    fn silence(self) {
        let never = stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
        self.answer.send_response(Response::new(StreamBody::new(never).boxed_unsync()));
    }
}

fn whole(bytes: Vec<u8>) -> Sent {
    Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync()
}

fn event(kind: &str, pod: &str, version: &str) -> Value {
    let metadata = json!({"name": pod, "namespace": HOME, "resourceVersion": version});
    json!({"type": kind, "object": {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}})
}

fn bookmark(version: &str, annotations: &Value) -> Value {
    let metadata = json!({"resourceVersion": version, "annotations": annotations});
    json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}})
}

fn list_end(version: &str) -> Value {
    bookmark(version, &json!({"k8s.io/initial-events-end": "true"}))
}

fn page(pods: &[&str], next: Option<&str>) -> Value {
    let items: Vec<_> = pods.iter().map(|pod| json!({"metadata": {"name": pod, "namespace": HOME}})).collect();
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "9", "continue": next}, "items": items})
}

#[tokio::test(start_paused = true)]
async fn a_streamed_list_is_followed_by_changes_from_where_it_ended() {
    let mut script = Script::start();
    assert!(script.cache.health.check(PODS).is_err());
    let first = script.asked(&["watch=true", "sendInitialEvents=true", "resourceVersionMatch=NotOlderThan"]).await;
    first.events(&[event("ADDED", "a", "3"), event("ADDED", "b", "4"), list_end("5")]);
    let follow =
        script.asked(&["watch=true", "resourceVersion=5", "timeoutSeconds=15", "allowWatchBookmarks=true"]).await;
    assert!(script.cache.health.check(PODS).is_ok());
    assert_eq!(script.pods(), ["a", "b"]);
    follow.events(&[event("ADDED", "c", "6"), event("DELETED", "a", "7"), bookmark("8", &json!({}))]);
    script.asked(&["resourceVersion=8"]).await;
    assert_eq!(script.pods(), ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_known_before_everything_was_listed() {
    let mut script = Script::start();
    script.asked(&["sendInitialEvents=true"]).await.events(&[event("ADDED", "a", "3")]);
    script.asked(&["limit=500"]).await.status(200, &page(&["a"], Some("more")));
    let second = script.asked(&["limit=500", "continue=more"]).await;
    assert!(script.cache.health.check(PODS).is_err());
    second.status(200, &page(&["b"], None));
    script.asked(&["resourceVersion=9"]).await;
    assert!(script.cache.health.check(PODS).is_ok());
    assert_eq!(script.pods(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_stream_lists_is_asked_for_pages() {
    for code in [400, 422] {
        let mut script = Script::start();
        script.asked(&["sendInitialEvents=true"]).await.refuse(code);
        script.asked(&["limit=500"]).await.status(200, &page(&["a"], None));
        script.asked(&["resourceVersion=9"]).await;
        assert_eq!(script.pods(), ["a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_version_is_mended_by_a_list_and_nothing_is_forgotten_meanwhile() {
    let mut script = Script::start();
    script.list(&["a", "b"]).await.refuse(410);
    let again = script.asked(&["sendInitialEvents=true"]).await;
    assert_eq!(script.pods(), ["a", "b"]);
    assert!(script.cache.health.check(PODS).is_ok());
    again.events(&[event("ADDED", "b", "11"), event("ADDED", "c", "12"), list_end("13")]);
    let follow = script.asked(&["resourceVersion=13"]).await;
    assert_eq!(script.pods(), ["b", "c"]);

    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "status": "Failure", "code": 410, "message": "", "reason": "Expired"}});
    follow.events(&[gone]);
    script.asked(&["sendInitialEvents=true"]).await;
    assert_eq!(script.pods(), ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_forgets_what_it_just_listed_is_asked_less_and_less() {
    let mut script = Script::start();
    let started = Instant::now();
    for _ in 0..6 {
        script.list(&["a"]).await.refuse(410);
    }
    script.list(&["a"]).await;
    assert!(started.elapsed() >= Duration::from_secs(11), "half of 0.5, 1, 2, 4, 8 and 8 s at least");
    assert_eq!(script.pods(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_did_not_stream_may_have_learned_it_when_the_version_is_forgotten() {
    let mut script = Script::start();
    script.asked(&["sendInitialEvents=true"]).await.refuse(422);
    script.asked(&["limit=500"]).await.status(200, &page(&["a"], None));
    script.asked(&["resourceVersion=9"]).await.refuse(410);
    script.list(&["b"]).await;
    assert_eq!(script.pods(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_waited_out_and_the_watch_goes_on_where_it_was() {
    let mut script = Script::start();
    script.list(&["a"]).await.refuse(500);
    for code in [502, 503, 504] {
        script.asked(&["resourceVersion=5"]).await.refuse(code);
    }
    let started = Instant::now();
    let slow_down = json!({"kind": "Status", "status": "Failure", "code": 429, "message": "", "reason": "TooManyRequests",
        "details": {"retryAfterSeconds": 20}});
    script.asked(&["resourceVersion=5"]).await.status(429, &slow_down);
    script.asked(&["resourceVersion=5"]).await.events(&[]);
    assert!(started.elapsed() >= Duration::from_secs(20));
    assert_eq!(script.pods(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_falls_silent_is_given_up_and_what_is_known_grows_old() {
    let mut script = Script::start();
    script.list(&["a"]).await.silence();
    let next = script.asked(&["resourceVersion=5"]).await;
    assert!(script.cache.health.check(PODS).is_ok());
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(script.cache.health.check(PODS).is_err(), "31 seconds are too old");
    next.events(&[bookmark("6", &json!({}))]);
    let next = script.asked(&["resourceVersion=6"]).await;
    assert!(script.cache.health.check(PODS).is_ok());
    assert!(next.uri.contains("/api/v1/pods?"), "{}", next.uri);
}

#[tokio::test(start_paused = true)]
async fn namespaces_of_others_are_not_kept() {
    let mut script = Script::start();
    let mut other = event("ADDED", "a", "3");
    other["object"]["metadata"]["namespace"] = json!("kube-system");
    script.asked(&["sendInitialEvents=true"]).await.events(&[other, list_end("5")]);
    script.asked(&["resourceVersion=5"]).await;
    assert!(script.cache.with_contents("kube-system", |contents| contents.names(Kind::Pod)).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_served_is_empty_and_looked_for_again_in_all_its_versions() {
    let mut script = Script::start_claims();
    for version in ["v1", "v1alpha3", "v1alpha2"] {
        assert!(script.cache.health.check(TLS_ROUTES).is_err());
        script.asked(&[&format!("/{version}/tlsroutes?"), "sendInitialEvents=true"]).await.refuse(404);
    }
    let started = Instant::now();
    let again = script.asked(&["/v1/tlsroutes?"]).await;
    assert!(started.elapsed() >= Duration::from_secs(30), "half of a minute at least");
    assert!(script.cache.health.check(TLS_ROUTES).is_ok());
    again.refuse(404);

    let route = json!({"type": "ADDED", "object": {"apiVersion": "gateway.networking.k8s.io/v1alpha3", "kind": "TLSRoute",
        "metadata": {"name": "a", "namespace": "other", "resourceVersion": "3"}, "spec": {"hostnames": ["*.example.net"]}}});
    script.asked(&["/v1alpha3/tlsroutes?"]).await.events(&[route, list_end("5")]);
    let follow = script.asked(&["/v1alpha3/tlsroutes?", "resourceVersion=5"]).await;
    assert_eq!(script.claimants("app-alice.example.net"), ["tlsroute.gateway.networking.k8s.io other/a"]);
    // The definition is removed again, and every object with it.
    follow.refuse(404);
    script.asked(&["/v1alpha2/tlsroutes?"]).await.refuse(404);
    script.asked(&["/v1/tlsroutes?"]).await;
    assert!(script.claimants("app-alice.example.net").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_may_not_be_listed_is_a_failure_until_it_may() {
    let mut script = Script::start_claims();
    script.asked(&["/v1/tlsroutes?"]).await.refuse(403);
    let again = script.asked(&["/v1/tlsroutes?"]).await;
    let denied = script.cache.health.check(TLS_ROUTES);
    assert!(matches!(denied, Err(BackendError { kind: BackendErrorKind::Denied, .. })), "{denied:?}");
    again.events(&[list_end("5")]);
    script.asked(&["resourceVersion=5"]).await;
    assert!(script.cache.health.check(TLS_ROUTES).is_ok());
}
