//! Servers that are asked to stop while messages are on the way.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use crate::fixture::Fixture;
use crate::receiver::Receiver;
use crate::replica::Replica;

/// A delivery whose receiver does not answer belongs to nobody when the server has ended: the next one makes another
/// attempt at once, under the same run.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_hangs_is_handed_back_named_and_tried_again_at_once() -> anyhow::Result<()> {
    let receiver = Receiver::start(Duration::ZERO, Duration::from_mins(5)).await?;
    let fixture = Fixture::on_sqlite(&receiver, 1).await?;
    fixture.due_in(0, 0).await?;
    let mut first = Replica::start(&fixture.config).await?;
    let hanging = receiver.received(1, Duration::from_secs(20)).await?;
    first.terminate()?;
    let (status, took) = first.ended(Duration::from_secs(30)).await?;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(15), "it stopped after {took:?}");
    let handed_back = first.logged("its run is handed back");
    let run = hanging.first().context("no message")?.run.clone();
    assert_eq!(handed_back.len(), 1, "{handed_back:?}");
    assert_eq!(handed_back.first().and_then(|line| line.get("run.id")?.as_str()), Some(run.as_str()));

    let begun = Instant::now();
    let _second = Replica::start(&fixture.config).await?;
    let messages = receiver.received(2, Duration::from_secs(20)).await?;
    let again = messages.last().context("no message")?;
    assert_eq!((again.run.as_str(), again.attempt), (run.as_str(), 2));
    println!("stopped in {took:?}, tried again {:?} after the next start", again.at - begun);
    Ok(())
}

mod postgres {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use parking_lot::Mutex;
    use portal_cron::RunStatus;
    use reqwest::Client;
    use tokio::time::sleep;
    use tokio_postgres::NoTls;

    use super::*;

    const FRIENDS: usize = 30;
    /// Jobs of each friend.
    const JOBS: usize = 10;
    /// Time over which they are due, longer than two rolling restarts.
    const SPREAD_MS: i64 = 45_000;

    /// Servers behind a load balancer, which asks each of them every 100 ms whether it is ready.
    struct Balanced {
        ready: Arc<Mutex<Vec<String>>>,
        stop: Arc<AtomicBool>,
    }

