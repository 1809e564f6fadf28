//! Wrong login codes and agent tokens, by the address that they come from.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use actix_web::http::Method;
use actix_web::http::header::HeaderName;
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::{RandomIds, SystemClock};
use portal_api::{ClientAddresses, Limits, LoginPorts};
use portal_core::{Action, Actor, Agent, Clock as _, Friend, Friendship, FriendshipStatus, Logins, Recipient, Token};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::fixture::{Fixture, Reply, agent_id, audit, friend_id, request};

/// The database's runtime; it may not be dropped inside another one.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().enable_all().build().expect("a runtime"));

const PROXY: &str = "10.0.0.1:1000";

/// A portal whose agent `main` logs alice in, behind a proxy.
struct Guarded {
    fixture: Fixture,
    logins: Arc<Logins>,
    _folder: TempDir,
}

impl Guarded {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("portal.db").display());
        let db = Db::open(&DbSettings::new(url), RUNTIME.handle().clone()).unwrap();
        db.migrate().await.unwrap();
        let created_at = SystemClock.now();
        let (agent, friend) = (agent_id("main"), friend_id("alice"));
        let token = Token::presented("fpa_right").hash();
        db.agents().create(Agent { id: agent.clone(), created_at }, token, audit(Action::AgentCreate)).await.unwrap();
        db.friends().create(Friend::new(friend.clone(), created_at), audit(Action::FriendCreate)).await.unwrap();
        let status = FriendshipStatus::Active;
        let friendship = Friendship { agent: agent.clone(), friend, status, heartbeat_writable: None, created_at };
        db.friendships().set(friendship, audit(Action::FriendshipSet)).await.unwrap();
        let logins = Arc::new(Logins::new(db.logins(), Arc::new(SystemClock), Arc::new(RandomIds)));
        let ports = LoginPorts {
            logins: logins.clone(),
            agents: db.agents(),
            may_login: BTreeSet::from([agent]),
            public_url: "https://portal.example.org".to_owned(),
        };
        let mut fixture = Fixture::with(|state| state.logins = Some(ports)).await;
        fixture.settings.limits = Limits::default();
        let proxies = vec!["10.0.0.0/8".parse().unwrap()];
        fixture.settings.clients =
            ClientAddresses::Known { proxies, header: Some(HeaderName::from_static("x-forwarded-for")) };
        Self { fixture, logins, _folder: folder }
    }

    async fn exchange(&self, client: &str, code: &str) -> Reply {
        let request = request(Method::POST, "/api/auth/exchange", "").set_json(json!({"code": code}));
        let request = request.peer_addr(PROXY.parse().unwrap()).insert_header(("x-forwarded-for", client));
        self.fixture.ask(request).await
    }

    async fn link(&self, client: &str, token: &str) -> Reply {
        let request = request(Method::POST, "/api/auth/portal-session", token).set_json(json!({"friend_id": "alice"}));
        let request = request.peer_addr(PROXY.parse().unwrap()).insert_header(("x-forwarded-for", client));
        self.fixture.ask(request).await
    }

    async fn right_code(&self) -> String {
        let recipient = Recipient::Friend(friend_id("alice"));
        let link = self.logins.create(recipient, &agent_id("main"), None, Actor::Agent(agent_id("main"))).await;
        link.unwrap().expect("an active friendship").code.reveal().to_owned()
    }
}

#[actix_web::test]
async fn guesses_of_one_address_are_limited_and_right_codes_never_refused() {
    let portal = Guarded::new().await;
    let right = portal.right_code().await;
    for guess in 0..10 {
        portal.exchange("198.51.100.1", &format!("fpl_{guess}")).await.assert_problem(401, "login-code-invalid");
    }
    let limited = portal.exchange("198.51.100.1", "fpl_10").await;
    limited.assert_problem(429, "rate-limited");
    assert_eq!(limited.header("ratelimit-policy"), Some("\"guesses\";q=10;w=60"));
    assert!(limited.header("retry-after").is_some());
    portal.exchange("198.51.100.2", "fpl_11").await.assert_problem(401, "login-code-invalid");
    let login = portal.exchange("198.51.100.1", &right).await;
    assert_eq!(login.status, 200, "a right code is never refused because others guessed: {:?}", login.bytes);
}

#[actix_web::test]
async fn wrong_agent_tokens_count_as_guesses_and_the_right_one_is_never_refused() {
    let portal = Guarded::new().await;
    for guess in 0..10 {
        let refused = portal.link("2001:db8:0:1::1", &format!("fpa_{guess}")).await;
        refused.assert_problem(401, "agent-token-invalid");
    }
    portal.link("2001:db8:0:1::2", "fpa_10").await.assert_problem(429, "rate-limited");
    portal.link("2001:db8:0:2::1", "fpa_11").await.assert_problem(401, "agent-token-invalid");
    assert_eq!(portal.link("2001:db8:0:1::1", "fpa_right").await.status, 200);
}

#[actix_web::test]
async fn where_addresses_are_not_known_nobody_is_refused_for_the_guesses_of_others() {
    let mut portal = Guarded::new().await;
    portal.fixture.settings.clients = ClientAddresses::Unknown;
    for guess in 0..30 {
        portal.exchange("198.51.100.1", &format!("fpl_{guess}")).await.assert_problem(401, "login-code-invalid");
    }
}
