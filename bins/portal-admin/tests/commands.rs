//! The program as an operator runs it, on a SQLite file.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where its premise fails")]

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use chrono::DateTime;
use portal_adapters::RandomIds;
use portal_adapters::db::{Db, DbSettings};
use portal_core::{Action, Actor, AuditEntry, FriendId};
use portal_dns::{DomainName, ExposureId, ExposureName, ExposureSpec, Hostname, Reservation, ServiceName, ServicePort};
use serde_json::{Value, json};

/// A portal's database.
struct Register {
    folder: tempfile::TempDir,
}

impl Register {
    fn new() -> Self {
        let register = Self { folder: tempfile::tempdir().unwrap() };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let db = Db::open(&DbSettings::new(register.url()), runtime.handle().clone()).unwrap();
        runtime.block_on(db.migrate()).unwrap();
        register
    }

    /// With alice, an agent and their active friendship.
    fn with_alice() -> Self {
        let register = Self::new();
        for command in ["friend add alice", "agent add main", "friendship set main alice active"] {
            register.run_ok(command);
        }
        register
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("portal.db").display())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_portal-admin"))
            .args(["--database", &self.url()])
            .args(arguments)
            .env_remove("SUDO_USER")
            .env("LOGNAME", "olga")
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed and returns its JSON.
    #[track_caller]
    fn run_ok(&self, command: &str) -> Value {
        let arguments: Vec<&str> = command.split(' ').chain(["--json"]).collect();
        let output = self.run(&arguments);
        let refusal = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*refusal), (Some(0), ""), "{command}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Which argument a refused command names, and that the sentence holds `part`; it leaves no line.
    #[track_caller]
    fn refused(&self, command: &str, argument: &str, part: &str) {
        let before = self.run_ok("audit --limit 1000");
        self.turned_down(command, argument, part);
        assert_eq!(self.run_ok("audit --limit 1000"), before, "{command} left a line");
    }

    /// Which argument a refused command names, and that the sentence holds `part`.
    #[track_caller]
    fn turned_down(&self, command: &str, argument: &str, part: &str) {
        let arguments: Vec<&str> = command.split(' ').chain(["--json"]).collect();
        let output = self.run(&arguments);
        assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{command}");
        let refusal: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(refusal["argument"], argument, "{command}");
        let code = refusal["code"].as_str().unwrap();
        assert!(portal_core::code::ALL.contains(&code), "{command}: {code}");
        assert!(refusal["error"].as_str().unwrap().contains(part), "{command}: {refusal}");
    }
}

#[test]
fn a_friend_is_added_shown_changed_and_removed() {
    let register = Register::new();
    let added = register.run_ok("friend add alice --name Alice --channel signal --time-zone Europe/Berlin");
    assert_eq!(added["name"], "Alice");
    register.run_ok("contact add alice signal +15550100");
    register.run_ok("contact add alice slack U12AB");
    let changed = register.run_ok("friend update alice --time-zone= --channel irc");
    assert_eq!((&changed["name"], &changed["channel"]), (&json!("Alice"), &json!("irc")));
    let shown = register.run_ok("friend show alice");
    assert_eq!(shown["time_zone"], Value::Null);
    assert_eq!(shown["namespace"], "friend-alice");
    assert_eq!(shown["contacts"], json!(["signal:+15550100", "slack:U12AB"]), "as typed");
    assert_eq!(register.run_ok("friend list")["friends"].as_array().unwrap().len(), 1);
    assert_eq!(register.run_ok("friend remove alice"), json!({"removed": "alice"}));
    assert_eq!(register.run_ok("friend list"), json!({"friends": []}));
}

#[test]
fn what_is_absent_has_the_word_that_the_api_has_for_it() {
    let register = Register::with_alice();
    for (command, code) in [
        ("friend show nobody", "friend-not-found"),
        ("contact add nobody signal +1", "friend-not-found"),
        ("agent rotate nothing", "agent-not-found"),
        ("exposure repair alice nothing", "exposure-not-found"),
        ("session revoke alice nothing", "session-not-found"),
        ("friend add alice", "value-invalid"),
    ] {
        let arguments: Vec<&str> = command.split(' ').chain(["--json"]).collect();
        let refusal: Value = serde_json::from_slice(&register.run(&arguments).stderr).unwrap();
        assert_eq!(refusal["code"], code, "{command}: {refusal}");
    }
}

