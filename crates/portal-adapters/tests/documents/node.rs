//! The hook of the agent's gateway that shows a friend's memory to the agent, run by Node (tier `node`).

use std::path::{Path, PathBuf};
use std::process::Command;

use portal_adapters::files::{AgentRoots, DiskFiles};
use portal_core::{FriendId, FriendshipKey};
use portal_workspace::{DocumentFiles, Tag};
use serde_json::{Value, json};

use crate::fixture::agent;

/// Calls the hook as a gateway does, and prints the files of the prompt.
const DRIVER: &str = "const [handler, event] = process.argv.slice(1); const parsed = JSON.parse(event);
    require(handler)(parsed).then(() => console.log(JSON.stringify(parsed.context.bootstrapFiles)));";

/// A gateway's state folder with the hook, and a workspace with alice's and bob's memories.
struct Gateway {
    folder: tempfile::TempDir,
}

impl Gateway {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shipped: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../docs/agents/friend-memory"].iter().collect();
        std::fs::create_dir(folder.path().join("hook")).unwrap();
        std::fs::copy(shipped.join("handler.js"), folder.path().join("hook/handler.js")).unwrap();
        let gateway = Self { folder };
        for friend in ["alice", "bob"] {
            std::fs::create_dir_all(gateway.friend(friend)).unwrap();
            std::fs::write(gateway.friend(friend).join("MEMORY.md"), format!("{friend}'s é")).unwrap();
        }
        gateway
    }

    fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    fn friend(&self, friend: &str) -> PathBuf {
        self.workspace().join("friends").join(friend)
    }

    fn write_contacts(&self, contacts: &Value) {
        std::fs::write(self.folder.path().join("hook/contacts.json"), contacts.to_string()).unwrap();
    }

    /// Returns the files that the hook adds to a prompt of this session.
    fn bootstrap(&self, session_key: &str) -> Vec<Value> {
        let context = json!({"workspaceDir": self.workspace(), "sessionKey": session_key, "bootstrapFiles": []});
        let event = json!({"type": "agent", "action": "bootstrap", "sessionKey": session_key, "context": context});
        let handler = self.folder.path().join("hook/handler.js");
        let output = Command::new("node").arg("-e").arg(DRIVER).arg(&handler).arg(event.to_string()).output().unwrap();
        assert!(output.status.success(), "{session_key}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn check(&self, session_key: &str, friend: Option<&str>) {
        let expected = friend.map(|friend| {
            let path = std::fs::canonicalize(self.friend(friend)).unwrap().join("MEMORY.md");
            json!({"name": "MEMORY.md", "path": path, "content": format!("{friend}'s é"), "missing": false})
        });
        assert_eq!(self.bootstrap(session_key), Vec::from_iter(expected), "{session_key}");
    }
}

#[test]
#[ignore = "tier node"]
fn a_friends_memory_is_in_their_own_direct_conversations_only() {
    let gateway = Gateway::new();
    gateway.check("agent:main:direct:alice", Some("alice"));
    gateway.check("agent:main:direct:bob", Some("bob"));
    gateway.check("agent:main:signal:direct:alice", Some("alice"));
    gateway.check("agent:main:signal:default:direct:alice", Some("alice"));
    gateway.check("Agent:Main:Direct:Alice", Some("alice"));
    for key in [
        "agent:main:main",
        "agent:main:direct:",
        "agent:main:direct:carol",
        "agent:main:direct:alice:thread:1",
        "agent:main:signal:group:alice",
        "agent:main:signal:group:direct:alice",
        "agent:main:cron:job:run:alice",
        "agent:main:cron:direct:alice",
        "agent:main:direct:../alice",
        "agent:main:direct:al",
        "agent:main:direct:direct:alice",
        "agent:main:signal:direct:direct:alice",
        "agent:main:direct:+15550100",
        "alice",
        "",
    ] {
        gateway.check(key, None);
    }
}

#[test]
#[ignore = "tier node"]
fn an_address_belongs_to_the_one_friend_who_has_it() {
    let gateway = Gateway::new();
    let contact =
        |channel: &str, address: &str, friend: &str| json!({"channel": channel, "address": address, "friend": friend});
    gateway.write_contacts(&json!([
        contact("signal", "+15550100", "alice"),
        contact("matrix", "@Bob:example.org", "bob"),
        contact("signal", "shared", "alice"),
        contact("discord", "shared", "bob"),
    ]));
    gateway.check("agent:main:signal:direct:+15550100", Some("alice"));
    gateway.check("agent:main:direct:+15550100", Some("alice"));
    gateway.check("agent:main:discord:direct:+15550100", None);
    gateway.check("agent:main:matrix:direct:@bob:example.org", Some("bob"));
    gateway.check("agent:main:discord:direct:shared", Some("bob"));
    gateway.check("agent:main:direct:shared", None);
}

#[test]
#[ignore = "tier node"]
fn nothing_but_a_small_file_in_the_friends_own_folder_is_shown() {
    let gateway = Gateway::new();
    let (alice, key) = (gateway.friend("alice"), "agent:main:direct:alice");
    let memory = alice.join("MEMORY.md");
    let put = |make: &dyn Fn(&Path)| {
        std::fs::remove_file(&memory).unwrap();
        make(&memory);
        gateway.check(key, None);
    };
    put(&|at| std::fs::write(at, vec![b'a'; 256 * 1024 + 1]).unwrap());
    put(&|at| std::os::unix::fs::symlink(gateway.friend("bob").join("MEMORY.md"), at).unwrap());
    put(&|at| assert!(Command::new("mkfifo").arg(at).status().unwrap().success()));
    std::fs::remove_dir_all(&alice).unwrap();
    std::os::unix::fs::symlink("bob", &alice).unwrap();
    gateway.check(key, None);
}

#[tokio::test]
#[ignore = "tier node"]
async fn the_portal_reads_the_receipt_of_what_was_shown() {
    let gateway = Gateway::new();
    let files = DiskFiles::new(AgentRoots::default().with(agent(), gateway.workspace()));
    let key = FriendshipKey::new(FriendId::parse("alice").unwrap(), agent());
    assert_eq!(files.read_receipt(&key).await.unwrap(), None);
    gateway.check("agent:main:direct:alice", Some("alice"));
    let receipt = files.read_receipt(&key).await.unwrap().unwrap();
    assert_eq!(receipt.tag, Tag::of("alice's é".as_bytes()));
    assert!(chrono::TimeDelta::zero() <= portal_core::Clock::now(&portal_adapters::SystemClock) - receipt.at);
    for text in ["", "{}", "[1]", r#"{"sha256":"abc","at":"2026-03-01T10:00:00Z"}"#] {
        std::fs::write(gateway.friend("alice").join(".portal-read.json"), text).unwrap();
        assert_eq!(files.read_receipt(&key).await.unwrap(), None, "{text}");
    }
}
