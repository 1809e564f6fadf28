//! A scripted Cloudflare for tests and benchmarks: it stores zones, pages and refuses as the real one does, and can
//! lose responses, delay, refuse, fail or cut the connection at any call.

mod connection;
mod zone;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::zone::Zone;

/// The only accepted token.
pub const SCRIPTED_TOKEN: &str = "scripted-token";

/// Fault of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The call is answered this much later.
    Delay(Duration),
    /// The call has its effect and is never answered, while the connection stays open.
    LoseAnswer,
    /// The connection is cut before the call has an effect.
    CutBefore,
    /// The connection is cut after the call had its effect, in the middle of the answer.
    CutAfter,
    /// The call has no effect and is answered with 429, `Retry-After` in seconds where given.
    TooMany(Option<u64>),
    /// The call has no effect and is answered with 500 and a page of HTML.
    Broken,
    /// The call has its effect and is answered with 500.
    BrokenAfter,
    /// The call has its effect and is answered with 200 and something that is not JSON.
    Babble,
}

/// A call that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenCall {
    /// `GET`, `POST`, ..
    pub method: String,
    /// Path and query, without the prefix of the API.
    pub target: String,
    /// The body, `null` where there was none.
    pub body: Value,
}

/// A running scripted Cloudflare; it ends when this is dropped.
pub struct ScriptedCloudflare {
    url: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

struct State {
    zones: Vec<Zone>,
    calls: Vec<SeenCall>,
    faults: VecDeque<Option<Fault>>,
    every_call: Duration,
    limit: Option<Limit>,
}

/// Limit of calls per period; further ones are refused until the period is over.
struct Limit {
    calls: usize,
    period: Duration,
    began: Instant,
    made: usize,
}

/// A response: status, further header lines, body.
struct Response {
    status: u16,
    headers: String,
    body: String,
}

impl ScriptedCloudflare {
    /// Starts on a free port of the loopback interface, with these empty zones.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(zones: &[&str]) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/client/v4/", listener.local_addr()?);
        let zones = zones.iter().enumerate().map(|(index, name)| Zone::new(index, name)).collect();
        let (calls, faults) = (Vec::new(), VecDeque::new());
        let state = State { zones, calls, faults, every_call: Duration::ZERO, limit: None };
        let state = Arc::new(Mutex::new(state));
        let server = tokio::spawn(connection::accept(listener, state.clone()));
        Ok(Self { url, state, server })
    }

    /// The address of the API.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sets the faults of the calls to come, one after another; `None` is a call without one.
    pub fn script(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.state().faults.extend(faults);
    }

    /// Drops the faults that are still to come.
    pub fn forget_faults(&self) {
        self.state().faults.clear();
    }

    /// Makes every call take this long.
    pub fn delay_every_call(&self, delay: Duration) {
        self.state().every_call = delay;
    }

    /// Allows so many calls per period; the next ones are refused until the period is over.
    pub fn limit(&self, calls: usize, period: Duration) {
        self.state().limit = Some(Limit { calls, period, began: Instant::now(), made: 0 });
    }

    /// The calls that arrived so far, refused ones included.
    #[must_use]
    pub fn calls(&self) -> Vec<SeenCall> {
        self.state().calls.clone()
    }

    /// Forgets the calls that arrived so far.
    pub fn forget_calls(&self) {
        self.state().calls.clear();
    }

    /// Puts a record into the zone of this name, as somebody at the dashboard would; tells its id. No rule is
    /// applied, so that what was made in older days can be put there, too.
    #[must_use]
    pub fn put(&self, zone: &str, record: Value) -> Option<String> {
        self.state().zones.iter_mut().find(|it| it.name == zone).map(|zone| zone.put(record))
    }

    /// Takes a record out of whatever zone it is in; `false` if there is none of this id.
    #[must_use]
    pub fn take(&self, id: &str) -> bool {
        self.state().zones.iter_mut().any(|zone| zone.delete(id).is_some())
    }

    /// Sets one member of a record, as somebody at the dashboard would; `false` if there is none of this id.
    #[must_use]
    pub fn edit(&self, id: &str, member: &str, value: &Value) -> bool {
        self.state().zones.iter_mut().any(|zone| zone.edit(id, member, value))
    }

    /// The records of the zone of this name, oldest first.
    #[must_use]
    pub fn records(&self, zone: &str) -> Vec<Value> {
        self.state().zones.iter().find(|it| it.name == zone).map(|zone| zone.records.clone()).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for ScriptedCloudflare {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    /// Records a call that just arrived and returns its fault.
    fn admit(&mut self, call: SeenCall) -> Option<Fault> {
        self.calls.push(call);
        if let Some(limit) = &mut self.limit {
            if limit.began.elapsed() >= limit.period {
                (limit.began, limit.made) = (Instant::now(), 0);
            }
            limit.made += 1;
            if limit.made > limit.calls {
                let left = limit.period.saturating_sub(limit.began.elapsed());
                return Some(Fault::TooMany(Some(left.as_secs() + 1)));
            }
        }
        self.faults.pop_front().flatten()
    }

    fn perform(&mut self, call: &SeenCall) -> Response {
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        let mut segments = path.split('/');
        let outcome = match (segments.next(), segments.next()) {
            (Some("zones"), None) => Ok(self.find_zones(query)),
            (Some("zones"), Some(id)) => match self.zones.iter_mut().find(|zone| zone.id == id) {
                Some(zone) => zone.perform(&call.method, &segments.collect::<Vec<_>>(), query, &call.body),
                None => Err((404, json!([{"code": 7003, "message": "Could not route to this zone"}]))),
            },
            _ => Err((400, json!([{"code": 7000, "message": "No route for that URI"}]))),
        };
        match outcome {
            Ok(envelope) => Response::json(200, &envelope),
            Err((status, errors)) => Response::refusal(status, &errors),
        }
    }

    fn find_zones(&self, query: &str) -> Value {
        let name = zone::parameter(query, "name");
        let found = self.zones.iter().filter(|zone| name.as_ref().is_none_or(|name| *name == zone.name));
        let result: Vec<_> = found.map(|zone| json!({"id": zone.id, "name": zone.name})).collect();
        json!({"success": true, "errors": [], "messages": [], "result": result})
    }
}

impl Response {
    fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: "Content-Type: application/json\r\n".to_owned(), body: body.to_string() }
    }

    fn refusal(status: u16, errors: &Value) -> Self {
        Self::json(status, &json!({"success": false, "errors": errors, "messages": [], "result": null}))
    }

    fn too_many(retry_after: Option<u64>) -> Self {
        let answer = Self::refusal(429, &json!([{"code": 10429, "message": "rate limited"}]));
        let Some(seconds) = retry_after else { return answer };
        let quota = format!("Retry-After: {seconds}\r\nRatelimit: \"default\";r=0;t={seconds}\r\n");
        Self { headers: answer.headers + &quota, ..answer }
    }

    fn text(status: u16, body: &str) -> Self {
        Self { status, headers: "Content-Type: text/html\r\n".to_owned(), body: body.to_owned() }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock()
}
