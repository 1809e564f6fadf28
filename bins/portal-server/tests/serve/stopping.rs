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

    use portal_cron::RunStatus;
    use tokio::time::sleep;

    use super::*;
    use crate::balancer::Balancer;
    use crate::database::Database;
    use crate::receiver::Message;

    const FRIENDS: usize = 30;
    /// Jobs of each friend.
    const JOBS: usize = 10;
    /// Time over which they are due, longer than two rolling restarts.
    const SPREAD_MS: i64 = 45_000;
    /// Time from the first job's creation to its fire time, in which the others are stored.
    const LEAD_MS: i64 = 6_000;
    /// Delay of the receiver's answers.
    const RECEIVER_DELAY: Duration = Duration::from_secs(2);

    /// Stores the jobs; returns when each of them is due.
    async fn store_jobs(fixture: &Fixture) -> anyhow::Result<HashMap<String, Instant>> {
        let (mut due, begun, count) = (HashMap::new(), Instant::now(), i64::try_from(FRIENDS * JOBS)?);
        for number in 0..FRIENDS * JOBS {
            let left = LEAD_MS - i64::try_from(begun.elapsed().as_millis())?;
            let after = left.max(0) + SPREAD_MS * i64::try_from(number)? / count;
            let id = fixture.due_in(number % FRIENDS, after).await?;
            due.insert(id, Instant::now() + Duration::from_millis(u64::try_from(after)?));
        }
        Ok(due)
    }

    /// Stops each of the servers and starts another one in its place, twice; returns the number of runs that they handed
    /// back.
    async fn roll(fixture: &Fixture, replicas: &mut Vec<Replica>, balancer: &Balancer) -> anyhow::Result<usize> {
        let mut handed_back = 0;
        for _ in 0..2 * replicas.len() {
            let mut old = replicas.remove(0);
            old.terminate()?;
            let (status, took) = old.ended(Duration::from_secs(30)).await?;
            assert!(status.success(), "{status} after {took:?}");
            handed_back += old.logged("its run is handed back").len();
            let new = Replica::start(&fixture.config).await?;
            let mut servers = balancer.servers.lock();
            servers.retain(|base| *base != old.base);
            servers.push(new.base.clone());
            replicas.push(new);
        }
        Ok(handed_back)
    }

    /// Waits until the end of every run is stored; all were delivered.
    async fn check_all_delivered(fixture: &Fixture) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let jobs = fixture.jobs().await?;
            if jobs.iter().all(|job| job.state.last_status.is_some()) {
                let other = jobs.iter().find(|job| job.state.last_status != Some(RunStatus::Delivered));
                assert!(other.is_none(), "{other:?}");
                return Ok(());
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "the end of a run was never stored");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Replaces each of three servers, twice, while messages go out and requests come in.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn rolling_restarts_double_nothing_fail_nothing_and_delay_little() -> anyhow::Result<()> {
        let receiver = Receiver::start(RECEIVER_DELAY, RECEIVER_DELAY).await?;
        let database = Database::create().await?;
        let fixture = Fixture::on_postgres(database.url()?, Box::new(database), &receiver, FRIENDS).await?;
        let mut replicas = Vec::new();
        for _ in 0..3 {
            replicas.push(Replica::start(&fixture.config).await?);
        }
        let due = store_jobs(&fixture).await?;
        let balancer = Balancer::start(replicas.iter().map(|replica| replica.base.clone()).collect())?;
        let (asking, tokens) = (balancer.clone(), fixture.tokens.clone());
        let asked = tokio::spawn(async move { asking.ask(&tokens).await });
        receiver.received(10, Duration::from_mins(1)).await?;
        let handed_back = roll(&fixture, &mut replicas, &balancer).await?;
        let during = receiver.messages().len();
        let messages = receiver.received(FRIENDS * JOBS, Duration::from_mins(2)).await?;
        balancer.stop();
        let sent = asked.await?;

        let lateness = |message: &Message| {
            due.get(&message.job).map(|due| message.at.saturating_duration_since(*due)).unwrap_or_default()
        };
        let latest = messages.iter().map(lateness).max().unwrap_or_default();
        println!(
            "{during} of {} messages came during six restarts, the latest {latest:?} late; {handed_back} runs were \
             handed back; {} of {} requests failed",
            messages.len(),
            sent.failed.len(),
            sent.count,
        );
        assert_eq!(receiver.doubled(), [], "messages that came more than once");
        assert_eq!(messages.len(), FRIENDS * JOBS);
        assert_eq!(sent.failed, [""; 0]);
        assert!(sent.count > 1_000, "{} requests", sent.count);
        assert!(during > FRIENDS * JOBS / 4, "{during} messages came during the restarts");
        assert!(latest < Duration::from_secs(30), "{latest:?}");
        check_all_delivered(&fixture).await
    }
}
