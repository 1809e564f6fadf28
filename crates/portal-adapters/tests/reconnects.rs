//! A gateway whose connection ends again and again while calls are under way. A program of its own: its memory is measured.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends where its premise fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use portal_adapters::openclaw::{CallError, CallKind, GatewayClient};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{self, Instant, sleep, timeout};

#[expect(dead_code, unused_imports, reason = "the gateway can more than this test asks for")]
#[path = "openclaw/fake.rs"]
mod fake;

use fake::{Fake, Fault, Version};

/// Callers that never pause.
const CALLERS: usize = 8;
/// Reconnects before memory is measured for the first time.
const WARM_UP: usize = 100;
/// Reconnects between the two measurements.
const RECONNECTS: usize = 500;
/// More than any pause between two connections.
const PAUSE: Duration = Duration::from_secs(31);

/// Number of calls by their end.
#[derive(Default)]
struct Ends {
    answered: AtomicUsize,
    failed: AtomicUsize,
    stop: AtomicBool,
}

/// Calls until it is stopped; every call ends with an answer or an error.
async fn keep_calling(client: Arc<GatewayClient>, ends: Arc<Ends>) {
    while !ends.stop.load(Ordering::Relaxed) {
        let params = json!({"includeDisabled": true, "limit": 200, "offset": 0});
        match client.call(CallKind::Read, "cron.list", params).await {
            Ok(page) => {
                assert_eq!(page["jobs"].as_array().map(Vec::len), Some(20));
                ends.answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(CallError::Unavailable(_)) => {
                ends.failed.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(1)).await;
            }
            Err(refused) => panic!("{refused}"),
        }
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// Ends the connection and waits for the next one, but not for the pause between them.
async fn reconnect(fake: &Fake, client: &GatewayClient, number: usize) {
    let connections = client.changes();
    let before = *connections.borrow();
    if number.is_multiple_of(2) {
        fake.disconnect();
    } else {
        // In the middle of a call that was carried out.
        fake.fail("cron.list", Fault::CloseAfter);
    }
    until("the connection ends", || client.connected_for().is_none()).await;
    time::pause();
    time::advance(PAUSE).await;
    time::resume();
    until("there is another connection", || client.connected_for().is_some()).await;
    assert_eq!(*connections.borrow(), before + 1);
    // The gateway notes every call for tests that look at them.
    drop(fake.calls());
}

/// Returns the pages of memory that the process has.
fn resident_pages() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse().unwrap()
}

// On one thread, so that its clock can be moved.
#[tokio::test]
async fn a_connection_that_ends_500_times_loses_no_call_and_leaves_no_task_and_no_memory() {
    let fake = Fake::start(Version::New).await;
    fake.with(|gateway| (0..20).for_each(|number| drop(gateway.insert(json!({"name": format!("job {number}")})))));
    let client = fake.client();
    client.hello().await.unwrap();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let idle = tasks();

    let (ends, mut callers) = (Arc::new(Ends::default()), JoinSet::new());
    for _ in 0..CALLERS {
        callers.spawn(keep_calling(client.clone(), ends.clone()));
    }
    for number in 0..WARM_UP {
        reconnect(&fake, &client, number).await;
    }
    let before = resident_pages();
    for number in 0..RECONNECTS {
        reconnect(&fake, &client, number).await;
    }
    let after = resident_pages();

    ends.stop.store(true, Ordering::Relaxed);
    // Longer than a call may take, so that one that hangs is seen.
    let all = timeout(Duration::from_secs(20), callers.join_all()).await;
    assert_eq!(all.map(|ended| ended.len()), Ok(CALLERS), "a call without an end");
    let (answered, failed) = (ends.answered.load(Ordering::Relaxed), ends.failed.load(Ordering::Relaxed));
    assert!(answered > RECONNECTS && failed > RECONNECTS, "{answered} calls answered, {failed} failed");
    until("no task is left", || tasks() == idle).await;
    assert!(after * 100 <= before * 105, "{before} pages before, {after} after");
    assert!(client.call(CallKind::Read, "cron.list", json!({})).await.is_ok());
}
