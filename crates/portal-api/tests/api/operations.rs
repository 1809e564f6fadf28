//! Every operation behind a session, once: how alice does it well, what that leaves behind and what it stands on.
//! The tests that walk all operations walk this table, and fail for an operation that has no row in it.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use portal_core::{Action, Backend, Friend};
use serde_json::json;

use crate::fixture::{Fixture, audit, request};

/// Owner of the things that everybody else is after. Every text of hers holds [`PRIVATE`].
pub(crate) const OWNER: &str = "alice";
/// In every text of alice's, and in nothing that anybody else sends.
pub(crate) const PRIVATE: &str = "amaranth";

/// Thing that the last segment in braces of a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// Nothing: the path has no such segment.
    Nothing,
    /// One of alice's jobs.
    Job,
    /// One of alice's sessions.
    Session,
    /// An exposure of alice's.
    Exposure,
    /// A version of alice's memory.
    MemoryVersion,
    /// A version of the heartbeat that alice wrote.
    HeartbeatVersion,
}

/// An operation, as alice does it.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Method and path, as the OpenAPI document has them.
    pub(crate) name: &'static str,
    /// Thing that its path names.
    pub(crate) named: Named,
    /// A good body.
    pub(crate) body: Option<&'static str>,
    /// The action that it leaves in the audit log.
    pub(crate) leaves: Option<&'static str>,
    /// Backends that its handler cannot do without; the session before it always needs the database.
    pub(crate) needs: &'static [Backend],
}

const fn reads(name: &'static str) -> Operation {
    Operation { name, named: Named::Nothing, body: None, leaves: None, needs: &[Backend::Database] }
}

impl Operation {
    const fn of(self, named: Named) -> Self {
        Self { named, ..self }
    }

    const fn needs(self, needs: &'static [Backend]) -> Self {
        Self { needs, ..self }
    }

    const fn with(self, body: &'static str) -> Self {
        Self { body: Some(body), ..self }
    }

    const fn leaves(self, action: &'static str) -> Self {
        Self { leaves: Some(action), ..self }
    }

    /// Its method.
    /// Returns false for the one operation whose answer is a stream.
    pub(crate) fn answers_json(&self) -> bool {
        self.name != "get /api/portal/events"
    }

    pub(crate) fn method(&self) -> Method {
        let method = self.name.split_once(' ').unwrap().0;
        Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap()
    }

    /// Its path with `name` in the place of the segment in braces, as it is.
    pub(crate) fn path(&self, name: &str) -> String {
        let template = self.name.split_once(' ').unwrap().1;
        match (template.find('{'), template.find('}')) {
            (Some(start), Some(end)) => format!("{}{name}{}", &template[..start], &template[end + 1..]),
            _ => template.to_owned(),
        }
    }

    /// A request for it at `path`, with its good body.
    pub(crate) fn request(&self, path: &str, token: &str) -> TestRequest {
        let asked = request(self.method(), path, token);
        match self.body {
            Some(body) => asked.insert_header(("content-type", "application/json")).set_payload(body),
            None => asked,
        }
    }
}

/// Backends of writing a document.
const BOTH: &[Backend] = &[Backend::Database, Backend::Workspace];
/// A document, as everybody writes it.
const TEXT: &str = r##"{"content":"# Updated Notes\n\n..."}"##;

