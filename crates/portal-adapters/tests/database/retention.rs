//! Nothing grows without bound: each table has a bound, and expired rows are deleted in batches between which others
//! write.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use parking_lot::Mutex;
use portal_adapters::db::{Db, DbSettings};
use portal_core::{
    Action, AgentId, AuditFilter, BackendError, Expired, FriendId, FriendshipKey, Retention, RetentionStore,
    SWEEP_BATCH, sweep,
};
use portal_cron::RunsListed;

use crate::postgres::Database;
use crate::registration::by_root;
use crate::tables;

/// Every table, and its bound.
const BOUNDS: [(&str, &str); 19] = [
    ("agents", "the operator adds and removes them"),
    ("audit_log", "swept: Expired::AuditEntries"),
    ("changes", "swept: Expired::Changes"),
    ("contacts", "the operator adds and removes them"),
    ("document_versions", "thinned out by portal-workspace when it writes: 20, and one a day for 14 days"),
    ("documents", "three per friend and agent"),
    ("exposures", "ten per friend"),
    ("friends", "the operator adds and removes them"),
    ("friendships", "one per friend and agent"),
    ("hostnames", "two per exposure"),
    ("jobs", "fifty per friend; swept when spent: Expired::SpentJobs"),
    ("login_codes", "swept: Expired::LoginCodes"),
    ("portal", "one row"),
    ("remote_changes", "one per job that is being changed, and those of unknown outcome for ten minutes"),
    ("remote_pauses", "one per paused job"),
    ("remote_runs", "swept: Expired::Runs"),
    ("runs", "swept: Expired::Runs and Expired::RunsBeyond"),
    ("sessions", "swept: Expired::Sessions"),
    ("tombstones", "swept: Expired::Tombstones"),
];

#[test]
fn every_table_has_a_bound() {
    let declared: BTreeSet<String> = tables::as_declared().into_keys().collect();
    let bounded: BTreeSet<String> = BOUNDS.iter().map(|(table, _)| (*table).to_owned()).collect();
    assert_eq!(declared, bounded, "say in BOUNDS what keeps the new table from growing for ever");
}

fn now() -> DateTime<Utc> {
    "2026-11-25T00:00:00Z".parse().unwrap()
}

/// More than two batches of most kinds, all of them long expired, and some rows that are not.
fn crowd() -> String {
    let mut sql = String::from(
        "insert into friends values ('alice', null, null, null, '2020-01-01 00:00:00');
         insert into agents (id, token_hash, created_at) values ('main', '0000000000000000000000000000000000000000000000000000000000000000', '2020-01-01 00:00:00');
         insert into friendships (friend_id, agent_id, status, heartbeat_writable, created_at)
             values ('alice', 'main', 'active', true, '2020-01-01 00:00:00');",
    );
    for job in ["long-ago", "busy"] {
        write!(
            sql,
            "insert into jobs (id, friend_id, agent_id, name, message, cron, tz, session, enabled, created_at, \
             consecutive_errors) values ('{job}', 'alice', 'main', '{job}', 'm', '* * * * *', 'UTC', 'isolated', false, \
             '2020-01-01 00:00:00', 0);"
        )
        .unwrap();
    }
    sql.push_str(
        "insert into jobs (id, friend_id, agent_id, name, message, fires_at, tz, session, enabled, created_at, \
         consecutive_errors) values ('spent', 'alice', 'main', 'spent', 'm', '2020-01-01 00:00:00', 'UTC', 'isolated', \
         false, '2020-01-01 00:00:00', 0), ('recent', 'alice', 'main', 'recent', 'm', '2026-11-24 00:00:00', 'UTC', \
         'isolated', false, '2020-01-01 00:00:00', 0), ('late', 'alice', 'main', 'late', 'm', '2020-01-01 00:00:00', \
         'UTC', 'isolated', true, '2020-01-01 00:00:00', 0);
         insert into runs (id, job_id, cause, due_at, status, attempts, claimable_at) values ('open', 'busy', 'manual', \
         '2020-01-01 00:00:00', 'retrying', 1, '2020-01-01 00:00:00');",
    );
    let mut rows = |table: &str, columns: &str, count: usize, row: &dyn Fn(usize) -> String| {
        let rows: Vec<String> = (0..count).map(|number| format!("({})", row(number))).collect();
        write!(sql, "insert into {table} ({columns}) values {};", rows.join(",")).unwrap();
    };
    let audit = "at, actor, action, subject, detail";
    rows("audit_log", audit, 2_500, &|_| "'2020-01-01 00:00:00', 'operator:root', 'a', 's', ''".to_owned());
    rows("audit_log", audit, 10, &|_| "'2026-11-01 00:00:00', 'operator:root', 'a', 's', ''".to_owned());
    let runs = "id, job_id, cause, due_at, status, attempts, claimable_at, finished_at";
    rows("runs", runs, 1_200, &|number| {
        format!(
            "'old-{number}', 'long-ago', 'manual', '2020-01-01 00:00:00', 'failed', 1, '2020-01-01 00:00:00', \
             '2020-01-01 00:00:00'"
        )
    });
    rows("runs", runs, 1_400, &|number| {
        let at = format!("2026-11-2{} {:02}:{:02}:00", number / 1_000, number % 1_000 / 60, number % 60);
        format!("'busy-{number}', 'busy', 'manual', '{at}', 'delivered', 1, '{at}', '{at}'")
    });
    rows("sessions", "id, token_hash, friend_id, agent_id, created_at, expires_at", 1_500, &|number| {
        format!("'{number}', '{number:064}', 'alice', 'main', '2020-01-01 00:00:00', '2020-02-01 00:00:00'")
    });
    rows("login_codes", "code_hash, friend_id, agent_id, created_at, expires_at, created_by", 1_300, &|number| {
        format!("'{number:064}', 'alice', 'main', '2020-01-01 00:00:00', '2020-01-01 00:10:00', 'agent:main'")
    });
    rows("tombstones", "exposure_id, hostname, friend_id, name, parted, at", 1_100, &|number| {
        format!("'{number:032}', 'h{number}.example.org', 'alice', 'n', 'ended', '2020-01-01 00:00:00'")
    });
    let changes = "at, friend_id, topic, subject";
    rows("changes", changes, 1_050, &|_| "'2020-01-01 00:00:00', 'alice', 'exposure', 'web'".to_owned());
    sql
}