#[test]
fn what_a_friend_cannot_be_is_refused_by_argument() {
    let register = Register::with_alice();
    register.run_ok("contact add alice signal bob");
    register.refused("friend add alice", "FRIEND", "already");
    register.refused("friend add bob", "FRIEND", "contact");
    register.refused("friend add carol --time-zone Europe/Atlantis", "--time-zone", "IANA");
    register.refused("friend add carol --channel direct", "--channel", "direct");
    register.refused("friend show carol", "FRIEND", "no friend carol");
    register.refused("friend update carol", "FRIEND", "no friend carol");
    register.refused("friend remove carol", "FRIEND", "no friend carol");
    register.refused("friend provision carol", "FRIEND", "no friend carol");
}

#[test]
fn an_invitation_goes_from_nothing_to_a_link_and_can_be_repeated() {
    let register = Register::new();
    let config = register.folder.path().join("portal.toml");
    std::fs::write(&config, format!("[page]\nenabled = false\n[database]\nurl = \"{}\"\n", register.url())).unwrap();
    let invite = format!("friend invite alice --agent main --signal +15550100 --config {}", config.display());
    register.refused(&invite, "--agent", "no agent main");
    register.run_ok("agent add main");
    let invited = register.run_ok(&invite);
    assert_eq!((&invited["link"], &invited["link_expires_at"]), (&Value::Null, &Value::Null));
    let left = invited["left_to_do"].as_array().unwrap();
    for part in ["add agent main to the configuration", "server.public_url", "friend provision alice", "session link"] {
        assert!(left.iter().any(|step| step.as_str().unwrap().contains(part)), "{part}: {left:?}");
    }

    let public = "[server]\npublic_url = \"https://portal.example.org\"\n";
    std::fs::write(&config, format!("{public}[database]\nurl = \"{}\"\n", register.url())).unwrap();
    let again = register.run_ok(&format!("{invite} --name Alice --contact irc:al"));
    let link = again["link"].as_str().unwrap();
    assert!(link.starts_with("https://portal.example.org/portal/enter#code=fpl_"), "{link}");
    register.run_ok("session issue alice");
    let shown = register.run_ok("friend show alice");
    assert_eq!((&shown["name"], &shown["contacts"]), (&json!("Alice"), &json!(["irc:al", "signal:+15550100"])));
    assert_eq!(shown["left_to_do"].as_array().unwrap().len(), 1, "{shown}");
    assert!(!register.run_ok("audit").to_string().contains(link.split_once("code=").unwrap().1));
}

#[test]
fn an_invitation_does_not_undo_what_an_operator_decided() {
    let register = Register::with_alice();
    let config = register.folder.path().join("portal.toml");
    std::fs::write(&config, format!("[page]\nenabled = false\n[database]\nurl = \"{}\"\n", register.url())).unwrap();
    let rest = format!("--agent main --config {}", config.display());
    register.run_ok("friendship set main alice blocked");
    register.refused(&format!("friend invite alice {rest}"), "--agent", "is blocked; see friendship set");
    register.refused(&format!("friend invite bob {rest} --contact signal"), "--contact", "CHANNEL:ADDRESS");
    register.refused(&format!("friend invite bob {rest} --signal a::b"), "--signal", "address must be");
    register.run_ok("contact add alice signal +1");
    register.turned_down(&format!("friend invite bob {rest} --signal +1"), "--contact", "another friend");
    assert_eq!(register.run_ok("friendship list --friend bob"), json!({"friendships": []}));
}

#[test]
fn a_contact_belongs_to_one_friend() {
    let register = Register::with_alice();
    register.run_ok("friend add bob");
    register.run_ok("contact add alice signal +1");
    assert_eq!(register.run_ok("contact add alice signal +1")["address"], "+1", "again is the same");
    register.refused("contact add bob signal +1", "ADDRESS", "another friend");
    register.refused("contact add bob signal alice", "ADDRESS", "id of a friend");
    register.refused("contact add carol signal +2", "FRIEND", "no friend carol");
    register.refused("contact add bob Signal +2", "CHANNEL", "channel must be");
    register.refused("contact add bob signal a::b", "ADDRESS", "address must be");
    register.refused("contact remove bob signal +1", "ADDRESS", "has no contact");
    register.refused("contact list carol", "FRIEND", "no friend carol");
    assert_eq!(register.run_ok("contact list alice"), json!({"contacts": [{"channel": "signal", "address": "+1"}]}));
    register.run_ok("contact remove alice signal +1");
    assert_eq!(register.run_ok("contact list alice"), json!({"contacts": []}));
}

