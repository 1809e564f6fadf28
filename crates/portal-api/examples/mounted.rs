//! Mounts the portal in an application of one's own, with a middleware, operations and accounts of its own.
//!
//! `cargo run -p portal-api --example mounted`, then
//! `curl -H 'Authorization: Bearer carol-at-the-library' http://127.0.0.1:8080/api/portal/books`.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{Data, Json, ServiceConfig, scope};
use actix_web::{App, HttpServer, get, post};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use portal_adapters::db::{Db, DbSettings};
use portal_adapters::memory::{MemoryCluster, MemoryFiles, MemoryRecords};
use portal_adapters::{RandomIds, SystemClock};
use portal_api::{ApiError, ApiPorts, ApiState, Code, Friend, Settings, authentication, configure_with};
use portal_core::{
    Action, Actor, Agent, AgentId, AuditEntry, BackendError, Clock, FriendId, FriendSettings, FriendshipStatus, Ids,
    RegisteredAccounts, Session, SessionState, SessionStore, Sessions, StoredSession, Token, TokenHash, TokenKind,
};
use portal_cron::{EmbeddedEngine, Engines, Jobs, Messages, SessionKeys, TimeZones};
use portal_dns::{Domain, DomainName, ExposurePorts, Exposures, InstanceId, Reachability, Target, Zone};
use portal_workspace::{DocumentPorts, Documents};
use serde::Serialize;
use tokio::runtime::Handle;

/// The token of the only account.
pub const TOKEN: &str = "carol-at-the-library";
const AGENT: &str = "main";
const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: my-app}, spec: {ports: [{port: 80}]}}";

/// A kind of failure of our own.
static SHELF_FULL: Code = Code::new("shelf-full", StatusCode::CONFLICT, "The shelf is full");
/// Another one, of which the cause belongs in the log.
static CATALOGUE_LOST: Code = Code::new("catalogue-lost", StatusCode::SERVICE_UNAVAILABLE, "There is no catalogue");

/// Books that a friend has lent.
#[derive(Serialize)]
struct Books {
    reader: String,
    books: Vec<&'static str>,
}

/// An operation among the portal's own: it is under `/api/portal/`, so it needs a session.
#[get("/api/portal/books")]
async fn list_books(friend: Friend) -> Json<Books> {
    Json(Books { reader: friend.person().shown_name(), books: vec!["Momo"] })
}

/// An operation in a scope of our own.
#[post("/books")]
async fn lend_book(friend: Friend) -> Result<Json<Books>, ApiError> {
    Err(ApiError::new(&SHELF_FULL, format!("{} has three books; bring one back first.", friend.id())))
}

/// An operation that fails for a reason that is nobody's business.
#[get("/catalogue")]
async fn show_catalogue(_: Friend) -> Result<Json<Books>, ApiError> {
    Err(ApiError::new(&CATALOGUE_LOST, "The catalogue is not available.").with_cause("sesame is not a password"))
}

/// A middleware of our own, around everything.
///
/// # Errors
/// Errors of the application.
pub async fn name_the_house<B>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, actix_web::Error> {
    let mut response = next.call(request).await?;
    response.headers_mut().insert(HeaderName::from_static("x-house"), HeaderValue::from_static("library"));
    Ok(response)
}

/// Mounts our scope and the portal. The portal comes last: it answers what nobody else takes.
pub fn mount(config: &mut ServiceConfig, state: &Data<ApiState>) {
    let library = scope("/library").wrap(authentication(state.sessions.clone()));
    config.service(library.service(lend_book).service(show_catalogue));
    configure_with(config, state, &Settings::default(), |own| {
        own.service(list_books);
    });
}

