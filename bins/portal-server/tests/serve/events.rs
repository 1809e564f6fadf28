//! Event streams of configured servers.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use portal_core::FriendshipStatus;
use reqwest::{Client, Response};
use tokio::time::{Instant, timeout};

use crate::fixture::Fixture;
use crate::receiver::Receiver;
use crate::replica::Replica;

/// Longest time from a change to its event: a poll each second, and a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// Streams that a friend may have.
const STREAMS: usize = 4;
/// Idle streams whose memory is measured.
const IDLE: usize = 1_000;
/// Most memory that an idle stream may cost, in bytes.
const IDLE_MEMORY: u64 = 40 * 1024;

/// An open stream, and what it was told so far.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(replica: &Replica, token: &str, last_event_id: Option<&str>) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().build()?;
        let mut request = client.get(format!("{}/api/portal/events", replica.base)).bearer_auth(token);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await?;
        ensure!(response.status() == 200, "{}", response.status());
        let mut stream = Self { response, text: String::new() };
        stream.until("\nid: ").await?;
        Ok(stream)
    }

    /// Waits until something was told.
    async fn until(&mut self, told: &str) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !self.text.contains(told) {
            let left = SOON.saturating_sub(begun.elapsed());
            let piece = timeout(left, self.response.chunk()).await;
            let piece = piece.with_context(|| format!("`{told}` is not in {:?}", self.text))??;
            self.text.push_str(&String::from_utf8_lossy(&piece.context("the stream ended")?));
        }
        Ok(())
    }

    /// Reads to the end; returns the time that it took.
    async fn ended(&mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        timeout(SOON, async {
            while let Some(piece) = self.response.chunk().await? {
                self.text.push_str(&String::from_utf8_lossy(&piece));
            }
            anyhow::Ok(())
        })
        .await
        .context("the stream goes on")??;
        Ok(begun.elapsed())
    }

    /// The last id that it was told.
    fn last_id(&self) -> Option<&str> {
        self.text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back()
    }
}

/// Follows a change from one replica to the streams of another, and streams to their end.
async fn follow(fixture: &Fixture) -> anyhow::Result<()> {
    let (first, second) = (Replica::start(&fixture.config).await?, Replica::start(&fixture.config).await?);
    let [alice, bob] = &fixture.tokens[..] else { anyhow::bail!("two friends") };
    let mut own = Stream::open(&second, alice, None).await?;
    let mut others = Stream::open(&second, bob, None).await?;
    let job = serde_json::json!({"name": "daily", "message": "Hello", "cron": "0 9 * * *"});
    let request = Client::builder().no_proxy().build()?.post(format!("{}/api/portal/workspace/crons", first.base));
    let created = request.bearer_auth(alice).json(&job).send().await?;
    ensure!(created.status() == 201, "{}", created.status());
    let created: serde_json::Value = created.json().await?;
    let id = created.get("id").context("the job has no id")?;
    own.until(&format!("event: job\ndata: {{\"agent_id\":\"main\",\"id\":{id}}}\n\n")).await?;

    // A stream that ended is resumed at the other replica.
    let last = own.last_id().context("no id")?.to_owned();
    drop(own);
    fixture.due_in(0, 60_000).await?;
    let mut own = Stream::open(&first, alice, Some(&last)).await?;
    own.until("event: job\n").await?;

    fixture.set_status(0, FriendshipStatus::Blocked).await?;
    own.ended().await?;
    assert!(own.text.contains("event: session-ended\n"), "{}", own.text);
    second.terminate()?;
    let ended = others.ended().await?;
    assert!(ended < Duration::from_secs(2), "the drain begins with the end of the streams: {ended:?}");
    assert!(!others.text.contains("event: "), "another friend was told {}", others.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_its_friends_streams_on_every_replica() -> anyhow::Result<()> {
    let receiver = Receiver::start(Duration::ZERO, Duration::ZERO).await?;
    follow(&Fixture::on_sqlite(&receiver, 2).await?).await
}

mod abuse {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier abuse"]
    async fn a_thousand_idle_streams_cost_little() -> anyhow::Result<()> {
        let receiver = Receiver::start(Duration::ZERO, Duration::ZERO).await?;
        let fixture = Fixture::on_sqlite(&receiver, IDLE / STREAMS).await?;
        let replica = Replica::start(&fixture.config).await?;
        // The first ones fill caches and start threads.
        let mut streams = Vec::new();
        for token in fixture.tokens.iter().take(STREAMS) {
            streams.push(Stream::open(&replica, token, None).await?);
        }
        let before = replica.memory()?;
        for number in 0..IDLE - STREAMS {
            let token = fixture.tokens.get((number + STREAMS) % fixture.tokens.len()).context("no token")?;
            streams.push(Stream::open(&replica, token, None).await?);
        }
        // Each has had its turn in the polls and been sent a comment.
        for stream in &mut streams {
            stream.text.clear();
            let piece = timeout(Duration::from_secs(30), stream.response.chunk()).await?;
            ensure!(piece?.is_some(), "a stream ended");
        }
        let each = replica.memory()?.saturating_sub(before) / IDLE as u64;
        println!("{IDLE} idle streams cost {} KiB each", each / 1024);
        assert!(each <= IDLE_MEMORY, "{each} bytes");
        Ok(())
    }
}

mod postgres {
    use super::*;
    use crate::database::Database;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn a_change_reaches_its_friends_streams_on_every_replica() -> anyhow::Result<()> {
        let receiver = Receiver::start(Duration::ZERO, Duration::ZERO).await?;
        let database = Database::create().await?;
        follow(&Fixture::on_postgres(database.url()?, Box::new(database), &receiver, 2).await?).await
    }
}
