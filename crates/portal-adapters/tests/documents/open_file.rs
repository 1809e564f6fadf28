//! An agent that appends to a document through an open file while a friend saves.

use std::io::Write;
use std::time::Duration;

use portal_core::FriendshipKey;
use portal_workspace::{Content, DocumentName, Precondition, Writer};

use crate::fixture::{Fixture, agent, friend};

/// Lines that the agent appends; the friend saves after a third of them.
const LINES: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_in_the_file_or_in_a_version() {
    let folders = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folders.path().join("portal.db").display());
    let folder = folders.path().join("main");
    std::fs::create_dir(&folder).unwrap();
    let fixture = Fixture::found(&folder, &url, 1).await;
    let save = async |text: &str| {
        let writer = Writer { reader: FriendshipKey { friend: friend(0), agent: agent() }, session: text.to_owned() };
        let content = Content::parse(text.to_owned()).unwrap();
        fixture.documents.replace(writer, DocumentName::Memory, content, Precondition::None).await.unwrap();
    };
    save("first\n").await;
    let mut open = std::fs::OpenOptions::new().append(true).open(fixture.file(0)).unwrap();
    // The pass of a running portal.
    let documents = fixture.documents.clone();
    let passes = tokio::spawn(async move {
        loop {
            documents.recover().await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for line in 0..LINES {
        ticks.tick().await;
        if line == LINES / 3 {
            save("second\n").await;
        }
        writeln!(open, "line {line}").unwrap();
    }
    let last = format!("line {}\n", LINES - 1);
    let is_safe = async || fixture.safe(0).await.iter().any(|text| text.contains(&last));
    tokio::time::timeout(Duration::from_secs(20), async {
        while !is_safe().await {
            ticks.tick().await;
        }
    })
    .await
    .unwrap();
    passes.abort();
    let stored = fixture.safe(0).await;
    for line in 0..LINES {
        assert!(stored.iter().any(|text| text.contains(&format!("line {line}\n"))), "line {line} is lost: {stored:?}");
    }
    assert_eq!(std::fs::read_to_string(fixture.file(0)).unwrap(), "second\n");
}