/// Every operation behind a session. Those that end something come last, so that a walk in this order works.
pub(crate) const OPERATIONS: &[Operation] = &[
    reads("get /api/portal/me").needs(&[]),
    reads("get /api/portal/agents"),
    reads("get /api/portal/domains").needs(&[]),
    reads("get /api/portal/settings"),
    reads("patch /api/portal/settings").with(r#"{"time_zone":"Europe/Berlin"}"#).leaves("friend.update"),
    reads("get /api/portal/activity"),
    reads("get /api/portal/about").needs(&[]),
    reads("get /api/portal/events"),
    reads("post /api/portal/workspace/messages").with(r#"{"message":"Hello"}"#).leaves("message.send"),
    reads("get /api/portal/workspace/crons"),
    reads("post /api/portal/workspace/crons")
        .with(r#"{"name":"weekly","message":"Hello","cron":"@weekly"}"#)
        .leaves("job.create"),
    reads("post /api/portal/workspace/crons/preview").with(r#"{"cron":"@weekly"}"#).needs(&[]),
    reads("get /api/portal/workspace/crons/{name}").of(Named::Job),
    reads("patch /api/portal/workspace/crons/{name}")
        .of(Named::Job)
        .with(r#"{"message":"Hello again"}"#)
        .leaves("job.update"),
    reads("post /api/portal/workspace/crons/{name}/run").of(Named::Job).leaves("job.run"),
    reads("get /api/portal/workspace/crons/{name}/runs").of(Named::Job),
    reads("post /api/portal/workspace/crons/{name}/toggle")
        .of(Named::Job)
        .with(r#"{"enabled":false}"#)
        .leaves("job.toggle"),
    reads("delete /api/portal/workspace/crons/{name}").of(Named::Job).leaves("job.delete"),
    reads("get /api/portal/workspace").needs(BOTH),
    reads("get /api/portal/workspace/memory").needs(&[Backend::Workspace]),
    reads("get /api/portal/workspace/friend-notes").needs(&[Backend::Workspace]),
    reads("get /api/portal/workspace/heartbeat").needs(&[Backend::Workspace]),
    reads("get /api/portal/workspace/memory/versions"),
    reads("get /api/portal/workspace/memory/versions/{id}").of(Named::MemoryVersion),
    reads("get /api/portal/workspace/heartbeat/versions"),
    reads("get /api/portal/workspace/heartbeat/versions/{id}").of(Named::HeartbeatVersion),
    reads("put /api/portal/workspace/memory").with(TEXT).needs(BOTH).leaves("document.replace"),
    reads("put /api/portal/workspace/heartbeat").with(TEXT).needs(BOTH).leaves("document.replace"),
    reads("post /api/portal/workspace/memory/versions/{id}/restore")
        .of(Named::MemoryVersion)
        .needs(BOTH)
        .leaves("document.restore"),
    reads("post /api/portal/workspace/heartbeat/versions/{id}/restore")
        .of(Named::HeartbeatVersion)
        .needs(BOTH)
        .leaves("document.restore"),
    reads("get /api/portal/sessions"),
    reads("get /api/portal/namespace").needs(&[Backend::Cluster]),
    reads("get /api/portal/namespace/expose"),
    reads("get /api/portal/namespace/expose/{name}").of(Named::Exposure),
    reads("post /api/portal/namespace/expose")
        .with(r#"{"name": "my-app", "service": "my-app", "port": 80, "domain": "your-domain.net"}"#)
        .needs(&[Backend::Database, Backend::Cluster])
        .leaves("exposure.open"),
    reads("delete /api/portal/namespace/expose/{name}").of(Named::Exposure).leaves("exposure.close"),
    reads("delete /api/portal/sessions/{id}").of(Named::Session).leaves("session.revoke"),
    reads("delete /api/portal/sessions").leaves("session.revoke"),
    reads("delete /api/portal/sessions/current").leaves("session.revoke"),
];

const HOME: &str = "friend-alice";
const TREASURE_YAML: &str = "
apiVersion: v1
kind: Service
metadata: {name: my-app}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: blog}
spec: {ports: [{port: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: PRIVATE}
spec: {containers: [{name: app, image: nginx}]}
";

/// Alice's things, by name.
pub(crate) struct Treasure {
    pub(crate) session: String,
    pub(crate) job: String,
    pub(crate) memory_version: String,
    pub(crate) heartbeat_version: String,
}

impl Treasure {
    /// Gives alice one of everything.
    pub(crate) async fn of(fixture: &Fixture, token: &str) -> Self {
        let name = Friend { display_name: Some(format!("Alice {PRIVATE}")), ..fixture.friend(OWNER).await };
        fixture.stores.friends.update(name, audit(Action::FriendUpdate)).await.unwrap();
        fixture.kubernetes.load_yaml("treasure.yaml", &TREASURE_YAML.replace("PRIVATE", PRIVATE), HOME).unwrap();
        let blog = json!({"name": "blog", "service": "blog"});
        assert_eq!(fixture.post("/api/portal/namespace/expose", token, blog).await.status, 201);
        let other_token = fixture.login(OWNER).await;
        // A third session, so that one is left to end when all others are ended.
        fixture.login(OWNER).await;
        let memory_version = write(fixture, "memory", &other_token, &format!("{PRIVATE} notes")).await;
        // Everybody reads this one.
        let heartbeat_version = write(fixture, "heartbeat", &other_token, "water the plants").await;
        let sessions = fixture.get("/api/portal/sessions", token).await.json()["sessions"].as_array().unwrap().clone();
        let other = sessions.iter().find(|session| session["current"] == false).unwrap();
        let job =
            format!(r#"{{"name":"daily-check","message":"{PRIVATE}","cron":"@daily","description":"{PRIVATE}"}}"#);
        let asked = request(Method::POST, "/api/portal/workspace/crons", token);
        let asked = asked.insert_header(("content-type", "application/json")).set_payload(job);
        assert_eq!(fixture.ask(asked).await.status, 201);
        let session = other["id"].as_str().unwrap().to_owned();
        Self { memory_version, heartbeat_version, session, job: "daily-check".to_owned() }
    }

    /// The thing that an operation's path names; empty for nothing.
    pub(crate) fn name(&self, named: Named) -> &str {
        match named {
            Named::Nothing => "",
            Named::Job => &self.job,
            Named::Session => &self.session,
            Named::Exposure => "blog",
            Named::MemoryVersion => &self.memory_version,
            Named::HeartbeatVersion => &self.heartbeat_version,
        }
    }
}

/// Writes a document in another session than the one that walks, and gives the id of its version.
async fn write(fixture: &Fixture, name: &str, token: &str, content: &str) -> String {
    let path = format!("/api/portal/workspace/{name}");
    let asked = request(Method::PUT, &path, token).insert_header(("content-type", "application/json"));
    let written = fixture.ask(asked.set_payload(serde_json::json!({ "content": content }).to_string())).await;
    assert!(written.status.is_success(), "{:?}", written.bytes);
    let versions = fixture.get(&format!("{path}/versions"), token).await.json();
    versions["versions"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn every_operation_behind_a_session_has_a_row() {
    let document = serde_json::to_value(portal_api::openapi()).unwrap();
    let mut documented = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        documented.extend(item.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
    }
    documented.retain(|name| name.contains(" /api/portal/"));
    let mut rows: Vec<_> = OPERATIONS.iter().map(|operation| operation.name.to_owned()).collect();
    documented.sort();
    rows.sort();
    assert_eq!(rows, documented, "tests/api/operations.rs must have one row for each operation");
    for operation in OPERATIONS {
        assert_eq!(operation.name.contains('{'), operation.named != Named::Nothing, "{}", operation.name);
    }
}