#[test]
fn a_token_is_shown_once_and_kept_nowhere() {
    let register = Register::with_alice();
    let rotated = register.run_ok("agent rotate main")["token"].as_str().unwrap().to_owned();
    let session = register.run_ok("session issue alice")["token"].as_str().unwrap().to_owned();
    assert!(rotated.starts_with("fpa_") && session.starts_with("fps_"));
    let everything = ["agent list", "session list alice", "audit", "friend show alice"];
    let shown: String = everything.iter().map(|command| register.run_ok(command).to_string()).collect();
    let files =
        std::fs::read_dir(register.folder.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let kept = String::from_utf8_lossy(&files.flatten().collect::<Vec<u8>>()).into_owned();
    for token in [rotated, session] {
        assert!(!shown.contains(&token) && !kept.contains(&token));
    }
}

#[test]
fn an_agent_is_registered_once() {
    let register = Register::with_alice();
    register.refused("agent add main", "AGENT", "already");
    register.refused("agent rotate other", "AGENT", "no agent other");
    register.refused("agent remove other", "AGENT", "no agent other");
    assert_eq!(register.run_ok("agent list")["agents"][0]["id"], "main");
    register.run_ok("agent remove main");
    assert_eq!(register.run_ok("friendship list --friend alice"), json!({"friendships": []}));
}

#[test]
fn the_addresses_of_active_friends_are_written_for_the_memory_hook() {
    let register = Register::with_alice();
    for command in ["friend add bob", "friendship set main bob inactive", "contact add alice slack U12AB"] {
        register.run_ok(command);
    }
    register.run_ok("contact add bob signal +2");
    let file = register.folder.path().join("contacts.json");
    let expected = json!([{"channel": "slack", "address": "U12AB", "friend": "alice"}]);
    for _ in 0..2 {
        let told = register.run_ok(&format!("agent contacts main --write {}", file.display()));
        assert_eq!(told["contacts"], expected);
        assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()).unwrap(), expected);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    register.refused("agent contacts other", "AGENT", "no agent other");
    register.refused("agent contacts main --write /nowhere/contacts.json", "--write", "cannot be written");
}

#[test]
fn what_a_gateway_has_to_say_is_printed_for_its_active_friends() {
    let register = Register::with_alice();
    register.run_ok("contact add alice slack U12AB");
    let wiring = register.run_ok("agent wiring main");
    let fragment = &wiring["openclaw_json"];
    assert_eq!(fragment["session"], json!({"dmScope": "per-peer", "identityLinks": {"alice": ["slack:U12AB"]}}));
    assert_eq!(fragment["hooks"]["allowedSessionKeyPrefixes"], json!(["hook:", "agent:main:direct:"]));
    register.refused("agent wiring other", "AGENT", "no agent other");
}

#[test]
fn a_device_key_needs_no_portal_and_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("device-key");
    let make = || {
        let arguments = ["agent", "device-key", file.to_str().unwrap(), "--json", "--config", "/nowhere"];
        Command::new(env!("CARGO_BIN_EXE_portal-admin")).args(arguments).output().unwrap()
    };
    let output = make();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let key = std::fs::read_to_string(&file).unwrap();
    assert_eq!(told["device"].as_str().map(str::len), Some(64));
    assert!(key.starts_with("fpd_") && !String::from_utf8_lossy(&output.stdout).contains(key.trim()));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(make().status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
}

#[test]
fn a_friendship_keeps_what_is_not_said_anew() {
    let register = Register::with_alice();
    let first = register.run_ok("friendship list --agent main")["friendships"][0].clone();
    assert_eq!((&first["status"], &first["heartbeat_writable"]), (&json!("active"), &json!(null)));
    register.run_ok("friendship set main alice active --heartbeat-writable false");
    let blocked = register.run_ok("friendship set main alice blocked");
    assert_eq!((&blocked["status"], &blocked["heartbeat_writable"]), (&json!("blocked"), &json!(false)));
    assert_eq!(blocked["created_at"], first["created_at"]);
    register.refused("friendship set other alice active", "AGENT", "no agent other");
    register.refused("friendship set main carol active", "FRIEND", "no friend carol");
    register.refused("friendship list --friend carol", "FRIEND", "no friend carol");
    register.refused("friendship list --agent other", "AGENT", "no agent other");
}

