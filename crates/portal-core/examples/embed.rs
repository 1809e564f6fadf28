//! Exposes a service from a program of one's own: the domain crates and memory adapters, no HTTP, no database.
//!
//! `cargo run -p portal-core --example embed`

use std::error::Error;
use std::sync::Arc;

use portal_adapters::memory::{MemoryCluster, MemoryExposures, MemoryFriends, MemoryPeople, MemoryRecords};
use portal_adapters::{RandomIds, SystemClock};
use portal_core::{Action, Actor, AuditEntry, Clock, Friend, FriendId, FriendStore, Ids};
use portal_dns::{Domain, DomainName, ExposurePorts, Exposures, InstanceId, OpenExposure, Target, Zone};

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: my-app}, spec: {ports: [{port: 80}]}}";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (clock, ids, people) = (Arc::new(SystemClock), Arc::new(RandomIds), MemoryPeople::new());
    let (at, alice, operator) = (clock.now(), FriendId::parse("alice")?, Actor::Operator("embedder".to_owned()));
    let friend = Friend::new(alice.clone(), at);
    let (subject, detail, action) = (alice.to_string(), String::new(), Action::FriendCreate);
    let audit = AuditEntry::new(at, operator.clone(), action)
        .with_friend(alice.clone())
        .with_subject(subject)
        .with_detail(detail);
    MemoryFriends::new(&people).create(friend, audit).await?;

    let cluster = MemoryCluster::new(clock.clone());
    cluster.load_yaml("service", SERVICE, &alice.namespace())?;
    let store = Arc::new(MemoryExposures::new(&people));
    let (routes, services) = (Arc::new(cluster.clone()), Arc::new(cluster.clone()));
    let ports = ExposurePorts::new(store, routes, services, clock, ids.clone());

    let name = DomainName::parse("your-domain.net")?;
    let records = MemoryRecords::new(name.clone());
    let domain = Domain::new(name, Target::Cname(DomainName::parse("tunnel.example.net")?));
    let zones = vec![Zone { domain, records: Arc::new(records.clone()) }];
    let exposures = Exposures::new(ports, InstanceId::parse(&ids.id())?, zones, tokio::runtime::Handle::current());

    let wanted = OpenExposure::parse("my-app", "my-app", None, None)?;
    let opened = exposures.open(&alice, wanted, operator).await?;
    assert_eq!(opened.exposure.url(), "https://my-app-alice.your-domain.net");
    assert!(opened.exposure.is_done() && records.records().len() == 1);
    assert!(cluster.route("friend-alice", "expose-my-app").is_some());
    exposures.pass().await?;
    Ok(())
}
