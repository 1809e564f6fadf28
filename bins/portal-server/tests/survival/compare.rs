//! Zone, cluster and database held against each other.

use std::time::Duration;

use anyhow::{bail, ensure};
use kube::api::ListParams;
use portal_dns::{Desired, Intent, Status, all_intents};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fixture::Fixture;

/// Timeout of the repair after a crash: a lease, a pass and the pauses between attempts.
const TIMEOUT: Duration = Duration::from_mins(3);

impl Fixture {
    /// Waits until every exposure stands, then compares: zone and cluster hold exactly what the database says, and
    /// what is not the portal's is as it was. Returns what the database says.
    pub(crate) async fn converged(&self) -> anyhow::Result<Vec<Intent>> {
        let started = Instant::now();
        loop {
            let found = self.compare().await;
            if found.is_ok() || started.elapsed() > TIMEOUT {
                self.check_not_ours().await?;
                return found;
            }
            self.check_not_ours().await?;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// One look at everything; an error if something is not done or not as it should be.
    async fn compare(&self) -> anyhow::Result<Vec<Intent>> {
        let intents = all_intents(&*self.store).await?;
        for intent in &intents {
            let stands = intent.exposure.status == Status::Active && intent.desired == Desired::Present;
            ensure!(stands && intent.leaving.is_empty(), "not done: {intent:?}");
        }
        same("records", self.marked(), intents.iter().map(|intent| self.record(intent)).collect())?;
        same("routes", self.routes().await?, intents.iter().map(route).collect())?;
        Ok(intents)
    }

    /// The records with a marker of this portal, without their ids.
    pub(crate) fn marked(&self) -> Vec<Value> {
        let records = self.domains.iter().flat_map(|zone| self.cloudflare.records(zone));
        let ours = records.filter(|record| self.is_marked(record));
        ours.map(|mut record| {
            record.as_object_mut().map(|members| members.remove("id"));
            record
        })
        .collect()
    }

    fn record(&self, intent: &Intent) -> Value {
        let exposure = &intent.exposure;
        let is_first = exposure.spec.domain.as_str() == self.domains[0];
        let (kind, content) = if is_first { ("CNAME", "ingress.example.org") } else { ("A", "192.0.2.1") };
        json!({"name": exposure.spec.hostname.as_str(), "type": kind, "content": content, "ttl": 300, "proxied": false,
            "comment": format!("friend-portal/{}/{}", self.instance, exposure.id)})
    }

    /// Every route in the friends' namespaces that is not `theirs`, reduced to what it says.
    async fn routes(&self) -> anyhow::Result<Vec<Value>> {
        let mut found = Vec::new();
        for person in &self.people {
            let routes = self.routes_of(person).list(&ListParams::default()).await?;
            for route in routes.items.into_iter().filter(|route| route.metadata.name.as_deref() != Some("theirs")) {
                let (metadata, spec) = (route.metadata, route.data["spec"].clone());
                let id = metadata.labels.unwrap_or_default().remove("friend-portal/exposure-id");
                found.push(json!({"namespace": metadata.namespace, "name": metadata.name, "id": id, "spec": spec}));
            }
        }
        Ok(found)
    }
}

fn route(intent: &Intent) -> Value {
    let exposure = &intent.exposure;
    let service = json!({"name": exposure.spec.service.as_str(), "port": exposure.spec.port.number()});
    let rule = json!({"kind": "Rule", "match": format!("Host(`{}`)", exposure.spec.hostname), "services": [service]});
    json!({"namespace": exposure.friend.namespace(), "name": format!("expose-{}", exposure.name),
        "id": exposure.id.as_str(), "spec": {"entryPoints": ["websecure"], "routes": [rule], "tls": {}}})
}

fn same(what: &str, found: Vec<Value>, wanted: Vec<Value>) -> anyhow::Result<()> {
    let sorted = |values: Vec<Value>| {
        let mut texts: Vec<_> = values.iter().map(Value::to_string).collect();
        texts.sort();
        texts
    };
    let (found, wanted) = (sorted(found), sorted(wanted));
    if found != wanted {
        bail!("{what}: {found:#?} instead of {wanted:#?}");
    }
    Ok(())
}
