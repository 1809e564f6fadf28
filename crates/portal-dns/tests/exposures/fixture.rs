//! A small fixture: two domains, two friends with Services, and as many portals as a test wants.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use portal_adapters::db::Db;
use portal_adapters::memory::{MemoryCluster, MemoryRecords, ZoneRecord};
use portal_core::{Action, Actor, AuditEntry, AuditFilter, Clock, FixedClock, Friend, FriendId, SeededIds};
use portal_dns::{
    DnsError, Domain, DomainName, Exposure, ExposureName, ExposurePorts, Exposures, Hostname, InstanceId, Intent,
    OpenExposure, Opened, OrphanPorts, Orphans, OwnershipMarker, RecordState, Records, RouteSpec, Routes, Status,
    Target, Tls, Zone,
};
use portal_testkit::{Outage, Stores};
use tokio::runtime::Handle;

/// Workloads of every friend.
const WORKLOADS: &str = r"
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { ports: [{ port: 80 }, { port: 9090 }] }
---
apiVersion: v1
kind: Service
metadata: { name: api }
spec: { ports: [{ port: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: outside }
spec: { type: ExternalName, externalName: example.org }
";

/// Everything that outlives a portal's process.
pub(crate) struct Fixture {
    pub(crate) clock: Arc<FixedClock>,
    ids: Arc<SeededIds>,
    /// The database, whose calls all fail while `outage` says so.
    pub(crate) stores: Stores,
    pub(crate) outage: Arc<Outage>,
    pub(crate) cluster: MemoryCluster,
    /// The zone of the default domain.
    pub(crate) a: MemoryRecords,
    /// The zone of the other domain.
    pub(crate) b: MemoryRecords,
}

impl Fixture {
    /// Friends `alice`, `bob`, `a-b` and `b-c`, each with the same Services; nothing exposed.
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(FixedClock::new(DateTime::UNIX_EPOCH + Duration::from_hours(480_000)));
        let db = Db::in_memory(Handle::current()).unwrap().with_clock(clock.clone());
        let outage = Outage::new();
        let stores = portal_testkit::stores!(db).intercepted(&outage);
        let cluster = MemoryCluster::new(clock.clone());
        let ids = Arc::new(SeededIds::from_seed(1));
        let (a, b) = (MemoryRecords::new(domain_name("a.net")), MemoryRecords::new(domain_name("b.net")));
        let fixture = Self { clock, ids, stores, outage, cluster, a, b };
        for friend in ["alice", "bob", "a-b", "b-c", "a", "c"] {
            fixture.add_friend(friend).await;
        }
        fixture
    }

    pub(crate) async fn add_friend(&self, id: &str) {
        let at = self.clock.now();
        let id = friend(id);
        let audit = AuditEntry::new(at, Actor::Operator("root".to_owned()), Action::FriendCreate)
            .with_friend(id.clone())
            .with_subject(id.to_string());
        self.cluster.load_yaml("workloads", WORKLOADS, &id.namespace()).unwrap();
        let friend = Friend::new(id, at);
        self.stores.friends.create(friend, audit).await.unwrap();
    }

    /// Returns the ports of a portal.
    pub(crate) fn ports(&self) -> ExposurePorts {
        let (routes, services) = (Arc::new(self.cluster.clone()), Arc::new(self.cluster.clone()));
        ExposurePorts::new(self.stores.exposures.clone(), routes, services, self.clock.clone(), self.ids.clone())
    }

    /// A portal that was just started.
    pub(crate) fn portal(&self) -> Exposures {
        self.portal_with(self.ports(), |records| Arc::new(records))
    }

    /// A portal that was just started, with these ports, and zones as `wrap` makes them.
    pub(crate) fn portal_with(
        &self,
        ports: ExposurePorts,
        wrap: impl Fn(MemoryRecords) -> Arc<dyn Records>,
    ) -> Exposures {
        portal_over(ports, [wrap(self.a.clone()), wrap(self.b.clone())])
    }

    /// Returns the operator's access to orphans.
    pub(crate) fn orphans(&self) -> Orphans {
        let ports = OrphanPorts {
            store: self.stores.exposures.clone(),
            audit_log: self.stores.audit.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        };
        let zone = |records: &MemoryRecords| Zone {
            domain: domain(records.domain().as_str()),
            records: Arc::new(records.clone()),
        };
        Orphans::new(ports, instance(), vec![zone(&self.a), zone(&self.b)])
    }

    /// A line of an operator's.
    pub(crate) fn audit(&self, action: Action) -> AuditEntry {
        AuditEntry::new(self.clock.now(), Actor::Operator("root".to_owned()), action)
    }

    /// Lets so much time pass that every lease has ended and every pause is over.
    pub(crate) fn wait_long(&self) {
        self.clock.advance(Duration::from_mins(10));
    }

    /// The records with a marker, in both zones, sorted by hostname.
    pub(crate) fn marked(&self) -> Vec<(Hostname, RecordState)> {
        let all = self.a.records().into_iter().chain(self.b.records());
        let marked = all.filter_map(|(name, record)| match record {
            ZoneRecord::Marked(state) => Some((Hostname::parse(&name).unwrap(), state)),
            ZoneRecord::Plain { .. } => None,
        });
        let mut marked: Vec<_> = marked.collect();
        marked.sort_by(|one, other| one.0.cmp(&other.0));
        marked
    }

    /// The routes with a marker, as namespace, name and what they say.
    pub(crate) async fn routes(&self) -> Vec<(String, String, Option<RouteSpec>, OwnershipMarker)> {
        let routes = Routes::list(&self.cluster).await.unwrap();
        let shown = |route: portal_dns::ObservedRoute| {
            (route.place.namespace, route.place.name, route.spec, route.marker.unwrap())
        };
        routes.into_iter().map(shown).collect()
    }

    /// Returns the number of audit entries of this action.
    pub(crate) async fn audited(&self, action: Action) -> usize {
        let filter = AuditFilter { action: Some(action.as_str().to_owned()), limit: 1000, ..AuditFilter::default() };
        self.stores.audit.list(filter).await.unwrap().len()
    }

    /// Fails unless every exposure is active and stands exactly as wanted, and nothing else carries our marker.
    pub(crate) async fn assert_converged(&self, context: &str) {
        self.assert_converged_with(self.marked(), context).await;
    }

    /// The same, where the zones hold these records with a marker, sorted by hostname.
    pub(crate) async fn assert_converged_with(&self, marked: Vec<(Hostname, RecordState)>, context: &str) {
        let intents = self.stores.exposures.page(None, 1000).await.unwrap();
        for intent in &intents {
            let exposure = &intent.exposure;
            assert_eq!((exposure.status, exposure.reason), (Status::Active, None), "{context}: {exposure:?}");
            assert!(intent.leaving.is_empty(), "{context}: {intent:?}");
        }
        let mut records: Vec<_> = intents.iter().map(record).collect();
        let mut routes: Vec<_> = intents.iter().map(route).collect();
        records.sort_by(|one, other| one.0.cmp(&other.0));
        routes.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
        assert_eq!(marked, records, "{context}: records");
        assert_eq!(self.routes().await, routes, "{context}: routes");
    }

    /// Fails if something is recorded as done that is not: each active exposure stands exactly as wanted, and what
    /// carries our marker belongs to an exposure that is there. So it has to be at every moment, finished or not.
    pub(crate) async fn assert_nothing_is_pretended(&self, stored: Vec<(Hostname, RecordState)>, context: &str) {
        let intents = self.stores.exposures.page(None, 1000).await.unwrap();
        let routes = self.routes().await;
        for intent in intents.iter().filter(|intent| intent.exposure.status == Status::Active) {
            assert!(stored.contains(&record(intent)), "{context}: {intent:?} without its record: {stored:?}");
            assert!(routes.contains(&route(intent)), "{context}: {intent:?} without its route: {routes:?}");
        }
        let is_kept = |marker: &OwnershipMarker| intents.iter().any(|intent| intent.exposure.id == marker.exposure);
        for (host, state) in &stored {
            assert!(is_kept(&state.marker), "{context}: a record at {host} of an exposure that is gone");
        }
        for (_, name, _, marker) in &routes {
            assert!(is_kept(marker), "{context}: the route {name} of an exposure that is gone");
        }
    }
}

/// The record of an exposure that stands.
fn record(Intent { exposure, .. }: &Intent) -> (Hostname, RecordState) {
    let marker = OwnershipMarker { instance: instance(), exposure: exposure.id.clone() };
    (exposure.spec.hostname.clone(), domain(exposure.spec.domain.as_str()).record(marker))
}

/// The route of an exposure that stands, as [`Fixture::routes`] tells it.
fn route(Intent { exposure, .. }: &Intent) -> (String, String, Option<RouteSpec>, OwnershipMarker) {
    let domain = domain(exposure.spec.domain.as_str());
    let spec = RouteSpec {
        hosts: vec![exposure.spec.hostname.clone()],
        service: exposure.spec.service.clone(),
        port: exposure.spec.port,
        entry_points: domain.entry_points,
        tls: domain.tls,
        priority: None,
    };
    let marker = OwnershipMarker { instance: instance(), exposure: exposure.id.clone() };
    (exposure.friend.namespace(), format!("expose-{}", exposure.name), Some(spec), marker)
}

/// A portal that was just started, with these ports, and these zones of `a.net` and `b.net`.
pub(crate) fn portal_over(ports: ExposurePorts, [a, b]: [Arc<dyn Records>; 2]) -> Exposures {
    let zones = vec![Zone { domain: domain("a.net"), records: a }, Zone { domain: domain("b.net"), records: b }];
    Exposures::new(ports, instance(), zones, Handle::current())
}

pub(crate) fn friend(id: &str) -> FriendId {
    FriendId::parse(id).unwrap()
}

pub(crate) fn name(text: &str) -> ExposureName {
    ExposureName::parse(text).unwrap()
}

pub(crate) fn domain_name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

pub(crate) fn instance() -> InstanceId {
    InstanceId::parse(&"0".repeat(32)).unwrap()
}

/// A domain on offer: `b.net` points to a name, every other one to an address.
pub(crate) fn domain(name: &str) -> Domain {
    let target = match name {
        "b.net" => Target::Cname(domain_name("ingress.b.net")),
        _ => Target::A(Ipv4Addr::new(192, 0, 2, 1)),
    };
    let mut domain = Domain::new(domain_name(name), target);
    domain.tls = Tls::Default;
    domain.entry_points = vec!["websecure".to_owned()];
    domain
}

/// A record that somebody else made.
pub(crate) fn plain(kind: &str, data: &str) -> ZoneRecord {
    ZoneRecord::Plain { kind: kind.to_owned(), data: data.to_owned() }
}

/// Makes a request.
pub(crate) fn wish(name: &str, service: &str, port: Option<i64>, domain: Option<&str>) -> OpenExposure {
    OpenExposure::parse(name, service, port, domain).unwrap()
}

/// Opens an exposure as its friend does.
pub(crate) async fn open(portal: &Exposures, who: &str, wish: OpenExposure) -> Result<Opened, DnsError> {
    let who = friend(who);
    portal.open(&who, wish, Actor::Friend(who.clone())).await
}

/// Closes an exposure as its friend does.
pub(crate) async fn close(portal: &Exposures, who: &str, which: &str) -> Result<Exposure, DnsError> {
    let who = friend(who);
    portal.close(&who, &name(which), Actor::Friend(who.clone())).await
}