/// Counts the rows of each batch.
struct Counting {
    store: Arc<dyn RetentionStore>,
    batches: Mutex<Vec<u64>>,
}

#[async_trait]
impl RetentionStore for Counting {
    async fn count(&self, expired: Expired) -> Result<u64, BackendError> {
        self.store.count(expired).await
    }

    async fn delete(&self, expired: Expired, limit: u32) -> Result<u64, BackendError> {
        let deleted = self.store.delete(expired, limit).await?;
        self.batches.lock().push(deleted);
        Ok(deleted)
    }
}

async fn expired_rows_go_in_batches_while_others_write(settings: &DbSettings, load: impl AsyncFnOnce(&str)) {
    let db = Db::open(settings, tokio::runtime::Handle::current()).unwrap();
    db.migrate().await.unwrap();
    load(&crowd()).await;
    let (is_done, writer) = (Arc::new(AtomicBool::new(false)), db.audit_log());
    let (stop, alice) = (is_done.clone(), FriendId::parse("alice").unwrap());
    let writing = tokio::spawn(async move {
        let mut written = 0;
        while !stop.load(Ordering::SeqCst) {
            let mut entry = by_root(Action::FriendUpdate, &alice);
            entry.at = now();
            writer.append(entry).await.unwrap();
            written += 1;
        }
        written
    });
    let store = Counting { store: db.retention(), batches: Mutex::default() };
    let mut deleted = Vec::new();
    for expired in Retention::default().expired(now()) {
        let counted = store.count(expired).await.unwrap();
        deleted.push(sweep(&store, expired).await.unwrap());
        assert_eq!(deleted.last(), Some(&counted), "{}", expired.kind());
        assert_eq!(store.count(expired).await.unwrap(), 0);
    }
    is_done.store(true, Ordering::SeqCst);
    let written = writing.await.unwrap();
    assert_eq!(deleted, [2_500, 1_200, 1_200, 1, 1_500, 1_300, 1_100, 1_050]);
    let batches = store.batches.into_inner();
    assert!(batches.iter().all(|batch| *batch <= u64::from(SWEEP_BATCH)), "{batches:?}");
    assert!(written >= batches.len(), "{written} writes beside {} batches", batches.len());
    let entries = db.audit_log().list(AuditFilter { limit: 1_000_000, ..AuditFilter::default() }).await.unwrap();
    assert_eq!(entries.len(), 10 + written, "what has not expired stays");
    let owner = FriendshipKey { friend: FriendId::parse("alice").unwrap(), agent: AgentId::parse("main").unwrap() };
    let jobs = db.jobs().list(&owner).await.unwrap();
    let names: Vec<_> = jobs.iter().map(|job| job.spec.name.as_str()).collect();
    assert_eq!(names, ["busy", "late", "long-ago", "recent"], "one that is still to run stays");
    let listed = db.jobs().runs(&owner, "busy", None, 1_000).await.unwrap();
    let RunsListed::Page(runs) = listed else { unreachable!("{listed:?}") };
    let oldest = runs.last().map(|run| run.id.as_str());
    assert_eq!((runs.len(), oldest), (201, Some("open")), "an open run stays, however old");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_expired_rows_go_in_batches_while_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portal.db").display().to_string();
    let load = async |sql: &str| SqliteConnection::establish(&path).unwrap().batch_execute(sql).unwrap();
    expired_rows_go_in_batches_while_others_write(&DbSettings::new(format!("sqlite:{path}")), load).await;
}

mod postgres {
    use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn on_postgres_expired_rows_go_in_batches_while_others_write() {
        let database = Database::create().await;
        let url = database.url();
        let load = async |sql: &str| {
            AsyncPgConnection::establish(&url).await.unwrap().batch_execute(sql).await.unwrap();
        };
        expired_rows_go_in_batches_while_others_write(&DbSettings::new(database.url()), load).await;
    }
}
