//! The statements of exposing and removing one name again and again. A program of its own: what it counts, others would
//! run as well.

#![expect(clippy::unwrap_used, reason = "a test ends where its premise fails")]

use std::net::Ipv4Addr;
use std::sync::Arc;

use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection, set_default_instrumentation};
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use parking_lot::Mutex;
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::memory::{MemoryCluster, MemoryRecords};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{Action, Actor, AuditEntry, Clock, Friend, FriendId};
use portal_dns::{
    Domain, DomainName, ExposureName, ExposurePorts, Exposures, InstanceId, OpenExposure, Status, Target, Zone,
};
use tokio::runtime::Handle;

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}";
/// What a hundred thousand rounds leave: two audit entries each, and a generation that counted them. Other friends leave
/// tombstones of their own.
const AGED: &str = "
    update tombstones set generation = 200000;
    with recursive numbers (number) as (select 1 union all select number + 1 from numbers where number < 5000)
    insert into tombstones (exposure_id, hostname, friend_id, name, parted, at)
    select printf('%032d', number), 'h' || number || '.a.net', 'other', 'n' || number, 'ended', '2020-01-01 00:00:00'
    from numbers;
    with recursive numbers (number) as (select 1 union all select number + 1 from numbers where number < 200000)
    insert into audit_log (at, actor, action, subject, detail, friend_id)
    select current_timestamp, 'friend:alice', 'exposure.open', 'my-app', '', 'alice' from numbers;
    analyze;";
/// Tables that grow with use.
const TABLES: [&str; 5] = ["audit_log", "exposures", "friends", "hostnames", "tombstones"];

static STATEMENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Recorder;

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            let (statement, _) = text.split_once(" -- binds").unwrap_or((&text, ""));
            STATEMENTS.lock().push(statement.to_owned());
        }
    }
}

#[derive(QueryableByName)]
struct Plan {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(conn: &mut SqliteConnection, table: &str) -> i64 {
    sql_query(format!("select count(*) as count from {table}")).get_result::<Count>(conn).unwrap().count
}

/// Exposes and removes the name once; returns the statements that this took, sorted.
async fn round(portal: &Exposures, alice: &FriendId) -> Vec<String> {
    STATEMENTS.lock().clear();
    let wish = OpenExposure::parse("my-app", "web", None, None).unwrap();
    let opened = portal.open(alice, wish, Actor::Friend(alice.clone())).await.unwrap();
    assert_eq!(opened.exposure.status, Status::Active);
    let name = ExposureName::parse("my-app").unwrap();
    portal.close(alice, &name, Actor::Friend(alice.clone())).await.unwrap();
    let mut statements = std::mem::take(&mut *STATEMENTS.lock());
    statements.sort();
    statements
}

async fn portal(db: &Db, cluster: &MemoryCluster, records: &MemoryRecords) -> Exposures {
    let (routes, services) = (Arc::new(cluster.clone()), Arc::new(cluster.clone()));
    let ports = ExposurePorts::new(db.exposures(), routes, services, Arc::new(SystemClock), Arc::new(RandomIds));
    let domain = Domain::new(records.domain().clone(), Target::A(Ipv4Addr::new(192, 0, 2, 1)));
    let instance = InstanceId::parse(&db.instance(&RandomIds).await.unwrap()).unwrap();
    Exposures::new(ports, instance, vec![Zone { domain, records: Arc::new(records.clone()) }], Handle::current())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hundred_thousandth_round_of_one_name_costs_what_the_third_did() {
    set_default_instrumentation(|| Some(Box::new(Recorder))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portal.db").display().to_string();
    let db = Db::open(&DbSettings::new(format!("sqlite:{path}")), Handle::current()).unwrap();
    db.migrate().await.unwrap();
    let (cluster, alice) = (MemoryCluster::new(Arc::new(SystemClock)), FriendId::parse("alice").unwrap());
    cluster.load_yaml("service", SERVICE, &alice.namespace()).unwrap();
    let audit = AuditEntry::new(SystemClock.now(), Actor::Operator("root".to_owned()), Action::FriendCreate);
    db.friends().create(Friend::new(alice.clone(), SystemClock.now()), audit).await.unwrap();
    let records = MemoryRecords::new(DomainName::parse("a.net").unwrap());
    let portal = portal(&db, &cluster, &records).await;
    let mut third = Vec::new();
    for _ in 0..3 {
        third = round(&portal, &alice).await;
    }
    assert!(third.len() > 10, "the statements were recorded: {third:?}");
    let mut conn = SqliteConnection::establish(&path).unwrap();
    conn.batch_execute(AGED).unwrap();
    let before = count(&mut conn, "audit_log");
    assert_eq!(round(&portal, &alice).await, third);
    assert_eq!(count(&mut conn, "audit_log"), before + 2);
    let rows = ["tombstones", "exposures", "hostnames"].map(|table| count(&mut conn, table));
    assert_eq!(rows, [5_001, 0, 0]);
    // No statement reads a table from its beginning to its end.
    let is_query = |statement: &&String| {
        ["select", "insert", "update", "delete"].iter().any(|verb| statement.to_lowercase().starts_with(verb))
    };
    for statement in third.iter().filter(is_query) {
        let plan = sql_query(format!("explain query plan {statement}")).load::<Plan>(&mut conn).unwrap();
        for Plan { detail } in plan {
            let scanned = TABLES.iter().find(|table| detail == format!("SCAN {table}"));
            assert_eq!(scanned, None, "{statement}: {detail}");
        }
    }
}
