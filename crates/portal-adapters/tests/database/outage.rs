//! A database that fails: every query ends in time with an error, never with an answer that the database did not give,
//! and queries succeed again once the database is back.

pub(crate) mod proxy;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use portal_adapters::RandomIds;
use portal_adapters::db::{Db, DbSettings};
use portal_core::{BackendError, BackendErrorKind, Friend, FriendCreated, FriendId, FriendStore, NewSession, Token};

use crate::postgres::Database;
use crate::registration::friend_and_audit;
use proxy::{Mode, Proxy};

/// Limit of a connection, and again of a statement, in these tests.
const TIMEOUT: Duration = Duration::from_millis(500);

fn settings(url: String) -> DbSettings {
    let mut settings = DbSettings::new(url);
    settings.acquire_timeout = TIMEOUT;
    settings.statement_timeout = TIMEOUT;
    settings
}

/// A register with alice in it.
async fn with_alice(settings: &DbSettings) -> Arc<dyn FriendStore> {
    let db = Db::open(settings, tokio::runtime::Handle::current()).unwrap();
    db.migrate().await.unwrap();
    let friends = db.friends();
    assert_eq!(register(&friends, "alice").await.unwrap(), FriendCreated::New);
    friends
}

async fn register(friends: &Arc<dyn FriendStore>, id: &str) -> Result<FriendCreated, BackendError> {
    let (friend, audit) = friend_and_audit(id);
    friends.create(friend, audit).await
}

async fn find(friends: &Arc<dyn FriendStore>, id: &str) -> Result<Option<Friend>, BackendError> {
    friends.find(&FriendId::parse(id).unwrap()).await
}

#[track_caller]
fn is_unavailable<T: std::fmt::Debug>(outcome: &Result<T, BackendError>) {
    assert!(matches!(outcome, Err(BackendError { kind: BackendErrorKind::Unavailable, .. })), "{outcome:?}");
}

struct File {
    folder: tempfile::TempDir,
    db: Db,
    friends: Arc<dyn FriendStore>,
}