    impl Balanced {
        fn new(client: &Client, all: Arc<Mutex<Vec<String>>>) -> Self {
            let balanced = Self { ready: Arc::default(), stop: Arc::default() };
            let (ready, stop, client) = (balanced.ready.clone(), balanced.stop.clone(), client.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let mut found = Vec::new();
                    let bases = all.lock().clone();
                    for base in bases {
                        let answer = client.get(format!("{base}/readyz")).send().await;
                        if answer.is_ok_and(|answer| answer.status().is_success()) {
                            found.push(base);
                        }
                    }
                    *ready.lock() = found;
                    sleep(Duration::from_millis(100)).await;
                }
            });
            balanced
        }

        /// Asks for `/me` over and over, each time another server; returns how often, and what failed.
        async fn ask(&self, client: Client, tokens: Vec<String>) -> (usize, Vec<String>) {
            let (mut count, mut failed) = (0, Vec::new());
            for token in tokens.iter().cycle() {
                if self.stop.load(Ordering::SeqCst) {
                    break;
                }
                let ready = self.ready.lock().clone();
                if let Some(base) = ready.get(count % ready.len().max(1)) {
                    let asked = client.get(format!("{base}/api/portal/me")).bearer_auth(token).send().await;
                    match asked {
                        Ok(answer) if answer.status().is_success() => {}
                        Ok(answer) => failed.push(answer.status().to_string()),
                        Err(error) => failed.push(format!("{error:?}")),
                    }
                    count += 1;
                }
                sleep(Duration::from_millis(10)).await;
            }
            (count, failed)
        }
    }

    /// A database that is dropped with this value.
    struct Database {
        server: String,
        name: String,
    }

    impl Database {
        #[expect(clippy::disallowed_methods, reason = "the tier hands over its server by environment")]
        async fn create() -> anyhow::Result<Self> {
            let server = std::env::var("TEST_DATABASE_URL")?;
            let name = format!("portal_jobs_{:032x}", rand::random::<u128>());
            execute(&server, &format!("create database {name}")).await?;
            Ok(Self { server, name })
        }

        fn url(&self) -> anyhow::Result<String> {
            let (before, _) = self.server.rsplit_once('/').context("the server's URL names no database")?;
            Ok(format!("{before}/{}", self.name))
        }
    }

    impl Drop for Database {
        fn drop(&mut self) {
            let statement = format!("drop database {} with (force)", self.name);
            let server = self.server.clone();
            // On a thread of its own, since the test's runtime may not be blocked.
            let dropped = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(execute(&server, &statement))
            });
            drop(dropped.join());
        }
    }

    async fn execute(server: &str, statement: &str) -> anyhow::Result<()> {
        let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
        let connection = tokio::spawn(connection);
        client.batch_execute(statement).await?;
        drop(client);
        Ok(connection.await??)
    }

    /// Replaces each of three servers, twice, while messages go out and requests come in.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn rolling_restarts_double_nothing_fail_nothing_and_delay_little() -> anyhow::Result<()> {
        let receiver = Receiver::start(Duration::from_secs(2), Duration::from_secs(2)).await?;
        let database = Database::create().await?;
        let fixture = Fixture::on_postgres(database.url()?, Box::new(database), &receiver, FRIENDS).await?;
        let mut replicas = Vec::new();
        for _ in 0..3 {
            replicas.push(Replica::start(&fixture.config).await?);
        }
        let (mut due, begun) = (HashMap::new(), Instant::now());
        let first = i64::try_from(FRIENDS * JOBS * 20)?;
        for number in 0..FRIENDS * JOBS {
            let left = first - i64::try_from(begun.elapsed().as_millis())?;
            let after = left.max(0) + SPREAD_MS * i64::try_from(number)? / i64::try_from(FRIENDS * JOBS)?;
            let id = fixture.due_in(number % FRIENDS, after).await?;
            due.insert(id, Instant::now() + Duration::from_millis(u64::try_from(after)?));
        }
        let client = Client::builder().timeout(Duration::from_secs(20)).no_proxy().build()?;
        let addresses = Arc::new(Mutex::new(replicas.iter().map(|replica| replica.base.clone()).collect::<Vec<_>>()));
        let balanced = Arc::new(Balanced::new(&client, addresses.clone()));
        let (asking, tokens) = (balanced.clone(), fixture.tokens.clone());
        let asked = tokio::spawn(async move { asking.ask(client, tokens).await });
        receiver.received(10, Duration::from_secs(60)).await?;

        let (mut handed_back, mut rolled) = (0, Vec::new());
        for _ in 0..6 {
            let mut old = replicas.remove(0);
            old.terminate()?;
            let (status, took) = old.ended(Duration::from_secs(30)).await?;
            assert!(status.success(), "{status}");
            rolled.push(took);
            handed_back += old.logged("its run is handed back").len();
            let new = Replica::start(&fixture.config).await?;
            let mut addresses = addresses.lock();
            addresses.retain(|base| *base != old.base);
            addresses.push(new.base.clone());
            replicas.push(new);
        }
        let during = receiver.messages().len();
        let messages = receiver.received(FRIENDS * JOBS, Duration::from_secs(120)).await?;
        balanced.stop.store(true, Ordering::SeqCst);
        let (requests, failed) = asked.await?;

        let late = |message: &crate::receiver::Message| {
            due.get(&message.job).map(|due| message.at.saturating_duration_since(*due)).unwrap_or_default()
        };
        let latest = messages.iter().map(late).max().unwrap_or_default();
        println!(
            "{during} of {} messages came during six restarts ({rolled:?}); the latest was {latest:?} late; \
             {handed_back} were handed back; {} of {requests} requests failed",
            messages.len(),
            failed.len(),
        );
        assert_eq!(receiver.doubled(), [], "messages that came more than once");
        assert_eq!(messages.len(), FRIENDS * JOBS);
        assert_eq!(failed, [""; 0]);
        assert!(requests > 1_000, "{requests} requests");
        assert!(during > FRIENDS * JOBS / 4, "{during} messages came during the restarts");
        assert!(latest < Duration::from_secs(30), "{latest:?}");
        // The receiver has the last messages, and their ends are about to be stored.
        let stored = Instant::now();
        loop {
            let jobs = fixture.jobs().await?;
            if jobs.iter().all(|job| job.state.last_status.is_some()) {
                let other = jobs.iter().find(|job| job.state.last_status != Some(RunStatus::Delivered));
                assert!(other.is_none(), "{other:?}");
                return Ok(());
            }
            assert!(stored.elapsed() < Duration::from_secs(30), "the end of a run was never stored");
            sleep(Duration::from_millis(100)).await;
        }
    }
}
