//! Putting a service on the internet, and taking it off again.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Path};
use actix_web::{delete, post};
use portal_core::Actor;
use portal_dns::{DnsError, ExposureName, Status};

use crate::auth::Friend;
use crate::body::exposure::{ExposeService, ExposureBody};
use crate::error::{ApiError, Guarded, NotFound, PROBLEM_JSON, Problem, TakesBody};
use crate::extract::Json;
use crate::state::ApiState;

/// What is answered: the exposure as far as the portal has got, and the status that says how far.
type Answer = (web::Json<ExposureBody>, StatusCode);

/// Puts a Service of the friend's namespace on the internet under `<name>-<friend>.<domain>`.
///
/// Asked again with other values it changes the exposure in place, without a gap. What is stored and not finished
/// within a few seconds is finished by the portal on its own; look at the namespace to see how far it is.
#[utoipa::path(tag = "namespace", security(("session" = [])), request_body = ExposeService, responses(
    (status = 201, description = "It is new, and on the internet", body = ExposureBody),
    (status = 200, description = "It was there; it stands as asked for now", body = ExposureBody),
    (status = 202, description = "It is stored and not finished; `reason` says why", body = ExposureBody),
    (status = 404, description = "The namespace, or the Service in it, does not exist", body = Problem, content_type = PROBLEM_JSON),
    (status = 409, description = "The hostname is taken, or the friend has as many exposures as they may have",
        body = Problem, content_type = PROBLEM_JSON),
    TakesBody,
    Guarded,
))]
#[post("/api/portal/namespace/expose")]
pub(crate) async fn expose_service(
    friend: Friend,
    state: Data<ApiState>,
    Json(body): Json<ExposeService>,
) -> Result<Answer, ApiError> {
    let wanted = body.parse()?;
    let opened = state.exposures.open(friend.id(), wanted, Actor::Friend(friend.id().clone())).await?;
    let status = match (opened.exposure.status, opened.is_new) {
        (Status::Active, true) => StatusCode::CREATED,
        (Status::Active, false) => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    Ok((web::Json(ExposureBody::from(&opened.exposure)), status))
}

/// Takes an exposure off the internet.
#[utoipa::path(tag = "namespace", security(("session" = [])),
    params(("name" = String, Path, description = "The exposure's name", example = "my-app")),
    responses(
        (status = 200, description = "It is gone, with every trace", body = ExposureBody),
        (status = 202, description = "Its removal is under way; `reason` says what it waits for", body = ExposureBody),
        NotFound,
        Guarded,
))]
#[delete("/api/portal/namespace/expose/{name}")]
pub(crate) async fn remove_exposure(
    friend: Friend,
    state: Data<ApiState>,
    name: Path<String>,
) -> Result<Answer, ApiError> {
    // What cannot be a name is not there either.
    let name = ExposureName::parse(&name).map_err(|_| DnsError::ExposureNotFound { name: name.into_inner() })?;
    let exposure = state.exposures.close(friend.id(), &name, Actor::Friend(friend.id().clone())).await?;
    let status = if exposure.status == Status::Removed { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((web::Json(ExposureBody::from(&exposure)), status))
}
