//! Two portals on one SQLite file, over one cluster and one zone, that race for the same hostname.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use portal_adapters::db::{Db, DbSettings};
use portal_adapters::memory::{MemoryCluster, MemoryRecords};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{Action, Actor, AuditEntry, Clock, Friend, FriendId};
use portal_dns::{
    DnsError, Domain, DomainName, ExposureName, ExposurePorts, ExposureStore, Exposures, InstanceId, OpenExposure,
    Opened, Status, Target, Tls, Zone,
};
use tokio::runtime::Handle;

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}";
/// Names and friends that make one hostname.
const CUTS: [(&str, &str); 2] = [("a-b", "c"), ("a", "b-c")];

fn friend(id: &str) -> FriendId {
    FriendId::parse(id).unwrap()
}

async fn open_database(path: &Path) -> Db {
    let db = Db::open(&DbSettings::new(format!("sqlite:{}", path.display())), Handle::current()).unwrap();
    db.migrate().await.unwrap();
    db
}

async fn portal(path: &Path, cluster: &MemoryCluster, records: &MemoryRecords) -> (Exposures, Arc<dyn ExposureStore>) {
    let db = open_database(path).await;
    let (store, clock, ids) = (db.exposures(), Arc::new(SystemClock), Arc::new(RandomIds));
    let ports = ExposurePorts::new(store, Arc::new(cluster.clone()), Arc::new(cluster.clone()), clock, ids);
    let mut domain = Domain::new(records.domain().clone(), Target::A(Ipv4Addr::new(192, 0, 2, 1)));
    domain.tls = Tls::Default;
    let instance = InstanceId::parse(&db.instance(&RandomIds).await.unwrap()).unwrap();
    let zones = vec![Zone { domain, records: Arc::new(records.clone()) }];
    (Exposures::new(ports, instance, zones, Handle::current()), db.exposures())
}

async fn register(db: &Db, cluster: &MemoryCluster) {
    for (_, id) in CUTS {
        let (at, id) = (SystemClock.now(), friend(id));
        cluster.load_yaml("service", SERVICE, &id.namespace()).unwrap();
        let audit = AuditEntry::new(at, Actor::Operator("root".to_owned()), Action::FriendCreate)
            .with_friend(id.clone())
            .with_subject(id.to_string());
        let friend = Friend::new(id, at);
        db.friends().create(friend, audit).await.unwrap();
    }
}

async fn open(portal: &Exposures, (name, who): (&str, &str)) -> Result<Opened, DnsError> {
    let wanted = OpenExposure::parse(name, "web", None, None).unwrap();
    portal.open(&friend(who), wanted, Actor::Friend(friend(who))).await
}

async fn close(portal: &Exposures, (name, who): (&str, &str)) -> Status {
    let name = ExposureName::parse(name).unwrap();
    portal.close(&friend(who), &name, Actor::Friend(friend(who))).await.unwrap().status
}

/// Two portals on one file, over one cluster and one zone that is looked at all the time.
struct Race {
    here: Exposures,
    there: Exposures,
    store: Arc<dyn ExposureStore>,
    cluster: MemoryCluster,
    records: MemoryRecords,
    over: Arc<AtomicBool>,
    watching: JoinHandle<usize>,
    _folder: tempfile::TempDir,
}

impl Race {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portal.db");
        let cluster = MemoryCluster::new(Arc::new(SystemClock));
        let records = MemoryRecords::new(DomainName::parse("example.org").unwrap());
        register(&open_database(&path).await, &cluster).await;
        let (here, store) = portal(&path, &cluster, &records).await;
        let (there, _) = portal(&path, &cluster, &records).await;
        let over = Arc::new(AtomicBool::new(false));
        let watching = watch(records.clone(), over.clone());
        Self { here, there, store, cluster, records, over, watching, _folder: folder }
    }

    /// Ends the race, in which the zone must never have had two records.
    fn end(self) {
        self.over.store(true, Ordering::SeqCst);
        assert_eq!(self.watching.join().unwrap(), 1);
    }
}

