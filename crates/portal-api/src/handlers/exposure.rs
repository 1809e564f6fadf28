//! Exposes services, shows exposures and removes them.

use std::slice;

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data, Path, Query};
use actix_web::{HttpResponse, delete, get, post};
use portal_dns::{DnsError, ExposureName, Status};

use crate::auth::Friend;
use crate::body::exposure::{ExposeConditions, ExposeOptions, ExposeService, Exposure, Exposures};
use crate::conditional::{Conditions, EntityTags};
use crate::error::{ApiError, Guarded, NotFound, PROBLEM_JSON, Problem, TakesBody};
use crate::extract::Json;
use crate::state::ApiState;

/// Exposes a Service of the friend's namespace under `<name>-<friend>.<domain>`.
///
/// A second request with other values changes the exposure in place, without a gap, unless `If-None-Match: *` forbids
/// it. If the work is not finished within a few seconds, the portal finishes it by itself; `GET` the exposure to follow
/// its steps. With `dry_run=true` the request is checked and answered with the exposure that it would make; nothing is
/// stored, and neither zone nor routes are looked at.
#[utoipa::path(tag = "namespace", security(("session" = [])), request_body = ExposeService,
    params(ExposeOptions, ExposeConditions),
    responses(
        (status = 201, description = "The exposure is new and active", body = Exposure,
            headers(("Location" = String, description = "Path of the exposure"))),
        (status = 200, description = "The exposure existed and is active as requested; or a dry run that found nothing wrong", body = Exposure),
        (status = 202, description = "The request is stored and not finished; `reason` says why", body = Exposure),
        (status = 404, description = "The namespace, or the Service in it, does not exist", body = Problem, content_type = PROBLEM_JSON),
        (status = 409, description = "The hostname is taken, or the friend has as many exposures as allowed, or removed too many within a day",
            body = Problem, content_type = PROBLEM_JSON),
        (status = 412, description = "An exposure of this name exists, and `If-None-Match: *` was sent",
            body = Problem, content_type = PROBLEM_JSON),
        TakesBody,
        Guarded,
))]
#[post("/api/portal/namespace/expose")]
pub(crate) async fn expose_service(
    friend: Friend,
    state: Data<ApiState>,
    options: Query<ExposeOptions>,
    conditions: Conditions,
    Json(body): Json<ExposeService>,
) -> Result<HttpResponse, ApiError> {
    let mut wanted = body.parse()?;
    wanted.only_if_absent = only_if_absent(&conditions)?;
    if options.dry_run {
        let preview = state.exposures.preview(friend.id(), wanted).await?;
        return Ok(HttpResponse::Ok().json(Exposure::preview(&preview)));
    }
    let opened = state.exposures.open(friend.id(), wanted, friend.actor()).await?;
    let body = Exposure::from(&opened.exposure);
    Ok(match (opened.exposure.status, opened.is_new) {
        (Status::Active, true) => {
            let location = format!("/api/portal/namespace/expose/{}", opened.exposure.name);
            HttpResponse::Created().insert_header((header::LOCATION, location)).json(body)
        }
        (Status::Active, false) => HttpResponse::Ok().json(body),
        // Stored, and not yet as requested: the portal goes on with it after this answer.
        _ => HttpResponse::Accepted().json(body),
    })
}

/// Lists the friend's exposures, sorted by name.
#[utoipa::path(tag = "namespace", security(("session" = [])), responses(
    (status = 200, description = "The exposures, also those that are not finished or are being removed", body = Exposures),
    Guarded,
))]
#[get("/api/portal/namespace/expose")]
pub(crate) async fn list_exposures(friend: Friend, state: Data<ApiState>) -> Result<web::Json<Exposures>, ApiError> {
    let exposures = state.exposures.list(friend.id()).await?;
    let reachable = state.reachability.of(&exposures);
    let known = exposures.iter().zip(reachable);
    Ok(web::Json(Exposures { exposures: known.map(|(exposure, known)| Exposure::new(exposure, known)).collect() }))
}

/// Shows an exposure.
#[utoipa::path(tag = "namespace", security(("session" = [])),
    params(("name" = String, Path, description = "The exposure's name", example = "my-app")),
    responses((status = 200, description = "The exposure", body = Exposure), NotFound, Guarded))]
#[get("/api/portal/namespace/expose/{name}")]
pub(crate) async fn show_exposure(
    friend: Friend,
    state: Data<ApiState>,
    name: Path<String>,
) -> Result<web::Json<Exposure>, ApiError> {
    let name = parse_name(name)?;
    let found = state.exposures.find(friend.id(), &name).await?;
    let found = found.ok_or_else(|| DnsError::ExposureNotFound { name: name.to_string() })?;
    // Of one exposure there is one answer.
    let reachable = state.reachability.of(slice::from_ref(&found)).pop().unwrap_or_default();
    Ok(web::Json(Exposure::new(&found, reachable)))
}

/// Removes an exposure.
#[utoipa::path(tag = "namespace", security(("session" = [])),
    params(("name" = String, Path, description = "The exposure's name", example = "my-app")),
    responses(
        (status = 200, description = "Every trace of it is gone", body = Exposure),
        (status = 202, description = "Its removal is under way; `reason` says what it waits for", body = Exposure),
        NotFound,
        Guarded,
))]
#[delete("/api/portal/namespace/expose/{name}")]
pub(crate) async fn remove_exposure(
    friend: Friend,
    state: Data<ApiState>,
    name: Path<String>,
) -> Result<(web::Json<Exposure>, StatusCode), ApiError> {
    let name = parse_name(name)?;
    let exposure = state.exposures.close(friend.id(), &name, friend.actor()).await?;
    let status = if exposure.status == Status::Removed { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((web::Json(Exposure::from(&exposure)), status))
}

/// Parses a name from a path. No exposure has a name that is not well-formed.
fn parse_name(name: Path<String>) -> Result<ExposureName, DnsError> {
    ExposureName::parse(&name).map_err(|_| DnsError::ExposureNotFound { name: name.into_inner() })
}

/// Exposures have no entity tags, so `*` is the only condition that can be met.
fn only_if_absent(conditions: &Conditions) -> Result<bool, ApiError> {
    match (&conditions.if_match, &conditions.if_none_match) {
        (None, None) => Ok(false),
        (None, Some(EntityTags::Any)) => Ok(true),
        _ => Err(ApiError::header_malformed(
            "If-None-Match",
            "If-None-Match of this operation must be `*`, and If-Match must not be sent.",
        )),
    }
}
