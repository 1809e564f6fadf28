//! Acknowledged writes survive the death of the process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use portal_adapters::db::{Db, DbSettings};
use portal_core::AuditFilter;

use crate::registration::friend_and_audit;

/// Names the file that this process is to fill until it is killed.
const FILE_TO_FILL: &str = "PORTAL_TEST_FILE_TO_FILL";
/// Prefix of each id that the database acknowledged, in the output of the filling process.
const ACKNOWLEDGED: &str = "acknowledged ";
/// After how many acknowledgements each of the filling processes is killed.
const LIVES: [usize; 10] = [1, 7, 40, 3, 2, 5, 11, 4, 9, 6];

fn open(path: &OsStr) -> Db {
    let settings = DbSettings::new(format!("sqlite:{}", path.display()));
    Db::open(&settings, tokio::runtime::Handle::current()).unwrap()
}

async fn fill(path: &OsStr) {
    let db = open(path);
    db.migrate().await.unwrap();
    let friends = db.friends();
    let mut output = std::io::stdout();
    loop {
        let (friend, audit) = friend_and_audit(&format!("{:032x}", rand::random::<u128>()));
        let id = friend.id.clone();
        friends.create(friend, audit).await.unwrap();
        writeln!(output, "{ACKNOWLEDGED}{id}").unwrap();
    }
}

/// Lets a process of this very program fill the file, and kills it after so many acknowledgements; what it had said
/// until then.
fn fill_and_kill(path: &OsStr, lifetime: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durability::what_was_acknowledged_survives_a_kill", "--nocapture"])
        .env(FILE_TO_FILL, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    for line in said {
        acknowledged.extend(line.unwrap().split_once(ACKNOWLEDGED).map(|(_, id)| id.to_owned()));
        if acknowledged.len() == lifetime {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill() {
    if let Some(path) = std::env::var_os(FILE_TO_FILL) {
        fill(&path).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portal.db").into_os_string();
    let mut acknowledged = Vec::new();
    for lifetime in LIVES {
        acknowledged.extend(fill_and_kill(&path, lifetime));
    }
    let db = open(&path);
    let (friends, audit) = (db.friends(), db.audit_log());
    let kept: Vec<String> = friends.list().await.unwrap().into_iter().map(|friend| friend.id.to_string()).collect();
    assert!(acknowledged.len() >= LIVES.into_iter().sum::<usize>());
    for id in &acknowledged {
        assert!(kept.contains(id), "{id} was acknowledged and is gone");
    }
    let lines = audit.list(AuditFilter { limit: 1_000_000, ..AuditFilter::default() }).await.unwrap();
    let mut told: Vec<String> = lines.into_iter().map(|line| line.subject).collect();
    told.sort();
    assert_eq!(told, kept, "each change is there with its line, or neither is");
}
