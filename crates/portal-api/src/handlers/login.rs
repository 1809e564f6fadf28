//! Logging in.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, get, post};
use portal_core::{Actor, Token};

use crate::auth::{Friend, bearer};
use crate::body::login::{CreateLink, CurrentLogin, ExchangeCode, LoggedIn, LoginLinkCreated};
use crate::body::time;
use crate::error::{ApiError, Guessed, NotFound, Open, PROBLEM_JSON, Problem, TakesBody};
use crate::extract::Json;
use crate::login::looked_up;
use crate::state::ApiState;

/// Makes a login link for a friend of the agent that asks.
///
/// The agent sends the link to the friend over the conversation from which they asked. The friend's contacts are found
/// by `channel` and `address`, so that a command can be bound to the peer of its conversation.
#[utoipa::path(tag = "sessions", security(("agent" = [])), request_body = CreateLink, responses(
    (status = 200, description = "A link that works once, for 10 minutes", body = LoginLinkCreated),
    (status = 401, description = "No agent token, or an unknown one", body = Problem, content_type = PROBLEM_JSON),
    (status = 403, description = "This agent may not log friends in", body = Problem, content_type = PROBLEM_JSON),
    (status = 503, description = "The database cannot be asked", body = Problem, content_type = PROBLEM_JSON),
    NotFound,
    TakesBody,
    Guessed,
    Open,
))]
#[post("/api/auth/portal-session")]
pub(crate) async fn create_login_link(
    request: HttpRequest,
    state: Data<ApiState>,
    payload: web::Payload,
) -> Result<web::Json<LoginLinkCreated>, ApiError> {
    let ports = state.logins.as_ref().ok_or_else(ApiError::not_found)?;
    // The token comes before the body: a stranger learns nothing about what the operation takes.
    let agent = ports.authenticate(bearer(&request), &request).await?;
    let wanted = Json::<CreateLink>::read(&request, payload.into_inner()).await?.0.parse()?;
    // As if there were no such friend: an agent learns nothing about the friends of another one.
    if wanted.agent.is_some_and(|named| named != agent.id) {
        return Err(ApiError::friend_not_found());
    }
    let link = ports.logins.create(wanted.recipient, &agent.id, wanted.open, Actor::Agent(agent.id.clone())).await?;
    let link = link.ok_or_else(ApiError::friend_not_found)?;
    let (expires_in, link_expires_in) = LoginLinkCreated::SECONDS;
    let expires_at = time(state.clock.now() + portal_core::SESSION_LIFETIME);
    Ok(web::Json(LoginLinkCreated { portal_url: link.url(&ports.public_url), expires_at, expires_in, link_expires_in }))
}

/// Exchanges the code of a login link for a session.
#[utoipa::path(tag = "sessions", security(()), request_body = ExchangeCode, responses(
    (status = 200, description = "The session and its token", body = LoggedIn),
    (status = 401, description = "The code is unknown, spent or expired", body = Problem, content_type = PROBLEM_JSON),
    (status = 503, description = "The database cannot be asked", body = Problem, content_type = PROBLEM_JSON),
    TakesBody,
    Guessed,
    Open,
))]
#[post("/api/auth/exchange")]
pub(crate) async fn exchange_login_code(
    request: HttpRequest,
    state: Data<ApiState>,
    body: Json<ExchangeCode>,
) -> Result<web::Json<LoggedIn>, ApiError> {
    let ports = state.logins.as_ref().ok_or_else(ApiError::not_found)?;
    // A code of another form is looked up too, and counts as a guess like every other wrong one.
    let code = Token::presented(body.0.code);
    let login = looked_up(&request, ports.logins.exchange(&code)).await?;
    login.map(|login| web::Json(login.into())).ok_or_else(ApiError::login_code_invalid)
}

/// Shows who is logged in.
#[utoipa::path(tag = "sessions", security(("session" = [])), responses(
    (status = 200, description = "The friend and the session", body = CurrentLogin),
    crate::error::Guarded,
))]
#[get("/api/auth/me")]
pub(crate) async fn show_login(friend: Friend) -> web::Json<CurrentLogin> {
    web::Json(CurrentLogin::new(friend.session(), friend.person()))
}