/// Accounts that live elsewhere: here, in a map of tokens.
struct Library(BTreeMap<&'static str, FriendId>);

#[async_trait]
impl SessionStore for Library {
    async fn issue(&self, _: Session, _: TokenHash, _: AuditEntry) -> Result<bool, BackendError> {
        Ok(false)
    }

    async fn find(&self, token: &Token) -> Result<Option<StoredSession>, BackendError> {
        let Some(friend) = self.0.get(token.reveal()) else { return Ok(None) };
        let Ok(agent) = AgentId::parse(AGENT) else { return Ok(None) };
        let (created_at, expires_at) = (DateTime::UNIX_EPOCH, SystemClock.now() + TimeDelta::hours(1));
        let session = Session {
            id: format!("library-{friend}"),
            friend: friend.clone(),
            agent,
            created_at,
            expires_at,
            origin: None,
        };
        let friend = portal_core::Friend::new(friend.clone(), created_at);
        let friendship = Some(FriendshipStatus::Active);
        Ok(Some(StoredSession { session, state: SessionState::Valid, friendship, friend }))
    }

    async fn extend(&self, _: &str, _: DateTime<Utc>) -> Result<(), BackendError> {
        Ok(())
    }

    async fn list(&self, _: &FriendId, _: DateTime<Utc>) -> Result<Vec<Session>, BackendError> {
        Ok(Vec::new())
    }

    async fn revoke(&self, _: &FriendId, _: &str, _: AuditEntry) -> Result<bool, BackendError> {
        Ok(false)
    }

    async fn revoke_all(&self, _: &FriendId, _: AuditEntry) -> Result<u64, BackendError> {
        Ok(0)
    }

    async fn sweep(&self, _: DateTime<Utc>) -> Result<u64, BackendError> {
        Ok(0)
    }
}

/// Puts a portal together: its database in `folder`, a cluster and a zone in memory.
///
/// # Errors
/// The database cannot be opened or migrated.
pub async fn portal(folder: &Path) -> Result<ApiState, Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds);
    let db = Db::open(&DbSettings::new(format!("sqlite:{}", folder.join("portal.db").display())), Handle::current())?;
    db.migrate().await?;
    let operator = Actor::Operator("library".to_owned());
    let audit = AuditEntry::new(clock.now(), operator, Action::AgentCreate).with_subject(AGENT);
    let agent = Agent { id: AgentId::parse(AGENT)?, created_at: clock.now() };
    db.agents().create(agent, Token::generate(TokenKind::Agent, &*ids).hash(), audit).await?;

    let carol = FriendId::parse("carol")?;
    let cluster = MemoryCluster::new(clock.clone());
    cluster.load_yaml("service", SERVICE, &carol.namespace())?;
    let accounts = RegisteredAccounts {
        accounts: Arc::new(Library(BTreeMap::from([(TOKEN, carol)]))),
        friends: db.friends(),
        friendships: db.friendships(),
        clock: clock.clone(),
    };
    let cluster = Arc::new(cluster);
    Ok(ApiState::new(ApiPorts {
        sessions: Arc::new(Sessions::new(Arc::new(accounts), clock.clone(), ids.clone())),
        friendships: db.friendships(),
        settings: FriendSettings::new(db.friends(), clock.clone()),
        audit: db.audit_log(),
        changes: db.changes(),
        exposures: exposures(&db, &cluster, &clock, &ids).await?,
        reachability: Reachability::new(None, clock.clone(), Handle::current()),
        cluster,
        jobs: Arc::new(jobs(&db, &clock, &ids)),
        messages: Arc::new(Messages::new(db.messages(), keys(&db), clock.clone(), ids.clone())),
        documents: Documents::new(DocumentPorts {
            files: Arc::new(MemoryFiles::new(clock.clone())),
            store: db.documents(),
            versions: db.versions(),
            friendships: db.friendships(),
            clock: clock.clone(),
            ids: ids.clone(),
        }),
        clock,
        ids,
    }))
}

async fn exposures(
    db: &Db,
    cluster: &Arc<MemoryCluster>,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
) -> Result<Exposures, Box<dyn Error>> {
    let ports = ExposurePorts::new(db.exposures(), cluster.clone(), cluster.clone(), clock.clone(), ids.clone());
    let name = DomainName::parse("your-domain.net")?;
    let domain = Domain::new(name.clone(), Target::Cname(DomainName::parse("tunnel.example.net")?));
    let zone = Zone { domain, records: Arc::new(MemoryRecords::new(name)) };
    let instance = InstanceId::parse(&db.instance(&**ids).await?)?;
    Ok(Exposures::new(ports, instance, vec![zone], Handle::current()))
}

fn jobs(db: &Db, clock: &Arc<dyn Clock>, ids: &Arc<dyn Ids>) -> Jobs {
    let engine = EmbeddedEngine::new(db.jobs(), TimeZones::bundled(), clock.clone(), ids.clone());
    Jobs::new(Engines::new(Arc::new(engine)), keys(db), TimeZones::bundled(), clock.clone())
}

fn keys(db: &Db) -> Arc<SessionKeys> {
    Arc::new(SessionKeys::new(db.contacts(), db.friends(), Vec::new()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let state = Data::new(portal(folder.path()).await?);
    let app = move || App::new().wrap(from_fn(name_the_house)).configure(|config| mount(config, &state));
    HttpServer::new(app).bind(("127.0.0.1", 8080))?.run().await?;
    Ok(())
}
