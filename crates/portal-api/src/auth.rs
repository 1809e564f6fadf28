//! Authentication: a middleware finds the session, and extractors hand it to operations.
//!
//! 1. [`authentication`] reads the bearer token, looks the session up and puts it into the request's extensions. It runs
//!    before anything of the request is read, so that 401 comes before every other refusal.
//! 2. [`Friend`] takes the session from the extensions; without the middleware it answers 500, never somebody's data.
//! 3. [`ChosenAgent`] also asks whether the friend has an active friendship with the agent of `?agent=`.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::{Method, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use portal_core::{Actor, AgentId, FriendId, FriendshipKey, FriendshipStatus, Session, Sessions, StoredSession, Token};
use serde::Deserialize;

use crate::error::ApiError;
use crate::extract::clip;
use crate::limits::Limits;
use crate::state::ApiState;

/// Longest token that is looked up, in bytes; ours have 68.
const TOKEN_MAX: usize = 256;
/// Start of the paths behind a session in the portal's own scope.
const PROTECTED: &str = "/api/portal/";
/// The one operation beside them that needs a session too.
const CURRENT_LOGIN: &str = "/api/auth/me";

/// Creates the authentication middleware for a scope of your own, in which [`Friend`] and [`ChosenAgent`] can be used.
///
/// Every request to the scope needs a valid session. [`ChosenAgent`] also needs the scope's application to have
/// [`ApiState`] as its data.
#[must_use]
pub fn authentication<S, B>(
    sessions: Arc<Sessions>,
) -> impl Transform<S, ServiceRequest, Response = ServiceResponse<EitherBody<B>>, Error = Error, InitError = ()>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    from_fn(move |request: ServiceRequest, next: Next<B>| {
        let sessions = sessions.clone();
        async move {
            match authenticate(&sessions, None, request).await {
                Ok(request) => next.call(request).await.map(ServiceResponse::map_into_left_body),
                Err(refusal) => Ok(refusal.map_into_right_body()),
            }
        }
    })
}

/// Authenticates a request to the portal's own scope, unless it is to one of the open addresses (health, documentation),
/// which lie beside [`PROTECTED`]. A refusal is an answer, not an error, so that all middlewares treat it as any other.
pub(crate) async fn authenticate_portal(
    sessions: &Sessions,
    limits: &Limits,
    request: ServiceRequest,
) -> Result<ServiceRequest, ServiceResponse> {
    // The path as the router sees it: `%70ortal` is `portal`, here as there.
    let path = request.match_info().unprocessed();
    let is_protected = path.starts_with(PROTECTED) || path == CURRENT_LOGIN;
    // A browser asks with OPTIONS whether another origin may send the token, and so without it.
    if is_protected && request.method() != Method::OPTIONS {
        return authenticate(sessions, Some(limits), request).await;
    }
    Ok(request)
}

async fn authenticate(
    sessions: &Sessions,
    limits: Option<&Limits>,
    request: ServiceRequest,
) -> Result<ServiceRequest, ServiceResponse> {
    match admit(sessions, limits, request.request()).await {
        Ok(session) => {
            request.extensions_mut().insert(session);
            Ok(request)
        }
        Err(refusal) => Err(request.error_response(refusal)),
    }
}

/// Finds the session, then counts the request against its friend's limits: a wrong token is 401, never 429.
async fn admit(
    sessions: &Sessions,
    limits: Option<&Limits>,
    request: &HttpRequest,
) -> Result<Arc<StoredSession>, ApiError> {
    let token = bearer(request).ok_or_else(ApiError::session_missing)?;
    let session = sessions.check(&token).await?;
    // Before the limits, so that the line about a refusal names the friend.
    tracing::Span::current().record("friend.id", session.friend.id.as_str());
    if let Some(limits) = limits {
        let admitted = limits.admit(&session.friend.id, request.method().is_safe()).await?;
        if admitted.is_counted() {
            request.extensions_mut().insert(admitted);
        }
    }
    Ok(session)
}

/// The friend whose session token the request carries.
#[derive(Debug, Clone)]
pub struct Friend(Arc<StoredSession>);

impl FromRequest for Friend {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

impl Friend {
    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let session = request.extensions().get::<Arc<StoredSession>>().cloned();
        session.map(Self).ok_or_else(|| ApiError::internal("the authentication middleware is not mounted here"))
    }

    /// Returns the friend's id.
    #[must_use]
    pub fn id(&self) -> &FriendId {
        &self.0.friend.id
    }

    /// Returns what is registered of the friend, at most a second old.
    #[must_use]
    pub fn person(&self) -> &portal_core::Friend {
        &self.0.friend
    }

    /// Returns the friend as the one who acts, for the audit log.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Friend(self.id().clone())
    }

    /// Returns the friend and the session's agent.
    #[must_use]
    pub fn key(&self) -> FriendshipKey {
        self.session().key()
    }

    /// Returns the session of the token.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0.session
    }
}

/// The agent that a request is about: the one of `?agent=`, by default the session's. The friend has an active
/// friendship with it.
#[derive(Debug, Clone)]
pub struct ChosenAgent {
    /// The friend whose session it is.
    pub friend: Friend,
    /// The agent.
    pub agent: AgentId,
}

impl ChosenAgent {
    /// Returns the friend and the chosen agent.
    #[must_use]
    pub fn key(&self) -> FriendshipKey {
        FriendshipKey::new(self.friend.id().clone(), self.agent.clone())
    }
}

#[derive(Debug, Deserialize)]
struct Query {
    agent: Option<String>,
}

impl FromRequest for ChosenAgent {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            let friend = Friend::of(&request)?;
            let query = web::Query::<Query>::from_query(request.query_string()).map_err(|error| {
                ApiError::query_malformed(format!("The query cannot be read: {}.", clip(&error.to_string())))
            })?;
            let agent = choose(state(&request)?, &friend, query.into_inner().agent).await?;
            Ok(Self { friend, agent })
        }
        .boxed_local()
    }
}

async fn choose(state: &ApiState, friend: &Friend, wanted: Option<String>) -> Result<AgentId, ApiError> {
    let own = &friend.session().agent;
    // The session was found with the friendship of its own agent, so this one needs no query.
    let Some(wanted) = wanted.filter(|wanted| wanted != own.as_str()) else { return Ok(own.clone()) };
    // What is no id is an agent that the friend does not have, like any other.
    let agent = AgentId::parse(&wanted).map_err(|_| ApiError::agent_not_found())?;
    match state.friendships.find(&FriendshipKey::new(friend.id().clone(), agent.clone())).await? {
        Some(friendship) if friendship.status == FriendshipStatus::Active => Ok(agent),
        _ => Err(ApiError::agent_not_found()),
    }
}

/// Returns the bearer token of the one `Authorization` header (RFC 6750, section 2.1); `None` for anything else.
pub(crate) fn bearer(request: &HttpRequest) -> Option<Token> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    // Two headers could mean two people, and programs differ in which of them they take.
    let (value, None) = (headers.next()?, headers.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let plain = !token.is_empty() && token.len() <= TOKEN_MAX && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && plain).then(|| Token::presented(token))
}

fn state(request: &HttpRequest) -> Result<&ApiState, ApiError> {
    request
        .app_data::<web::Data<ApiState>>()
        .map(|state| state.as_ref())
        .ok_or_else(|| ApiError::internal("the state is not mounted"))
}
