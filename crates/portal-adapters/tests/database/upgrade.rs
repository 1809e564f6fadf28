//! A database of the first release, with rows in every table, is migrated and read by this one.
//!
//! The dumps were taken before any migration of a later release. They are never edited: a later release that reads them
//! reads what operators have. `docs/development.md` says how to build the program of that time.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use portal_adapters::RandomIds;
use portal_adapters::db::{Db, DbSettings};
use portal_core::{AgentId, AuditFilter, FriendId, FriendshipKey, FriendshipStatus, SessionState, Token};
use portal_cron::{Run, RunStatus, RunsListed};
use portal_dns::{ExposureName, Hostname, Status, all_intents};
use portal_workspace::{DocumentName, DocumentPath};

use crate::postgres::Database;

const SQLITE: &str = include_str!("upgrade/sqlite.sql");
const POSTGRES: &str = include_str!("upgrade/postgres.sql");

fn alice() -> FriendId {
    FriendId::parse("alice").unwrap()
}

fn key() -> FriendshipKey {
    FriendshipKey { friend: alice(), agent: AgentId::parse("main").unwrap() }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn is_migrated_and_read(settings: &DbSettings) {
    let db = Db::open(settings, tokio::runtime::Handle::current()).unwrap();
    db.migrate().await.unwrap();
    assert_eq!(db.pending_migrations().await.unwrap(), Vec::<String>::new());
    assert_eq!(db.instance(&RandomIds).await.unwrap(), "5a".repeat(16), "markers in zones and cluster stay ours");
    people_are_read(&db).await;
    exposures_are_read(&db).await;
    documents_are_read(&db).await;
    jobs_are_read(&db).await;
}

async fn people_are_read(db: &Db) {
    let friends = db.friends().list().await.unwrap();
    let [first, second] = &*friends else { unreachable!("{friends:?}") };
    assert_eq!((first.id.as_str(), second.id.as_str()), ("alice", "bob"));
    assert_eq!(first.display_name.as_deref(), Some("Alice Example"));
    assert_eq!(first.time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(first.created_at, time("2026-11-01T08:30:00Z"));
    let contacts = db.contacts().list(&alice()).await.unwrap();
    assert_eq!(contacts.iter().map(|contact| &*contact.address).collect::<Vec<_>>(), ["12345"]);
    let agent = db.agents().find_by_token(&Token::presented("fpa_old").hash()).await.unwrap().unwrap();
    let friendships = db.friendships().of_agent(&agent.id).await.unwrap();
    let statuses: Vec<_> = friendships.iter().map(|friendship| friendship.status).collect();
    assert_eq!(statuses, [FriendshipStatus::Active, FriendshipStatus::Blocked]);
    let session = db.sessions().find(&Token::presented("fps_old")).await.unwrap().unwrap();
    assert_eq!((&*session.session.id, session.state), ("session-1", SessionState::Valid));
    let revoked = db.sessions().find(&Token::presented("fps_older")).await.unwrap().unwrap();
    assert_eq!(revoked.state, SessionState::Revoked);
    let entries = db.audit_log().list(AuditFilter { limit: 10, ..AuditFilter::default() }).await.unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| &*entry.action).collect();
    assert_eq!(actions, ["exposure.open", "friend.create"]);
}

async fn exposures_are_read(db: &Db) {
    let exposures = db.exposures().list(&alice()).await.unwrap();
    let found: Vec<_> =
        exposures.iter().map(|one| (one.spec.hostname.as_str(), one.spec.port.number(), one.status)).collect();
    assert_eq!(
        found,
        [
            ("api-alice.your-domain.net", 8080, Status::Failed),
            ("old-alice.your-domain.net", 80, Status::Removing),
            ("web-alice.your-domain.net", 80, Status::Active),
        ]
    );
    let web = db.exposures().find(&alice(), &ExposureName::parse("web").unwrap()).await.unwrap().unwrap();
    let intents = all_intents(&*db.exposures()).await.unwrap();
    let intent = intents.iter().find(|intent| intent.exposure.id == web.id).unwrap();
    let leaving: Vec<_> = intent.leaving.iter().map(Hostname::as_str).collect();
    assert_eq!((intent.generation, &*leaving), (3, &["web-alice.other-domain.net"][..]));
    let mut tombstones = db.exposures().tombstones().await.unwrap();
    tombstones.sort_by(|one, other| one.hostname.cmp(&other.hostname));
    let hostnames: Vec<_> = tombstones.iter().map(|tombstone| tombstone.hostname.as_str()).collect();
    assert_eq!(hostnames, ["gone-alice.your-domain.net", "web-alice.third-domain.net"]);
}

async fn documents_are_read(db: &Db) {
    let memory = DocumentPath::of(&key(), DocumentName::Memory);
    let versions = db.versions().list(&memory, None).await.unwrap();
    let ids: Vec<_> = versions.iter().map(|version| &*version.id).collect();
    assert_eq!(ids, ["version-2", "version-1"]);
    let (_, bytes) = db.versions().find(&memory, Some(&alice()), "version-2").await.unwrap().unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), "written by älice");
    let heartbeat = DocumentPath::of(&key(), DocumentName::Heartbeat);
    assert_eq!(db.documents().unfinished(false).await.unwrap(), std::slice::from_ref(&heartbeat));
    let claimed = db.documents().claim(&heartbeat, "write-2", TimeDelta::seconds(30)).await.unwrap().unwrap();
    assert_eq!(claimed.pending.unwrap().write, "write-1", "a write that was cut off can still be recovered");
}

async fn runs(db: &Db, job: &str) -> Vec<Run> {
    let listed = db.jobs().runs(&key(), job, None, 10).await.unwrap();
    let RunsListed::Page(runs) = listed else { unreachable!("{listed:?}") };
    runs
}

async fn jobs_are_read(db: &Db) {
    let owner = key();
    let jobs = db.jobs().list(&owner).await.unwrap();
    let [morning, weekly] = &*jobs else { unreachable!("{jobs:?}") };
    assert_eq!((morning.spec.name.as_str(), weekly.spec.name.as_str()), ("morning", "weekly"));
    assert_eq!(morning.state.next_run, Some(time("2026-11-23T08:00:00Z")));
    assert_eq!((weekly.enabled, weekly.state.consecutive_errors), (false, 3));
    let first = runs(db, "job-1").await;
    let statuses: Vec<_> = first.iter().map(|run| run.status).collect();
    assert_eq!(statuses, [RunStatus::Delivered, RunStatus::Missed]);
    assert_eq!(first.iter().find_map(|run| run.missed.as_ref()).unwrap().count, 2);
    let second = runs(db, "job-2").await;
    let open: Vec<_> = second.iter().map(|run| (&*run.id, run.status, run.attempts)).collect();
    assert_eq!(open, [("run-4", RunStatus::Retrying, 2), ("run-3", RunStatus::Failed, 5)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_database_of_the_first_release_is_migrated_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portal.db").display().to_string();
    SqliteConnection::establish(&path).unwrap().batch_execute(SQLITE).unwrap();
    is_migrated_and_read(&DbSettings::new(format!("sqlite:{path}"))).await;
}

mod postgres {
    use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn on_postgres_a_database_of_the_first_release_is_migrated_and_read() {
        let database = Database::create().await;
        let mut loading = AsyncPgConnection::establish(&database.url()).await.unwrap();
        loading.batch_execute(POSTGRES).await.unwrap();
        is_migrated_and_read(&DbSettings::new(database.url())).await;
    }
}