/// Looks at the zone all the time and returns the largest number of records.
fn watch(records: MemoryRecords, over: Arc<AtomicBool>) -> JoinHandle<usize> {
    std::thread::spawn(move || {
        let mut most = 0;
        while !over.load(Ordering::SeqCst) {
            most = most.max(records.records().len());
            std::thread::yield_now();
        }
        most
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_portals_on_one_file_one_gets_the_hostname() {
    let race = Race::new().await;
    let Race { here, there, store, records, .. } = &race;
    for round in 0..15 {
        let (first, second) = tokio::join!(open(here, CUTS[0]), open(there, CUTS[1]));
        let outcomes = [first, second];
        let winners: Vec<_> = (0..2).filter(|index| outcomes[*index].is_ok()).collect();
        assert_eq!(winners.len(), 1, "round {round}: {outcomes:?}");
        let (winner, loser) = (winners[0], 1 - winners[0]);
        assert_eq!(outcomes[winner].as_ref().unwrap().exposure.status, Status::Active);
        assert_eq!(outcomes[loser].as_ref().unwrap_err().code(), "hostname-taken");
        assert_eq!((records.records().len(), store.page(None, 10).await.unwrap().len()), (1, 1));
        // Removed by the other portal, and at once wanted by both again.
        assert_eq!(close(if winner == 0 { there } else { here }, CUTS[winner]).await, Status::Removed);
        assert_eq!((records.records().len(), store.page(None, 10).await.unwrap().len()), (0, 0));
    }
    race.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_and_adding_at_once_through_two_portals_ends_in_one_of_both() {
    let race = Race::new().await;
    let Race { here, there, store, cluster, records, .. } = &race;
    for round in 0..15 {
        open(here, CUTS[0]).await.unwrap();
        let (closed, opened) = tokio::join!(close(here, CUTS[0]), open(there, CUTS[0]));
        here.pass().await.unwrap();
        let kept = store.page(None, 10).await.unwrap();
        let context = format!("round {round}: {closed:?} {opened:?} {kept:?}");
        assert_eq!(kept.len(), records.records().len(), "{context}");
        assert_eq!(cluster.route("friend-c", "expose-a-b").is_some(), kept.len() == 1, "{context}");
        assert!(kept.iter().all(|intent| intent.exposure.status == Status::Active), "{context}");
    }
    race.end();
}

mod postgres {
    use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
    use portal_dns::{
        ExposureId, ExposureName, ExposureSpec, Hostname, Reservation, Reserved, ServiceName, ServicePort,
    };

    use super::*;
    use crate::postgres::Database;

    /// Frees the hostname right after an insert that found it owned, as a removal that commits at this moment does.
    const FREED_IN_BETWEEN: &str = "
        create function free() returns trigger language plpgsql as $$
        begin delete from hostnames where exposure_id = repeat('0', 32); return null; end $$;
        create trigger free after insert on hostnames for each statement execute function free();";

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "tier postgres"]
    async fn a_hostname_that_is_freed_while_it_is_claimed_is_claimed() {
        let database = Database::create().await;
        let db = Db::open(&DbSettings::new(database.url()), Handle::current()).unwrap();
        db.migrate().await.unwrap();
        let mut other = AsyncPgConnection::establish(&database.url()).await.unwrap();
        for (name, id) in CUTS {
            let id = friend(id);
            let (person, audit) = crate::registration::friend_and_audit(id.as_str());
            db.friends().create(person, audit.clone()).await.unwrap();
            let domain = DomainName::parse("your-domain.net").unwrap();
            let name = ExposureName::parse(name).unwrap();
            let is_second = id == friend(CUTS[1].1);
            let spec = ExposureSpec {
                service: ServiceName::parse("my-app").unwrap(),
                port: ServicePort::parse(80).unwrap(),
                hostname: Hostname::of(&name, &id, &domain).unwrap(),
                domain,
            };
            let exposure = ExposureId::parse(&if is_second { "1" } else { "0" }.repeat(32)).unwrap();
            let reservation = Reservation { id: exposure, friend: id, name, spec, only_if_absent: false };
            let reserved = db.exposures().reserve(reservation, audit).await.unwrap();
            assert!(matches!(reserved, Reserved::New(_)), "{reserved:?}");
            if !is_second {
                other.batch_execute(FREED_IN_BETWEEN).await.unwrap();
            }
        }
    }
}
