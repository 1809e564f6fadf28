//! Exposes a service from a program of one's own: the domain crates over a SQLite database, a cluster and a zone in memory,
//! and no HTTP.
//!
//! `cargo run -p portal-core --example embed`

use std::error::Error;
use std::sync::Arc;

use portal_adapters::db::Db;
use portal_adapters::memory::{MemoryCluster, MemoryRecords};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{Action, Actor, AuditEntry, Clock, Friend, FriendId};
use portal_dns::{Domain, DomainName, ExposurePorts, Exposures, InstanceId, OpenExposure, Target, Zone};
use tokio::runtime::Handle;

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: my-app}, spec: {ports: [{port: 80}]}}";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (clock, ids, db) = (Arc::new(SystemClock), Arc::new(RandomIds), Db::in_memory(Handle::current())?);
    let (at, alice, operator) = (clock.now(), FriendId::parse("alice")?, Actor::Operator("embedder".to_owned()));
    let friend = Friend::new(alice.clone(), at);
    let (subject, detail, action) = (alice.to_string(), String::new(), Action::FriendCreate);
    let audit = AuditEntry::new(at, operator.clone(), action)
        .with_friend(alice.clone())
        .with_subject(subject)
        .with_detail(detail);
    db.friends().create(friend, audit).await?;

    let cluster = MemoryCluster::new(clock.clone());
    cluster.load_yaml("service", SERVICE, &alice.namespace())?;
    let (routes, services) = (Arc::new(cluster.clone()), Arc::new(cluster.clone()));
    let ports = ExposurePorts::new(db.exposures(), routes, services, clock, ids.clone());

    let name = DomainName::parse("your-domain.net")?;
    let records = MemoryRecords::new(name.clone());
    let domain = Domain::new(name, Target::Cname(DomainName::parse("tunnel.example.net")?));
    let zones = vec![Zone { domain, records: Arc::new(records.clone()) }];
    let instance = InstanceId::parse(&db.instance(&*ids).await?)?;
    let exposures = Exposures::new(ports, instance, zones, Handle::current());

    let wanted = OpenExposure::parse("my-app", "my-app", None, None)?;
    let opened = exposures.open(&alice, wanted, operator).await?;
    assert_eq!(opened.exposure.url(), "https://my-app-alice.your-domain.net");
    assert!(opened.exposure.is_done() && records.records().len() == 1);
    assert!(cluster.route("friend-alice", "expose-my-app").is_some());
    exposures.pass().await?;
    Ok(())
}
