//! The friend's namespace.

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use futures::try_join;

use crate::auth::Friend;
use crate::body::namespace::Namespace;
use crate::conditional::Conditions;
use crate::error::{ApiError, Guarded, PROBLEM_JSON, Problem};
use crate::params::IfNoneMatch;
use crate::state::ApiState;

/// A browser may keep it, and asks each time whether it is still so.
static CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-cache");
/// Ready made, as the tag and the body are: texts would be checked and copied for each answer.
static JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Shows the friend's namespace: pods, services, deployments, quota, routes and exposures.
///
/// The answer is as the cluster was at most `max_staleness_seconds` ago, 30 unless configured; an empty list means that
/// there is nothing. Send the `ETag` back in `If-None-Match` to hear whether anything has changed.
#[utoipa::path(tag = "namespace", security(("session" = [])),
    params(IfNoneMatch),
    responses(
        (status = 200, description = "The namespace", body = Namespace,
            headers(("ETag" = String, description = "Changes exactly when what is shown changes"))),
        (status = 304, description = "What the caller has is still so"),
        (status = 400, description = "If-None-Match cannot be read", body = Problem, content_type = PROBLEM_JSON),
        Guarded,
))]
#[get("/api/portal/namespace")]
pub(crate) async fn show_namespace(
    friend: Friend,
    state: Data<ApiState>,
    conditions: Conditions,
) -> Result<HttpResponse, ApiError> {
    let (overview, exposures) = try_join!(state.cluster.overview(friend.id()), state.exposures.snapshot(friend.id()))?;
    let reachable = state.reachability.of(&exposures);
    let view = state.namespaces.view(friend.id(), overview, exposures, reachable).await?;
    let is_known = conditions.has(&view.tag);
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::ETAG, view.etag.clone()))
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL.clone()));
    if is_known {
        return Ok(response.finish());
    }
    Ok(response.content_type(JSON.clone()).body(view.bytes.clone()))
}
