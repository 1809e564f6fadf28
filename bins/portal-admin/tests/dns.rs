//! `dns orphans`, against a Cloudflare that keeps its state.

#![expect(clippy::unwrap_used, reason = "a test ends where its premise fails")]

use std::process::{Command, Output};

use portal_adapters::RandomIds;
use portal_adapters::cloudflare::{SCRIPTED_TOKEN, ScriptedCloudflare};
use portal_adapters::db::{Db, DbSettings};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const EXPOSURE: &str = "00112233445566778899aabbccddeeff";

/// A portal's database and configuration, and the zone `example.org`.
struct Portal {
    folder: tempfile::TempDir,
    cloudflare: ScriptedCloudflare,
    instance: String,
    /// Serves the zone while a command runs.
    runtime: Runtime,
}

impl Portal {
    fn new() -> Self {
        let (folder, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
        let url = format!("sqlite:{}", folder.path().join("portal.db").display());
        let db = Db::open(&DbSettings::new(url.clone()), runtime.handle().clone()).unwrap();
        runtime.block_on(db.migrate()).unwrap();
        let instance = runtime.block_on(db.instance(&RandomIds)).unwrap();
        let cloudflare = runtime.block_on(ScriptedCloudflare::start(&["example.org"])).unwrap();
        let config = format!(
            "[page]\nenabled = false\n[database]\nurl = \"{url}\"\n[[domains]]\nname = \"example.org\"\ntarget = {{ a = \"203.0.113.7\" }}\n\
             [domains.cloudflare]\ntoken = \"{SCRIPTED_TOKEN}\"\napi_url = \"{}\"\n",
            cloudflare.url(),
        );
        std::fs::write(folder.path().join("portal.toml"), config).unwrap();
        Self { folder, cloudflare, instance, runtime }
    }

    /// Puts an address record into the zone.
    fn put(&self, name: &str, comment: &str) {
        let record = json!({
            "type": "A", "name": format!("{name}.example.org"), "content": "203.0.113.7", "ttl": 300, "proxied": false,
            "comment": comment,
        });
        assert!(self.cloudflare.put("example.org", record).is_some());
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let _context = self.runtime.enter();
        Command::new(env!("CARGO_BIN_EXE_portal-admin"))
            .arg("--config")
            .arg(self.folder.path().join("portal.toml"))
            .arg("--json")
            .args(arguments)
            .env_remove("SUDO_USER")
            .env("LOGNAME", "olga")
            .output()
            .unwrap()
    }

    #[track_caller]
    fn run_ok(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The names of the zone's records, sorted.
    fn names(&self) -> Vec<String> {
        let records = self.cloudflare.records("example.org");
        let mut names: Vec<_> = records.iter().map(|record| record["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }
}

#[test]
fn an_orphan_is_listed_and_goes_only_when_told() {
    let portal = Portal::new();
    portal.put("lost-alice", &format!("friend-portal/{}/{EXPOSURE}", portal.instance));
    portal.put("theirs", &format!("friend-portal/{}/{EXPOSURE}", "9".repeat(32)));
    portal.put("by-hand", "");
    let all = ["by-hand.example.org", "lost-alice.example.org", "theirs.example.org"];
    let row = |outcome: Value| {
        json!({"orphans": [{
            "domain": "example.org", "hostname": "lost-alice.example.org", "exposure": EXPOSURE, "outcome": outcome,
        }]})
    };
    assert_eq!(portal.run_ok(&["dns", "orphans"]), row(Value::Null));
    assert_eq!(portal.names(), all);
    assert_eq!(portal.run_ok(&["audit"]), json!({"lines": []}));

    assert_eq!(portal.run_ok(&["dns", "orphans", "--domain", "example.org", "--delete"]), row(json!("deleted")));
    assert_eq!(portal.names(), ["by-hand.example.org", "theirs.example.org"]);
    let line = portal.run_ok(&["audit", "--action", "orphan.delete"])["lines"][0].clone();
    assert_eq!((&line["actor"], &line["subject"]), (&json!("operator:olga"), &json!("lost-alice.example.org")));
    assert!(line["detail"].as_str().unwrap().contains(EXPOSURE), "{line}");
    assert_eq!(portal.run_ok(&["dns", "orphans", "--delete"]), json!({"orphans": []}));
}

#[test]
fn a_zone_that_cannot_be_read_is_not_one_without_orphans() {
    let portal = Portal::new();
    let refused = portal.run(&["dns", "orphans", "--domain", "example.net"]);
    assert_eq!(refused.status.code(), Some(1));
    portal.cloudflare.limit(0, std::time::Duration::from_mins(1));
    let failed = portal.run(&["dns", "orphans", "--delete"]);
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!((failed.status.code(), &*failed.stdout), (Some(3), &b""[..]), "{said}");
    assert!(said.contains("example.org was not looked through"), "{said}");
}