#[test]
fn a_session_is_issued_listed_and_ended() {
    let register = Register::with_alice();
    let first = register.run_ok("session issue alice")["id"].as_str().unwrap().to_owned();
    register.run_ok("session issue alice --agent main");
    assert_eq!(register.run_ok("session list alice")["sessions"].as_array().unwrap().len(), 2);
    register.refused("session revoke alice nonsense", "ID", "no session nonsense");
    assert_eq!(register.run_ok(&format!("session revoke alice {first}")), json!({"revoked": 1}));
    register.refused(&format!("session revoke alice {first}"), "ID", "that still counts");
    assert_eq!(register.run_ok("session revoke alice --all"), json!({"revoked": 1}));
    assert_eq!(register.run_ok("session list alice"), json!({"sessions": []}));
}

#[test]
fn a_session_needs_an_agent_without_doubt() {
    let register = Register::with_alice();
    register.run_ok("agent add other");
    register.refused("session issue alice --agent other", "--agent", "no active friendship with other");
    register.run_ok("friendship set other alice active");
    register.refused("session issue alice", "--agent", "name one: main, other");
    register.run_ok("friend add bob");
    register.refused("session issue bob", "FRIEND", "no active friendship");
    register.refused("session issue carol", "FRIEND", "no friend carol");
}

#[test]
fn the_audit_log_says_who_did_what_to_whom() {
    let register = Register::with_alice();
    let lines = register.run_ok("audit --friend alice --action friendship --since 1h");
    let line = &lines["lines"][0];
    assert_eq!((&line["actor"], &line["action"]), (&json!("operator:olga"), &json!("friendship.set")));
    assert_eq!((&line["friend"], &line["subject"]), (&json!("alice"), &json!("main")));
    assert_eq!(lines["lines"].as_array().unwrap().len(), 1);
    assert_eq!(register.run_ok("audit --limit 2")["lines"].as_array().unwrap().len(), 2);
    register.refused("audit --since yesterday", "--since", "such as");
}

#[test]
fn expired_rows_are_counted_and_deleted() {
    let register = Register::with_alice();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = Db::open(&DbSettings::new(register.url()), runtime.handle().clone()).unwrap();
    let actor = Actor::Operator("root".to_owned());
    let long_ago = AuditEntry::new(DateTime::UNIX_EPOCH, actor, Action::FriendCreate).with_subject("long ago");
    runtime.block_on(db.audit_log().append(long_ago)).unwrap();
    let first = |json: &Value, column: &str| (json["pruned"][0]["kind"].clone(), json["pruned"][0][column].clone());
    let counted = (json!("audit entries"), json!(1));
    assert_eq!(first(&register.run_ok("prune --dry-run"), "expired"), counted);
    assert_eq!(first(&register.run_ok("prune --dry-run"), "expired"), counted, "nothing was deleted");
    assert_eq!(first(&register.run_ok("prune"), "deleted"), counted);
    assert_eq!(first(&register.run_ok("prune"), "deleted").1, json!(0));
    let lines = register.run_ok("audit --action portal");
    let details: Vec<_> = lines["lines"].as_array().unwrap().iter().map(|line| line["detail"].clone()).collect();
    assert_eq!(details, ["1 rows"], "a run that deleted nothing leaves no entry");
}

/// Has a friend ask for an exposure `web` of their Service `web`, which no portal has made true yet.
fn ask_for_web(register: &Register, friend: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = Db::open(&DbSettings::new(register.url()), runtime.handle().clone()).unwrap();
    let (friend, name) = (FriendId::parse(friend).unwrap(), ExposureName::parse("web").unwrap());
    let domain = DomainName::parse("your-domain.net").unwrap();
    let at = DateTime::UNIX_EPOCH;
    let audit = AuditEntry::new(at, Actor::Friend(friend.clone()), Action::ExposureOpen)
        .with_friend(friend.clone())
        .with_subject("web");
    let reservation = Reservation {
        id: ExposureId::random(&RandomIds),
        spec: ExposureSpec {
            hostname: Hostname::of(&name, &friend, &domain).unwrap(),
            service: ServiceName::parse("web").unwrap(),
            port: ServicePort::parse(80).unwrap(),
            domain,
        },
        friend,
        name,
        only_if_absent: false,
    };
    runtime.block_on(db.exposures().reserve(reservation, audit)).unwrap();
}

