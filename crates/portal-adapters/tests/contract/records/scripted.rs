//! A zone at the scripted Cloudflare.

use std::sync::Arc;

use async_trait::async_trait;
use portal_adapters::cloudflare::{
    CloudflareApi, CloudflareRecords, CloudflareSettings, CloudflareZone, SCRIPTED_TOKEN, ScriptedCloudflare, ZoneName,
};
use portal_dns::{DomainName, Hostname, OwnershipMarker, Ttl};
use serde_json::{Value, json};

use portal_testkit::{ZoneEditor, ZoneFixture};

const ZONE: &str = "example.org";

struct Dashboard(ScriptedCloudflare);

/// A zone of its own.
pub(crate) async fn zone() -> ZoneFixture {
    let cloudflare = ScriptedCloudflare::start(&["other.example", ZONE]).await.unwrap();
    let domain = DomainName::parse(ZONE).unwrap();
    let settings = CloudflareSettings {
        api_url: Some(cloudflare.url().to_owned()),
        ..CloudflareSettings::with_token(SCRIPTED_TOKEN.to_owned().into())
    };
    let zone =
        CloudflareZone { domain: domain.clone(), zone: ZoneName::Name(domain.clone()), ttl: Ttl::parse(600).unwrap() };
    let records = CloudflareRecords::new(Arc::new(CloudflareApi::new(&settings).unwrap()), zone).unwrap();
    ZoneFixture { domain, records: Arc::new(records), editor: Box::new(Dashboard(cloudflare)) }
}

impl Dashboard {
    fn marked(&self, host: &Hostname) -> String {
        let records = self.0.records(ZONE);
        let marked = records.iter().find(|record| record["name"] == host.as_str() && is_marked(record)).unwrap();
        marked["id"].as_str().unwrap().to_owned()
    }
}

fn is_marked(record: &Value) -> bool {
    record["comment"].as_str().is_some_and(|comment| OwnershipMarker::parse(comment).is_some())
}

#[async_trait]
impl ZoneEditor for Dashboard {
    async fn insert(&self, name: &str, kind: &str, content: &str) {
        let record =
            json!({"name": name, "type": kind, "content": content, "ttl": 1, "proxied": false, "meta": {"odd": 1}});
        assert!(self.0.put(ZONE, record).is_some());
    }

    async fn edit(&self, host: &Hostname, content: &str) {
        assert!(self.0.edit(&self.marked(host), "content", &json!(content)));
    }

    async fn unmark(&self, host: &Hostname) {
        assert!(self.0.edit(&self.marked(host), "comment", &json!("mine now")));
    }

    async fn unmarked(&self) -> Vec<String> {
        self.0.records(ZONE).iter().filter(|record| !is_marked(record)).map(Value::to_string).collect()
    }

    async fn records_at(&self, host: &Hostname) -> Vec<(String, String)> {
        let text = |record: &Value, member: &str| record[member].as_str().unwrap().to_owned();
        let records = self.0.records(ZONE);
        let there = records.iter().filter(|record| record["name"] == host.as_str());
        let mut told: Vec<_> = there.map(|record| (text(record, "type"), text(record, "content"))).collect();
        told.sort();
        told
    }
}
