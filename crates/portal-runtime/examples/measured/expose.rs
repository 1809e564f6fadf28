//! A portal whose exposures cost what its own bookkeeping costs, or what Cloudflare's latency adds.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use portal_adapters::SystemClock;
use portal_adapters::cloudflare::{
    CloudflareApi, CloudflareRecords, CloudflareSettings, CloudflareZone, SCRIPTED_TOKEN, ScriptedCloudflare, ZoneName,
};
use portal_adapters::memory::{MemoryCluster, MemoryRecords};
use portal_core::BoxError;
use portal_dns::{Domain, DomainName, Records, Target, Zone};

use crate::fixture;

const DOMAIN: &str = "example.org";
/// Service of every friend.
const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}";

/// Serves until it is killed; without latency there is no Cloudflare.
pub(crate) async fn serve(
    address: SocketAddr,
    control: SocketAddr,
    (data, friends): (&Path, u32),
    (latency, target): (u64, &str),
) -> Result<(), BoxError> {
    let db = fixture::seed(data, friends).await?;
    let cluster = MemoryCluster::new(Arc::new(SystemClock));
    for number in 0..friends {
        cluster.load_yaml("services", SERVICE, &format!("friend-f{number}"))?;
    }
    let name = |name| DomainName::parse(name).map(Target::Cname);
    let target = target.parse().map_or_else(|_| name(target), |address| Ok(Target::A(address)))?;
    let domain = Domain::new(DomainName::parse(DOMAIN)?, target);
    let cloudflare = Arc::new(ScriptedCloudflare::start(&[DOMAIN]).await?);
    cloudflare.delay_every_call(Duration::from_millis(latency));
    let records: Arc<dyn Records> = if latency == 0 {
        Arc::new(MemoryRecords::new(domain.name.clone()))
    } else {
        let settings = CloudflareSettings {
            api_url: Some(cloudflare.url().to_owned()),
            ..CloudflareSettings::with_token(SCRIPTED_TOKEN.to_owned().into())
        };
        let name = ZoneName::Name(domain.name.clone());
        let zone = CloudflareZone { domain: domain.name.clone(), zone: name, ttl: domain.ttl };
        Arc::new(CloudflareRecords::new(Arc::new(CloudflareApi::new(&settings)?), zone)?)
    };
    let counter = HttpServer::new(move || {
        let cloudflare = cloudflare.clone();
        let count = move || std::future::ready(cloudflare.calls().len().to_string());
        App::new().route("/", web::get().to(count))
    });
    tokio::spawn(counter.workers(1).disable_signals().bind(control)?.run());
    let zones = vec![Zone { domain, records }];
    fixture::serve(address, (data, db), Arc::new(cluster.clone()), (cluster, zones)).await
}