#[test]
fn exposures_are_seen_and_hurried() {
    let register = Register::with_alice();
    register.run_ok("friend add bob");
    ask_for_web(&register, "bob");
    ask_for_web(&register, "alice");
    let all = register.run_ok("exposure list")["exposures"].clone();
    let friends: Vec<&Value> = all.as_array().unwrap().iter().map(|exposure| &exposure["friend"]).collect();
    assert_eq!(friends, ["alice", "bob"]);
    let shown = register.run_ok("exposure show alice web");
    assert_eq!(register.run_ok("exposure list alice")["exposures"], json!([shown]));
    assert_eq!((&shown["hostname"], &shown["status"]), (&json!("web-alice.your-domain.net"), &json!("pending")));
    register.run_ok("exposure repair alice web");
    let line = &register.run_ok("audit --action exposure.repair")["lines"][0];
    assert_eq!((&line["friend"], &line["subject"]), (&json!("alice"), &json!("web")));
    register.refused("exposure show alice blog", "NAME", "no exposure blog");
    register.refused("exposure repair alice blog", "NAME", "no exposure blog");
    register.refused("exposure list carol", "FRIEND", "no friend carol");
    register.refused("friend remove alice", "FRIEND", "exposure list alice");
}

#[test]
fn text_is_a_table() {
    let register = Register::with_alice();
    let output = register.run(&["friendship", "list", "--friend", "alice"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next().unwrap(), "AGENT  FRIEND  STATUS  HEARTBEAT_WRITABLE  CREATED_AT");
    assert!(lines.next().unwrap().starts_with("main   alice   active  -                   20"), "{text}");
    let refused = register.run(&["friend", "show", "carol"]);
    assert_eq!(String::from_utf8(refused.stderr).unwrap(), "FRIEND: there is no friend carol\n");
}

#[track_caller]
fn check_exit(register: &Register, arguments: &[&str], code: i32, part: &str) {
    let output = register.run(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(part), "{arguments:?}: {said}");
}

#[test]
fn what_is_not_understood_names_the_argument() {
    let register = Register::new();
    check_exit(&register, &["friend", "add", "Alice"], 2, "<FRIEND>");
    check_exit(&register, &["friend", "add", "alice", "--name", "a\nb"], 2, "--name");
    check_exit(&register, &["friendship", "set", "main", "alice", "friends"], 2, "active, inactive or blocked");
    check_exit(&register, &["friendship", "list"], 2, "--friend");
    check_exit(&register, &["session", "revoke", "alice"], 2, "--all");
}

#[test]
fn a_database_that_cannot_be_asked_is_no_empty_register() {
    let nowhere = Register { folder: tempfile::tempdir().unwrap() };
    check_exit(&nowhere, &["friend", "list"], 3, "the database is unavailable");
    std::fs::File::create(nowhere.folder.path().join("portal.db")).unwrap();
    check_exit(&nowhere, &["friend", "list"], 2, "portal-server migrate");
}

#[test]
fn domains_come_from_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portal.toml");
    let ask = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portal-admin"));
        command.args(["domain", "list", "--json", "--config"]).arg(&config).output().unwrap()
    };
    assert_eq!(ask().status.code(), Some(2), "there is no such file");
    std::fs::write(
        &config,
        "[page]\nenabled = false\n[database]\nurl = \"sqlite:portal.db\"\n[[domains]]\nname = \"your-domain.net\"\n\
         target = { a = \"203.0.113.7\" }\n[domains.cloudflare]\ntoken = \"secret-token\"\n",
    )
    .unwrap();
    let output = ask();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let refusal = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{refusal}");
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(answer["domains"][0]["name"], "your-domain.net");
    assert!(!said.contains("secret-token"));
}

mod cluster {
    //! Provisioning, with an account that has the role of `deploy/provisioner` and no other.

