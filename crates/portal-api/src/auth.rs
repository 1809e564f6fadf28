//! Who asks, told by types: a handler that takes a [`Friend`] or a [`ChosenAgent`] cannot be reached without a session.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use portal_core::{AgentId, FriendId, FriendshipKey, FriendshipStatus, Session, StoredSession, Token};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::ApiError;
use crate::limits::Limits;
use crate::state::ApiState;

/// Longest token that is looked up, in bytes; ours have 68.
const TOKEN_MAX: usize = 256;

/// The friend whose session token the request carries.
#[derive(Debug, Clone)]
pub struct Friend(Arc<StoredSession>);

impl FromRequest for Friend {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move { Self::of(&request).await }.boxed_local()
    }
}

impl Friend {
    async fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let token = bearer(request).ok_or_else(ApiError::session_missing)?;
        let session = state(request)?.sessions.check(&token).await?;
        if let Some(limits) = request.app_data::<Limits>() {
            let admitted = limits.admit(&session.friend.id, request.method().is_safe()).await?;
            request.extensions_mut().insert(admitted);
        }
        tracing::Span::current().record("friend.id", session.friend.id.as_str());
        Ok(Self(session))
    }

    /// Who it is.
    #[must_use]
    pub fn id(&self) -> &FriendId {
        &self.0.friend.id
    }

    /// What is registered of them, at most a second old.
    #[must_use]
    pub fn person(&self) -> &portal_core::Friend {
        &self.0.friend
    }

    /// Returns the friend and the session's agent.
    #[must_use]
    pub fn key(&self) -> FriendshipKey {
        self.session().key()
    }

    /// With which session they came.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.0.session
    }
}

/// The agent that a request is about: the one of `?agent=`, by default the session's. There is an active friendship
/// with it.
#[derive(Debug, Clone)]
pub struct ChosenAgent {
    /// Who asks.
    pub friend: Friend,
    /// About which agent.
    pub agent: AgentId,
}

/// Which agent an operation is about.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AgentQuery {
    /// One of the friend's agents whose status is active; by default the agent of the session.
    #[param(example = "main")]
    pub agent: Option<String>,
}

impl FromRequest for ChosenAgent {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            let friend = Friend::of(&request).await?;
            let query = web::Query::<AgentQuery>::from_query(request.query_string())
                .map_err(|error| ApiError::query_malformed(format!("The query cannot be read: {error}.")))?;
            let agent = choose(state(&request)?, &friend, query.into_inner().agent).await?;
            Ok(Self { friend, agent })
        }
        .boxed_local()
    }
}

async fn choose(state: &ApiState, friend: &Friend, wanted: Option<String>) -> Result<AgentId, ApiError> {
    let own = &friend.session().agent;
    let Some(wanted) = wanted.filter(|wanted| wanted != own.as_str()) else { return Ok(own.clone()) };
    let agent = AgentId::parse(&wanted).map_err(|_| ApiError::agent_not_found())?;
    match state.friendships.find(&FriendshipKey::new(friend.id().clone(), agent.clone())).await? {
        Some(friendship) if friendship.status == FriendshipStatus::Active => Ok(agent),
        _ => Err(ApiError::agent_not_found()),
    }
}

/// The bearer token of the one `Authorization` header (RFC 6750, section 2.1); `None` for anything else.
pub(crate) fn bearer(request: &HttpRequest) -> Option<Token> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
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
