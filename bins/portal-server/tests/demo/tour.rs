//! Every endpoint of the specification once, over HTTP, as a friend's page would use it.

use serde_json::json;

use crate::process::Demo;

#[tokio::test]
async fn a_friend_sees_who_they_are() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (_demo, portal) = Demo::start(data.path())?;
    let me = portal.get("alice", "/api/portal/me").await?;
    assert_eq!(me.status, 200);
    assert_eq!(me.body["id"], "alice");
    assert_eq!(me.body["display_name"], "Alice");
    assert_eq!(me.body["namespace"], "friend-alice");
    assert!(me.body["stats"]["logs"].is_u64(), "{}", me.body);
    assert!(me.body["stats"]["secrets"].is_u64(), "{}", me.body);
    let agents = portal.get("alice", "/api/portal/agents").await?;
    assert_eq!((&agents.body[0]["agent_id"], &agents.body[0]["status"]), (&json!("main"), &json!("active")));
    let domains = portal.get("alice", "/api/portal/domains").await?;
    assert!(domains.body[0].is_string() && domains.body[1].is_string(), "{}", domains.body);
    let sessions = portal.get("alice", "/api/portal/sessions").await?;
    assert_eq!(sessions.body["sessions"][0]["current"], true);
    Ok(())
}

#[tokio::test]
async fn a_friend_exposes_a_service_and_takes_it_back() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (_demo, portal) = Demo::start(data.path())?;
    let wanted = json!({"name": "my-app", "service": "my-app", "port": 80, "domain": "your-domain.net"});
    let exposed = portal.post("alice", "/api/portal/namespace/expose", &wanted).await?;
    assert_eq!((exposed.status.as_u16(), &exposed.body["ok"]), (201, &json!(true)), "{}", exposed.body);
    assert_eq!(exposed.body["hostname"], "my-app-alice.your-domain.net");
    let namespace = portal.get("alice", "/api/portal/namespace").await?;
    for list in ["pods", "services", "deployments", "ingressRoutes"] {
        assert!(namespace.body[list].as_array().is_some_and(|items| !items.is_empty()), "{list}: {}", namespace.body);
    }
    let again = portal.post("alice", "/api/portal/namespace/expose", &wanted).await?;
    assert_eq!(again.status, 200);
    let removed = portal.delete("alice", "/api/portal/namespace/expose/my-app").await?;
    assert_eq!(removed.status, 200, "{}", removed.body);
    let gone = portal.delete("alice", "/api/portal/namespace/expose/my-app").await?;
    assert_eq!(gone.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_friend_edits_their_documents() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (_demo, portal) = Demo::start(data.path())?;
    for document in ["memory", "heartbeat"] {
        let path = format!("/api/portal/workspace/{document}");
        let before = portal.get("alice", &path).await?;
        assert_eq!((before.status.as_u16(), &before.body["exists"]), (200, &json!(true)));
        let text = json!({"content": "# Updated Notes\n\n..."});
        let written = portal.put("alice", &path, &text).await?;
        assert_eq!((written.status.as_u16(), &written.body["ok"]), (200, &json!(true)), "{}", written.body);
        let after = portal.get("alice", &path).await?;
        assert_eq!(after.body["content"], text["content"]);
        assert!(after.etag.is_some() && after.etag != before.etag);
        let versions = portal.get("alice", &format!("{path}/versions")).await?;
        assert!(versions.body["versions"].is_array(), "{}", versions.body);
    }
    let notes = portal.get("alice", "/api/portal/workspace/friend-notes").await?;
    assert_eq!(notes.status, 200);
    let list = portal.get("alice", "/api/portal/workspace").await?;
    assert!(list.body["documents"].as_array().is_some_and(|documents| documents.len() >= 3), "{}", list.body);
    Ok(())
}

#[tokio::test]
async fn a_friend_schedules_a_message() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let (_demo, portal) = Demo::start(data.path())?;
    let crons = "/api/portal/workspace/crons";
    let wanted = json!({"name": "daily-check", "message": "Check my portfolio", "cron": "0 9 * * *",
        "session": "agent:main:direct:channel:alice", "tz": "Europe/Berlin"});
    let created = portal.post("alice", crons, &wanted).await?;
    assert_eq!(created.status, 201, "{}", created.body);
    let listed = portal.get("alice", crons).await?;
    assert_eq!(listed.body["jobs"][0]["name"], "daily-check");
    let toggled = portal.post("alice", &format!("{crons}/daily-check/toggle"), &json!({"enabled": false})).await?;
    assert_eq!((toggled.status.as_u16(), toggled.body), (200, json!({"ok": true})));
    let run = portal.post("alice", &format!("{crons}/daily-check/run"), &json!({})).await?;
    assert_eq!((run.status.as_u16(), &run.body["ok"]), (202, &json!(true)), "{}", run.body);
    let theirs = portal.get("bob", crons).await?;
    assert_eq!(theirs.body["jobs"], json!([]));
    let deleted = portal.delete("alice", &format!("{crons}/daily-check")).await?;
    assert_eq!((deleted.status.as_u16(), deleted.body), (200, json!({"ok": true})));
    Ok(())
}
