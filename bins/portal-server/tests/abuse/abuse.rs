//! The clients.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::server::{Demo, Flooder};

/// Requests of each flooder: more than are answered while the victim waits.
const FLOOD: usize = 20_000;
/// Requests of a flooder that may be answered before a victim's.
const OVERTAKEN_MAX: usize = 300;
/// Connections that read nothing.
const UNREAD: usize = 300;
/// Most memory that a connection may cost whose client reads nothing.
const UNREAD_MEMORY: u64 = 64 * 1024;
/// Descriptors that come and go with database and files.
const SPARE_DESCRIPTORS: usize = 16;
/// The largest static file.
const LARGEST: &str = "/docs/swagger-ui-bundle.js";

fn start() -> anyhow::Result<(Demo, TempDir)> {
    let data = TempDir::new()?;
    Ok((Demo::start(data.path(), Stdio::inherit())?, data))
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: portal\r\nAuthorization: Bearer demo-alice\r\n\r\n")
}

/// Returns how many requests of a flooder are answered between a victim's request and its answer.
async fn overtaken(demo: &Demo, path: &str) -> anyhow::Result<usize> {
    let flood = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n".repeat(FLOOD);
    let mut victim = demo.connect().await?;
    let (mut one, mut other) = (demo.flood(flood.clone()).await?, demo.flood(flood).await?);
    while one.answers == 0 || other.answers == 0 {
        count(&mut one, &mut other).await?;
    }
    let before = (one.answers, other.answers);
    victim.send(get(path).as_bytes()).await?;
    let mut answer = Box::pin(victim.response());
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut answer => break answer?,
            counted = count(&mut one, &mut other) => counted?,
        }
    };
    one.count_arrived()?;
    other.count_arrived()?;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(one.answers < FLOOD && other.answers < FLOOD, "the flood ended too early to tell anything");
    Ok((one.answers - before.0).max(other.answers - before.1))
}

async fn count(one: &mut Flooder, other: &mut Flooder) -> anyhow::Result<()> {
    tokio::select! {
        counted = one.count() => counted,
        counted = other.count() => counted,
    }
}

#[tokio::test]
#[ignore = "tier abuse"]
async fn a_victim_is_answered_before_a_flooders_300th_request() -> anyhow::Result<()> {
    let (demo, _data) = start()?;
    for path in ["/livez", "/api/portal/me", "/api/portal/namespace", "/api/portal/workspace/memory"] {
        let mut counts = Vec::new();
        for _ in 0..5 {
            counts.push(overtaken(&demo, path).await?);
        }
        println!("{path}: {counts:?} requests of a flooder came before the victim's");
        assert!(counts.iter().all(|&count| count < OVERTAKEN_MAX), "{path}: {counts:?}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "tier abuse"]
async fn connections_that_read_nothing_cost_little_and_end() -> anyhow::Result<()> {
    let (demo, _data) = start()?;
    // The file is compressed once, and that stays in memory.
    let compressed = format!("GET {LARGEST} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let mut first = demo.connect().await?;
    first.send(compressed.as_bytes()).await?;
    assert!(first.response().await?.to_ascii_lowercase().contains("content-encoding: gzip"));
    drop(first);

    let (memory, descriptors) = (demo.memory()?, demo.descriptors()?);
    let begun = Instant::now();
    let mut clients = Vec::new();
    for number in 0..UNREAD {
        let mut client = demo.connect_narrow().await?;
        let request = if number % 2 == 0 { compressed.clone() } else { get(LARGEST) };
        client.send(request.repeat(20).as_bytes()).await?;
        clients.push(client);
    }
    let mut most = 0;
    while begun.elapsed() < Duration::from_secs(20) {
        most = most.max(demo.memory()?.saturating_sub(memory));
        sleep(Duration::from_millis(200)).await;
    }
    // The first connection, and files of a background pass, may have been open when the descriptors were counted.
    let open = demo.descriptors()?;
    assert!(
        open + SPARE_DESCRIPTORS >= descriptors + UNREAD,
        "{open} descriptors after less than 30 s, {descriptors} before"
    );
    println!("{UNREAD} connections added {} KiB each", most / 1024 / UNREAD as u64);
    assert!(most <= UNREAD as u64 * UNREAD_MEMORY, "{UNREAD} connections added {most} bytes");

    while demo.descriptors()? > descriptors + SPARE_DESCRIPTORS {
        assert!(begun.elapsed() < Duration::from_mins(1), "{} descriptors are open", demo.descriptors()?);
        sleep(Duration::from_millis(200)).await;
    }
    println!("all were closed after {:?}", begun.elapsed());
    drop(clients);
    Ok(())
}

#[tokio::test]
#[ignore = "tier abuse"]
async fn a_refused_body_that_goes_on_arriving_is_cut_off() -> anyhow::Result<()> {
    let (demo, _data) = start()?;
    let mut client = demo.connect().await?;
    let head = "PUT /api/portal/workspace/memory HTTP/1.1\r\nHost: portal\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    let begun = Instant::now();
    client.send(head.as_bytes()).await?;
    assert!(client.response().await?.starts_with("HTTP/1.1 401 "));
    let slow = async {
        while client.send(b"1\r\nx\r\n").await.is_ok() {
            sleep(Duration::from_secs(2)).await;
        }
    };
    timeout(Duration::from_mins(1), slow).await.context("the connection is open after a minute")?;
    println!("the connection was closed after {:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
#[ignore = "tier abuse"]
async fn idle_connections_end() -> anyhow::Result<()> {
    let (demo, _data) = start()?;
    let descriptors = demo.descriptors()?;
    let begun = Instant::now();
    let mut clients = Vec::new();
    for bytes in ["", "G", "GET /livez HTTP/1.1\r\nX-Half: ", "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"] {
        for _ in 0..25 {
            let mut client = demo.connect().await?;
            client.send(bytes.as_bytes()).await?;
            clients.push(client);
        }
    }
    while demo.descriptors()? > descriptors + SPARE_DESCRIPTORS {
        assert!(begun.elapsed() < Duration::from_mins(1), "{} descriptors are open", demo.descriptors()?);
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "tier abuse"]
async fn unreadable_requests_leave_no_line_in_the_log() -> anyhow::Result<()> {
    let data = TempDir::new()?;
    let log = data.path().join("log");
    let demo = Demo::start(&data.path().join("demo"), File::create(&log)?)?;
    let oversized = format!("GET / HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(200 * 1024));
    let requests =
        ["\0\u{1}\u{2}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", &oversized];
    for request in requests {
        for _ in 0..50 {
            let mut client = demo.connect().await?;
            // The portal may answer and hang up before it has taken everything.
            client.send(request.as_bytes()).await.ok();
            let answer = client.until_closed().await;
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
        }
    }
    assert_eq!(fs::read_to_string(log)?, "");
    Ok(())
}
