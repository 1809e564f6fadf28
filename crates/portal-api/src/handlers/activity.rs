//! The friend's own entries of the audit log.

use actix_web::get;
use actix_web::web::{Data, Json, Query};
use portal_core::AuditFilter;

use crate::auth::Friend;
use crate::body::activity::{ACTIVITY_PAGE, ActivityItem, ActivityList, ActivityQuery};
use crate::error::{ApiError, Guarded, PROBLEM_JSON, Problem};
use crate::state::ApiState;

/// Lists changes of the friend's things, and their logins.
#[utoipa::path(tag = "friend", security(("session" = [])), params(ActivityQuery), responses(
    (status = 200, description = "The entries, newest first", body = ActivityList),
    (status = 400, description = "`before` is not a number", body = Problem, content_type = PROBLEM_JSON),
    Guarded,
))]
#[get("/api/portal/activity")]
pub(crate) async fn list_activity(
    friend: Friend,
    state: Data<ApiState>,
    query: Query<ActivityQuery>,
) -> Result<Json<ActivityList>, ApiError> {
    let own = Some(friend.id().clone());
    let filter = AuditFilter { friend: own, before: query.before, limit: ACTIVITY_PAGE, ..AuditFilter::default() };
    let records = state.audit.list(filter).await?;
    let activity = records.into_iter().map(|record| ActivityItem::new(record, friend.id())).collect();
    Ok(Json(ActivityList { activity }))
}