impl File {
    async fn with_alice() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(format!("sqlite:{}", folder.path().join("portal.db").display()));
        with_alice(&settings).await;
        let db = Db::open(&settings, tokio::runtime::Handle::current()).unwrap();
        // The first query is what ties the portal to this very file.
        assert!(find(&db.friends(), "alice").await.unwrap().is_some());
        Self { folder, friends: db.friends(), db }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("portal.db")
    }

    fn elsewhere(&self) -> PathBuf {
        self.folder.path().join("elsewhere.db")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_moved_away_is_unavailable_until_it_is_back() {
    let file = File::with_alice().await;
    std::fs::rename(file.path(), file.elsewhere()).unwrap();
    is_unavailable(&find(&file.friends, "alice").await);
    is_unavailable(&find(&file.friends, "nobody").await);
    is_unavailable(&register(&file.friends, "bob").await);
    std::fs::rename(file.elsewhere(), file.path()).unwrap();
    assert!(find(&file.friends, "alice").await.unwrap().is_some());
    assert_eq!(register(&file.friends, "bob").await.unwrap(), FriendCreated::New);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_to_a_file_that_was_replaced() {
    let file = File::with_alice().await;
    std::fs::copy(file.path(), file.elsewhere()).unwrap();
    std::fs::rename(file.elsewhere(), file.path()).unwrap();
    is_unavailable(&register(&file.friends, "bob").await);
    is_unavailable(&find(&file.friends, "nobody").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_failed_is_tried_again_by_whoever_asks_whether_writes_work() {
    let file = File::with_alice().await;
    let mut other = SqliteConnection::establish(&file.path().display().to_string()).unwrap();
    other.batch_execute("begin immediate").unwrap();
    file.db.check_writes().await.unwrap();
    is_unavailable(&register(&file.friends, "bob").await);
    is_unavailable(&file.db.check_writes().await);
    other.batch_execute("rollback").unwrap();
    let deadline = Instant::now() + 20 * TIMEOUT;
    while file.db.check_writes().await.is_err() {
        assert!(Instant::now() < deadline, "no write was tried");
        tokio::time::sleep(TIMEOUT / 10).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guessed_login_code_does_not_wait_for_the_writer() {
    let file = File::with_alice().await;
    let mut other = SqliteConnection::establish(&file.path().display().to_string()).unwrap();
    other.batch_execute("begin immediate").unwrap();
    let (created_at, expires_at) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH);
    let session = NewSession { id: "1".repeat(32), token: Token::presented("new").hash(), created_at, expires_at };
    let exchanged = file.db.logins().exchange(Token::presented("guess").hash(), session).await;
    assert!(matches!(exchanged, Ok(None)), "{exchanged:?}");
}

mod mounts {
    use super::*;
    use crate::unshare::mounted;

    /// Room for the tables, the log and some friends.
    const SMALL: &str = "mount -t tmpfs -o size=1200k tmpfs \"$0\"";

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier mounts"]
    async fn with_a_full_disk_reads_go_on_and_writes_recover_once_there_is_room() {
        let name = "outage::mounts::with_a_full_disk_reads_go_on_and_writes_recover_once_there_is_room";
        let Some(folder) = mounted(name, SMALL) else { return };
        let settings = settings(format!("sqlite:{}", folder.join("portal.db").display()));
        let db = Db::open(&settings, tokio::runtime::Handle::current()).unwrap();
        let friends = with_alice(&settings).await;
        db.instance(&RandomIds).await.unwrap();
        let ballast = folder.join("ballast");
        let mut file = std::fs::File::create(&ballast).unwrap();
        while std::io::Write::write_all(&mut file, &[0; 1024]).is_ok() {}
        db.check_writes().await.unwrap();
        // The log has no room to grow.
        let mut number = 0;
        let refused = loop {
            match register(&db.friends(), &format!("f{number}")).await {
                Ok(_) => number += 1,
                refused => break refused,
            }
        };
        is_unavailable(&refused);
        assert!(find(&friends, "alice").await.unwrap().is_some());
        db.ping().await.unwrap();
        is_unavailable(&db.check_writes().await);
        std::fs::remove_file(&ballast).unwrap();
        drop(file);
        assert_eq!(register(&db.friends(), "bob").await.unwrap(), FriendCreated::New);
        db.check_writes().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_there_is_not_made_by_asking() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portal.db");
    let settings = settings(format!("sqlite:{}", path.display()));
    let friends = Db::open(&settings, tokio::runtime::Handle::current()).unwrap().friends();
    is_unavailable(&find(&friends, "alice").await);
    is_unavailable(&register(&friends, "alice").await);
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_or_was_not_migrated_says_nothing() {
    for content in [String::new(), "not a database".repeat(1000)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portal.db");
        std::fs::write(&path, content).unwrap();
        let settings = settings(format!("sqlite:{}", path.display()));
        let friends = Db::open(&settings, tokio::runtime::Handle::current()).unwrap().friends();
        is_unavailable(&find(&friends, "alice").await);
        is_unavailable(&register(&friends, "alice").await);
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let file = File::with_alice().await;
    assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_somebody_else_writes_is_read_all_the_same() {
    let file = File::with_alice().await;
    let mut other = SqliteConnection::establish(&file.path().display().to_string()).unwrap();
    other.batch_execute("begin immediate").unwrap();
    let asked = Instant::now();
    is_unavailable(&register(&file.friends, "bob").await);
    assert!(asked.elapsed() < 4 * TIMEOUT, "{:?}", asked.elapsed());
    assert!(find(&file.friends, "alice").await.unwrap().is_some());
    other.batch_execute("rollback").unwrap();
    // The write that nobody waited for may still come to its end.
    assert!(matches!(register(&file.friends, "bob").await, Ok(FriendCreated::New | FriendCreated::Exists)));
}

/// Ends every session in a database, as a restart of its server does.
async fn end_sessions(database: &Database) {
    let name = &database.name;
    let theirs = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
    database.tell_server(&theirs).await;
}

/// Asks for alice, who is there, over and over; returns how often there was an answer.
async fn ask_two_hundred_times(friends: &Arc<dyn FriendStore>) -> usize {
    let mut answers = 0;
    for _ in 0..200 {
        match find(friends, "alice").await {
            Ok(found) => {
                assert!(found.is_some(), "alice was there all the time");
                answers += 1;
            }
            Err(error) => {
                assert!(matches!(error, BackendError { kind: BackendErrorKind::Unavailable, .. }), "{error:?}");
            }
        }
    }
    answers
}

mod postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn a_server_that_is_stopped_is_unavailable_until_it_is_back() {
        let database = Database::create().await;
        let proxy = Proxy::before(&database.url()).await;
        let friends = with_alice(&settings(proxy.url(&database.url()))).await;
        for mode in [Mode::Refusing, Mode::Silent] {
            proxy.turn(mode);
            let asked = Instant::now();
            is_unavailable(&find(&friends, "alice").await);
            is_unavailable(&find(&friends, "nobody").await);
            is_unavailable(&register(&friends, "bob").await);
            assert!(asked.elapsed() < 10 * TIMEOUT, "{mode:?}: {:?}", asked.elapsed());
            proxy.turn(Mode::Through);
            let patience = Instant::now() + 20 * TIMEOUT;
            while !matches!(find(&friends, "alice").await, Ok(Some(_))) {
                assert!(Instant::now() < patience, "{mode:?}: it did not recover");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn a_server_that_restarted_between_two_questions_costs_none_of_them() {
        let database = Database::create().await;
        let friends = with_alice(&DbSettings::new(database.url())).await;
        for _ in 0..3 {
            let all = futures::future::join_all((0..8).map(|_| find(&friends, "alice"))).await;
            assert!(all.into_iter().all(|found| found.unwrap().is_some()), "eight connections stand open");
            end_sessions(&database).await;
            assert!(find(&friends, "alice").await.unwrap().is_some());
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn connections_ended_in_the_middle_of_questions_never_make_up_an_answer() {
        let database = Database::create().await;
        let friends = with_alice(&DbSettings::new(database.url())).await;
        let interrupt = async {
            for _ in 0..10 {
                end_sessions(&database).await;
            }
        };
        let (answers, ()) = futures::join!(ask_two_hundred_times(&friends), interrupt);
        assert!(answers > 0);
        assert!(find(&friends, "alice").await.unwrap().is_some());
    }
}
