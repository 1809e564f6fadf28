//! Scheduled messages to the agent.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, LOCATION};
use actix_web::web::{Data, Json, Path};
use actix_web::{CustomizeResponder, Responder, delete, get, post};
use portal_core::{Actor, FriendshipKey};

use crate::auth::{AgentQuery, ChosenAgent};
use crate::body::Done;
use crate::body::cron::{CreateJob, JobItem, JobList, RunItem, RunList, RunStarted, ToggleJob};
use crate::error::{ApiError, Guarded, PROBLEM_JSON, Problem, TakesAgent, TakesBody};
use crate::extract;
use crate::state::ApiState;

/// Lists the friend's jobs with the agent.
#[utoipa::path(tag = "crons", security(("session" = [])), params(AgentQuery), responses(
    (status = 200, description = "The jobs, sorted by name", body = JobList),
    TakesAgent,
    Guarded,
))]
#[get("/api/portal/workspace/crons")]
pub(crate) async fn list_jobs(chosen: ChosenAgent, state: Data<ApiState>) -> Result<Json<JobList>, ApiError> {
    let jobs = state.jobs.list(&owner(&chosen)).await?;
    Ok(Json(JobList { jobs: jobs.into_iter().map(JobItem::from).collect() }))
}

/// Creates a job: a message to the agent that is due again and again.
#[utoipa::path(tag = "crons", security(("session" = [])), params(AgentQuery), request_body = CreateJob, responses(
    (status = 201, description = "The job", body = JobItem, headers(("Location" = String, description = "Where the job is changed"))),
    (status = 403, description = "The session is not the friend's own", body = Problem, content_type = PROBLEM_JSON),
    (status = 409, description = "The name is taken, or the friend has as many jobs as they may have", body = Problem, content_type = PROBLEM_JSON),
    TakesAgent,
    TakesBody,
    Guarded,
))]
#[post("/api/portal/workspace/crons")]
pub(crate) async fn create_job(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    body: extract::Json<CreateJob>,
) -> Result<CustomizeResponder<Json<JobItem>>, ApiError> {
    let job = state.jobs.create(&owner(&chosen), body.0.parse()?, actor(&chosen)).await?;
    let place = location(&chosen, job.spec.name.as_str());
    Ok(Json(JobItem::from(job)).customize().with_status(StatusCode::CREATED).insert_header(place))
}

/// Deletes a job with its runs.
#[utoipa::path(tag = "crons", security(("session" = [])), params(
    ("name" = String, Path, description = "The job's exact name, else its id", example = "daily-check"), AgentQuery,
), responses(
    (status = 200, description = "It is gone", body = Done),
    TakesAgent,
    Guarded,
))]
#[delete("/api/portal/workspace/crons/{name}")]
pub(crate) async fn delete_job(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    name: Path<String>,
) -> Result<Json<Done>, ApiError> {
    state.jobs.remove(&owner(&chosen), &name, actor(&chosen)).await?;
    Ok(Json(Done::YES))
}

/// Runs a job now, whether it is enabled or not.
#[utoipa::path(tag = "crons", security(("session" = [])), params(
    ("name" = String, Path, description = "The job's exact name, else its id", example = "daily-check"), AgentQuery,
), responses(
    (status = 202, description = "The run is stored and will be begun", body = RunStarted),
    (status = 409, description = "An earlier run has not ended", body = Problem, content_type = PROBLEM_JSON),
    TakesAgent,
    Guarded,
))]
#[post("/api/portal/workspace/crons/{name}/run")]
pub(crate) async fn run_job(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    name: Path<String>,
) -> Result<(Json<RunStarted>, StatusCode), ApiError> {
    let run_id = state.jobs.run(&owner(&chosen), &name, actor(&chosen)).await?;
    Ok((Json(RunStarted { ok: true, run_id }), StatusCode::ACCEPTED))
}

/// Enables or disables a job.
#[utoipa::path(tag = "crons", security(("session" = [])), request_body = ToggleJob, params(
    ("name" = String, Path, description = "The job's exact name, else its id", example = "daily-check"), AgentQuery,
), responses(
    (status = 200, description = "It is as was asked", body = Done),
    TakesAgent,
    TakesBody,
    Guarded,
))]
#[post("/api/portal/workspace/crons/{name}/toggle")]
pub(crate) async fn toggle_job(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    name: Path<String>,
    body: extract::Json<ToggleJob>,
) -> Result<Json<Done>, ApiError> {
    state.jobs.toggle(&owner(&chosen), &name, body.0.enabled, actor(&chosen)).await?;
    Ok(Json(Done::YES))
}

/// Lists what became of a job's instants.
#[utoipa::path(tag = "crons", security(("session" = [])), params(
    ("name" = String, Path, description = "The job's exact name, else its id", example = "daily-check"), AgentQuery,
), responses(
    (status = 200, description = "The runs, newest first", body = RunList),
    TakesAgent,
    Guarded,
))]
#[get("/api/portal/workspace/crons/{name}/runs")]
pub(crate) async fn list_runs(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    name: Path<String>,
) -> Result<Json<RunList>, ApiError> {
    let runs = state.jobs.runs(&owner(&chosen), &name).await?;
    Ok(Json(RunList { runs: runs.into_iter().map(RunItem::from).collect() }))
}

fn owner(chosen: &ChosenAgent) -> FriendshipKey {
    FriendshipKey { friend: chosen.friend.id().clone(), agent: chosen.agent.clone() }
}

fn actor(chosen: &ChosenAgent) -> Actor {
    Actor::Friend(chosen.friend.id().clone())
}

/// Where the job is changed. Of what a name may hold only the space has to be escaped.
fn location(chosen: &ChosenAgent, name: &str) -> (HeaderName, String) {
    let path = format!("/api/portal/workspace/crons/{}", name.replace(' ', "%20"));
    let is_default = chosen.agent == chosen.friend.session().agent;
    (LOCATION, if is_default { path } else { format!("{path}?agent={}", chosen.agent) })
}