    use std::env;
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::Register;

    /// A file of the tier's folder.
    #[expect(clippy::disallowed_methods, reason = "the tier hands the cluster over by a variable")]
    fn file(name: &str) -> PathBuf {
        PathBuf::from(env::var("TEST_CLUSTER").unwrap()).join(name)
    }

    /// Actions of an operator in the cluster.
    #[track_caller]
    fn kubectl(arguments: &str, input: &str) -> String {
        let mut command = Command::new(file("kubectl"));
        command.args(arguments.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "kubectl {arguments}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A register with a friend whom no other test knows, and the end of a command that provisions.
    fn with_somebody() -> (Register, String, String) {
        let (register, friend) = (Register::new(), format!("p-{:08x}", rand::random::<u32>()));
        register.run_ok(&format!("friend add {friend}"));
        let config = register.folder.path().join("portal.toml");
        let text = format!(
            "[page]\nenabled = false\n[database]\nurl = \"{}\"\n[provisioning.quota]\nsecrets = 7\n",
            register.url()
        );
        std::fs::write(&config, text).unwrap();
        let kubeconfig = file("provisioner.kubeconfig");
        let rest = format!("--config {} --kubeconfig {}", config.display(), kubeconfig.display());
        (register, friend, rest)
    }

    /// Returns the audit lines about provisioning, newest first.
    fn details(register: &Register) -> Vec<String> {
        let lines = register.run_ok("audit --action friend.provision")["lines"].as_array().unwrap().clone();
        lines.iter().map(|line| line["detail"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns whether a service account may do something, as the API server says.
    fn can(account: &str, what: &str, namespace: &str) -> bool {
        let mut command = Command::new(file("kubectl"));
        command.args(["auth", "can-i", "-n", namespace, "--as", &format!("system:serviceaccount:{account}")]);
        command.args(what.split(' ')).output().unwrap().status.success()
    }

    #[test]
    #[ignore = "tier cluster"]
    fn an_agent_may_deploy_for_its_own_friends_as_long_as_it_is_named() {
        let (register, friend, rest) = with_somebody();
        let other = format!("{friend}-o");
        register.run_ok(&format!("friend add {other}"));
        for (agent, friend) in [("main", &friend), ("second", &other)] {
            register.run_ok(&format!("agent add {agent}"));
            register.run_ok(&format!("friendship set {agent} {friend} active"));
        }
        let configure = |accounts: bool| {
            let agents = ["main", "second"].map(|id| {
                let account = format!("service_account = \"openclaw/{id}\"");
                format!("[[agents]]\nid = \"{id}\"\nworkspace = \"/a\"\n{}\n", if accounts { &*account } else { "" })
            });
            let delivery = "[delivery]\nwebhook_url = \"http://localhost/\"\nsignature = \"legacy\"\n\
                            webhook_secret = \"0123456789abcdef0123456789abcdef\"\n";
            let text = format!(
                "[page]\nenabled = false\n[database]\nurl = \"{}\"\n{delivery}{}",
                register.url(),
                agents.concat()
            );
            std::fs::write(register.folder.path().join("portal.toml"), text).unwrap();
        };
        let provision = || {
            let commands = [&friend, &other].map(|friend| format!("friend provision {friend} {rest}"));
            commands.map(|command| register.run_ok(&command)["may_deploy"].clone())
        };
        let may_deploy = |agent: &str, friend: &str| {
            can(&format!("openclaw:{agent}"), "create deployments.apps", &format!("friend-{friend}"))
        };
        configure(true);
        assert_eq!(provision(), [json!(["openclaw/main"]), json!(["openclaw/second"])]);
        assert!(may_deploy("main", &friend) && may_deploy("second", &other));
        assert!(
            !may_deploy("main", &other)
                && !may_deploy("second", &friend)
                && !can("openclaw:main", "create pods", "default")
        );
        // A friendship that is not active gives nothing.
        register.run_ok(&format!("friendship set second {other} blocked"));
        assert_eq!(provision()[1], json!([]));
        assert!(!may_deploy("second", &other));
        configure(false);
        provision();
        assert!(!may_deploy("main", &friend));
        kubectl(
            &format!("create rolebinding friend-portal-agent -n friend-{friend} --clusterrole view --user somebody"),
            "",
        );
        register.turned_down(&format!("friend provision {friend} {rest}"), "FRIEND", "RoleBinding friend-portal-agent");
        assert!(details(&register)[0].starts_with("withdrawn: the binding"), "{:?}", details(&register));
    }

    #[test]
    #[ignore = "tier cluster"]
    fn a_namespace_is_provisioned_as_configured_and_again_after_it_was_changed() {
        let (register, friend, rest) = with_somebody();
        let namespace = format!("friend-{friend}");
        let provision = format!("friend provision {friend} {rest}");
        assert_eq!(register.run_ok(&provision), json!({"friend": friend, "namespace": namespace, "may_deploy": []}));
        kubectl(&format!("delete networkpolicy friend-portal -n {namespace}"), "");
        let more = r#"{"spec":{"hard":{"secrets":"9"}}}"#;
        kubectl(&format!("patch quota friend-portal -n {namespace} --type=merge -p {more}"), "");
        register.run_ok(&provision);

        let level = "jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}";
        assert_eq!(kubectl(&format!("get namespace {namespace} -o {level}"), ""), "restricted");
        let source =
            "jsonpath={.spec.ingress[0].from[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name}";
        assert_eq!(kubectl(&format!("get networkpolicy friend-portal -n {namespace} -o {source}"), ""), "traefik");
        let max = "jsonpath={.spec.limits[0].max.memory}";
        assert_eq!(kubectl(&format!("get limitrange friend-portal -n {namespace} -o {max}"), ""), "256Mi");
        kubectl(&format!("create secret generic one -n {namespace}"), "");
        let counted = "jsonpath={.status.used.secrets}/{.status.hard.secrets}";
        let counted = || kubectl(&format!("get quota friend-portal -n {namespace} -o {counted}"), "");
        let started = Instant::now();
        while counted() != "1/7" {
            assert!(started.elapsed() < Duration::from_secs(30), "the quota counts {}", counted());
        }
        let lines = register.run_ok("audit --action friend.provision")["lines"].as_array().unwrap().clone();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["friend"], &lines[0]["subject"]), (&json!(friend), &json!(namespace)));
        assert_eq!(lines[0]["actor"], "operator:olga");
    }

    #[test]
    #[ignore = "tier cluster"]
    fn what_is_not_the_friends_or_ends_is_left_alone() {
        let (register, friend, rest) = with_somebody();
        let provision = format!("friend provision {friend} {rest}");
        kubectl(&format!("create namespace friend-{friend}"), "");
        register.turned_down(&provision, "FRIEND", "was not made for");
        assert_eq!(details(&register), ["withdrawn: the namespace was not made for the friend", ""]);
        let found = kubectl(&format!("get quota,limitrange,networkpolicy -n friend-{friend} -o name"), "");
        assert_eq!(found, "");

        let (register, friend, rest) = with_somebody();
        let provision = format!("friend provision {friend} {rest}");
        register.run_ok(&provision);
        // What holds this up keeps the namespace from being gone before the command has looked.
        let held = format!("{{name: hold, namespace: friend-{friend}, finalizers: [test/hold]}}");
        kubectl("apply -f -", &format!("{{apiVersion: v1, kind: ConfigMap, metadata: {held}}}"));
        kubectl(&format!("delete namespace friend-{friend} --wait=false"), "");
        register.turned_down(&provision, "FRIEND", "is being deleted");
        assert_eq!(details(&register), ["withdrawn: the namespace is being deleted", "", ""]);
        kubectl(
            &format!(
                "patch configmap hold -n friend-{friend} --type=merge -p {{\"metadata\":{{\"finalizers\":null}}}}"
            ),
            "",
        );
    }

    #[test]
    #[ignore = "tier cluster"]
    fn the_servers_own_rights_do_not_suffice() {
        let (register, friend, rest) = with_somebody();
        let arguments =
            format!("friend provision {friend} {rest}").replace("provisioner.kubeconfig", "portal.kubeconfig");
        let output = register.run(&arguments.split(' ').collect::<Vec<_>>());
        let refusal = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{refusal}");
        assert!(refusal.contains("cannot create resource \"namespaces\""), "{refusal}");
        // The intent stands there, whatever became of it.
        assert_eq!(details(&register), ["not finished: the cluster refused or could not be asked", ""]);
    }
}
