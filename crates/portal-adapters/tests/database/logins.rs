//! Login codes: spent once, within ten minutes, while the friendship is active, and never without a line in the audit
//! log.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use futures::future::join_all;
use portal_adapters::db::{Db, DbSettings};
use portal_core::{
    Action, Actor, Agent, AgentId, AuditFilter, Clock, FixedClock, Friendship, FriendshipKey, FriendshipStatus,
    LINK_LIFETIME, Logins, Recipient, SeededIds, Token,
};
use tokio::runtime::Handle;

use crate::postgres::Database;
use crate::registration::{by_root, friend_and_audit};

struct Fixture {
    db: Db,
    clock: Arc<FixedClock>,
    logins: Logins,
    key: FriendshipKey,
}

impl Fixture {
    async fn new(settings: &DbSettings) -> Self {
        let db = Db::open(settings, Handle::current()).unwrap();
        db.migrate().await.unwrap();
        let clock = Arc::new(FixedClock::new(DateTime::UNIX_EPOCH + Duration::from_hours(480_000)));
        let (alice, audit) = friend_and_audit("alice");
        let key = FriendshipKey::new(alice.id.clone(), AgentId::parse("main").unwrap());
        db.friends().create(alice, audit).await.unwrap();
        let agent = Agent { id: key.agent.clone(), created_at: clock.now() };
        let (token, audit) = (Token::presented("fpa_main").hash(), by_root(Action::AgentCreate, &key.friend));
        db.agents().create(agent, token, audit).await.unwrap();
        let logins = Logins::new(db.logins(), clock.clone(), Arc::new(SeededIds::from_seed(5)));
        let fixture = Self { db, clock, logins, key };
        fixture.befriend(FriendshipStatus::Active).await;
        fixture
    }

    async fn befriend(&self, status: FriendshipStatus) {
        let friendship = Friendship { status, ..Friendship::new(self.key.clone(), self.clock.now()) };
        let audit = by_root(Action::FriendshipSet, &self.key.friend);
        self.db.friendships().set(friendship, audit).await.unwrap();
    }

    async fn code(&self) -> Token {
        self.code_of(Actor::Agent(self.key.agent.clone())).await
    }

    async fn code_of(&self, created_by: Actor) -> Token {
        let recipient = Recipient::Friend(self.key.friend.clone());
        let link = self.logins.create(recipient, &self.key.agent, None, created_by).await.unwrap();
        link.unwrap().code
    }

    /// Exchanges the code; tells whether that logged the friend in.
    async fn logs_in(&self, code: &Token) -> bool {
        let login = self.logins.exchange(code).await.unwrap();
        let Some(login) = login else { return false };
        assert_eq!(login.issued.session.key(), self.key);
        assert!(self.db.sessions().find(&login.issued.token).await.unwrap().is_some());
        true
    }

    /// The lines about logins, oldest first, as `actor action detail`.
    async fn audited(&self) -> Vec<String> {
        let filter = AuditFilter { action: Some("session".to_owned()), limit: 100, ..AuditFilter::default() };
        let mut lines = self.db.audit_log().list(filter).await.unwrap();
        lines.reverse();
        assert!(lines.iter().all(|line| line.friend.as_ref() == Some(&self.key.friend)), "{lines:?}");
        lines.into_iter().map(|line| format!("{} {} {}", line.actor, line.action, line.detail)).collect()
    }
}

async fn a_code_logs_in_once_and_leaves_a_line_for_the_link_and_one_for_the_login(settings: &DbSettings) {
    let fixture = Fixture::new(settings).await;
    let code = fixture.code().await;
    let attempts = join_all((0..8).map(|_| fixture.logs_in(&code))).await;
    assert_eq!(attempts.into_iter().filter(|logged_in| *logged_in).count(), 1);
    assert!(!fixture.logs_in(&Token::presented("fpl_unknown")).await);
    assert_eq!(
        fixture.audited().await,
        ["agent:main session.link ", "friend:alice session.issue link of agent:main"],
        "what was refused leaves no line"
    );
}

async fn the_line_of_a_login_that_the_friend_reads_names_no_operator(settings: &DbSettings) {
    let fixture = Fixture::new(settings).await;
    let code = fixture.code_of(Actor::Operator("olga".to_owned())).await;
    assert!(fixture.logs_in(&code).await);
    let lines = fixture.audited().await;
    assert_eq!(lines, ["operator:olga session.link ", "friend:alice session.issue link of operator"]);
}

async fn a_code_is_refused_after_ten_minutes_and_where_the_friendship_has_ended(settings: &DbSettings) {
    let fixture = Fixture::new(settings).await;
    let late = fixture.code().await;
    fixture.clock.advance(LINK_LIFETIME.to_std().unwrap());
    assert!(!fixture.logs_in(&late).await);
    let blocked = fixture.code().await;
    fixture.befriend(FriendshipStatus::Blocked).await;
    assert!(!fixture.logs_in(&blocked).await);
    let (recipient, agent) = (Recipient::Friend(fixture.key.friend.clone()), &fixture.key.agent);
    let none = fixture.logins.create(recipient, agent, None, Actor::Agent(agent.clone())).await.unwrap();
    assert!(none.is_none(), "nor is there a link");
    let issued = fixture.audited().await.into_iter().filter(|line| line.contains("session.issue"));
    assert_eq!(issued.count(), 0);
}

macro_rules! tests {
    ($($promise:ident,)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", folder.path().join("portal.db").display());
                super::$promise(&super::DbSettings::new(url)).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "tier postgres"]
            async fn $promise() {
                let database = super::Database::create().await;
                super::$promise(&super::DbSettings::new(database.url())).await;
            })+
        }
    };
}

tests! {
    a_code_logs_in_once_and_leaves_a_line_for_the_link_and_one_for_the_login,
    the_line_of_a_login_that_the_friend_reads_names_no_operator,
    a_code_is_refused_after_ten_minutes_and_where_the_friendship_has_ended,
}
