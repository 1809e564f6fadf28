//! Scheduled messages to the agent.

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderName, LOCATION};
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{CustomizeResponder, Responder, delete, get, patch, post};
use portal_cron::JobPatch;

use crate::auth::ChosenAgent;
use crate::body::Acknowledgement;
use crate::body::cron::{
    CreateJob, Job, JobList, JobPreview, PatchJob, PreviewJob, Run, RunList, RunPage, RunStarted, SendMessage,
    ToggleJob,
};
use crate::conditional::{Conditions, EntityTag, EntityTags};
use crate::error::{ApiError, ChangesJob, Guarded, PROBLEM_JSON, Problem, TakesAgent, TakesBody};
use crate::extract;
use crate::params::{AgentQuery, BeforeRun, IfRevision};
use crate::state::ApiState;

/// Lists the friend's jobs with the agent.
#[utoipa::path(tag = "crons", security(("session" = [])), params(AgentQuery), responses(
    (status = 200, description = "The jobs, sorted by name", body = JobList),
    TakesAgent,
    Guarded,
))]
#[get("/api/portal/workspace/crons")]
pub(crate) async fn list_jobs(chosen: ChosenAgent, state: Data<ApiState>) -> Result<Json<JobList>, ApiError> {
    let jobs = state.jobs.list(&chosen.key()).await?;
    Ok(Json(JobList { jobs: jobs.into_iter().map(Job::from).collect() }))
}

/// Creates a job: a message to the agent at fire times to come.
#[utoipa::path(tag = "crons", security(("session" = [])), params(AgentQuery), request_body = CreateJob, responses(
    (status = 201, description = "The job", body = Job, headers(
        ("Location" = String, description = "Path of the job"),
        ("ETag" = String, description = "The job's revision"),
    )),
    (status = 403, description = "The session is not the friend's own", body = Problem, content_type = PROBLEM_JSON),
    (status = 409, description = "The name is taken, the friend has 50 jobs, or the agent's gateway is too old", body = Problem, content_type = PROBLEM_JSON),
    TakesAgent,
    TakesBody,
    Guarded,
))]
#[post("/api/portal/workspace/crons")]
pub(crate) async fn create_job(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    body: extract::Json<CreateJob>,
) -> Result<CustomizeResponder<Json<Job>>, ApiError> {
    let draft = body.0.parse(chosen.friend.person().time_zone.as_deref())?;
    let job = state.jobs.create(&chosen.key(), draft, chosen.friend.actor()).await?;
    let place = location(&chosen, job.spec.name.as_str());
    Ok(tagged(job)?.with_status(StatusCode::CREATED).insert_header(place))
}

/// Names the next fire times of a timing, as a job created now would have them. Nothing is stored.
#[utoipa::path(tag = "crons", security(("session" = [])), params(AgentQuery), request_body = PreviewJob, responses(
    (status = 200, description = "The fire times", body = JobPreview),
    TakesAgent,
    TakesBody,
    Guarded,
))]
#[post("/api/portal/workspace/crons/preview")]
pub(crate) async fn preview_job(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    body: extract::Json<PreviewJob>,
) -> Result<Json<JobPreview>, ApiError> {
    // As a job that is created without a zone gets it.
    let tz = body.0.tz.clone().or_else(|| chosen.friend.person().time_zone.clone());
    let (timing, count) = body.0.parse()?;
    Ok(Json(state.jobs.preview(timing, tz.as_deref(), count)?.into()))
}

/// Shows a job.
#[utoipa::path(tag = "crons", security(("session" = [])), params(
    ("name" = String, Path, description = "The job's exact name, else its id", example = "daily-check"), AgentQuery,
), responses(
    (status = 200, description = "The job", body = Job, headers(("ETag" = String, description = "The job's revision"))),
    TakesAgent,
    Guarded,
))]
#[get("/api/portal/workspace/crons/{name}")]
pub(crate) async fn show_job(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    name: Path<String>,
) -> Result<CustomizeResponder<Json<Job>>, ApiError> {
    tagged(state.jobs.find(&chosen.key(), &name).await?)
}

/// Changes parts of a job. A new timing takes effect at once; everything else with the next run.
#[utoipa::path(tag = "crons", security(("session" = [])), request_body = PatchJob, params(
    ("name" = String, Path, description = "The job's exact name, else its id", example = "daily-check"), AgentQuery,
    IfRevision,
), responses(
    (status = 200, description = "The job as it is now", body = Job, headers(("ETag" = String, description = "The job's revision"))),
    (status = 412, description = "The job has another revision", body = Problem, content_type = PROBLEM_JSON, headers(("ETag" = String, description = "The job's revision now"))),
    ChangesJob,
    TakesAgent,
    TakesBody,
    Guarded,
))]
#[patch("/api/portal/workspace/crons/{name}")]
pub(crate) async fn change_job(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    name: Path<String>,
    conditions: Conditions,
    body: extract::Json<PatchJob>,
) -> Result<CustomizeResponder<Json<Job>>, ApiError> {
    let patch = JobPatch { revisions: revisions(conditions.if_match), ..body.0.parse()? };
    tagged(state.jobs.update(&chosen.key(), &name, patch, chosen.friend.actor()).await?)
}

/// Deletes a job with its runs.
#[utoipa::path(tag = "crons", security(("session" = [])), params(
    ("name" = String, Path, description = "The job's exact name, else its id", example = "daily-check"), AgentQuery,
), responses(
    (status = 200, description = "It is gone", body = Acknowledgement),
    ChangesJob,
    TakesAgent,
    Guarded,
))]
#[delete("/api/portal/workspace/crons/{name}")]
pub(crate) async fn delete_job(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    name: Path<String>,
) -> Result<Json<Acknowledgement>, ApiError> {
    state.jobs.remove(&chosen.key(), &name, chosen.friend.actor()).await?;
    Ok(Json(Acknowledgement::YES))
}

/// Runs a job now, whether it is enabled or not.
#[utoipa::path(tag = "crons", security(("session" = [])), params(
    ("name" = String, Path, description = "The job's exact name, else its id", example = "daily-check"), AgentQuery,
), responses(
    (status = 202, description = "The run is stored and will be begun", body = RunStarted),
    (status = 429, description = "The friend asked for 10 runs in the last minute", body = Problem, content_type = PROBLEM_JSON,
        headers(("Retry-After" = String, description = "Seconds after which to try again"))),
    ChangesJob,
    TakesAgent,
    Guarded,
))]
#[post("/api/portal/workspace/crons/{name}/run")]
pub(crate) async fn run_job(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    name: Path<String>,
) -> Result<(Json<RunStarted>, StatusCode), ApiError> {
    let run_id = state.jobs.run(&chosen.key(), &name, chosen.friend.actor()).await?;
    Ok((Json(RunStarted { ok: true, run_id }), StatusCode::ACCEPTED))
}

/// Enables or disables a job.
#[utoipa::path(tag = "crons", security(("session" = [])), request_body = ToggleJob, params(
    ("name" = String, Path, description = "The job's exact name, else its id", example = "daily-check"), AgentQuery,
), responses(
    (status = 200, description = "It is as was asked", body = Acknowledgement),
    ChangesJob,
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
) -> Result<Json<Acknowledgement>, ApiError> {
    // Without a revision: the state that is asked for does not depend on the one before.
    let patch = JobPatch { enabled: Some(body.0.enabled), ..JobPatch::default() };
    state.jobs.update(&chosen.key(), &name, patch, chosen.friend.actor()).await?;
    Ok(Json(Acknowledgement::YES))
}

/// Lists the runs of a job, at most 100 at once.
#[utoipa::path(tag = "crons", security(("session" = [])), params(
    ("name" = String, Path, description = "The job's exact name, else its id", example = "daily-check"), AgentQuery,
    BeforeRun,
), responses(
    (status = 200, description = "The runs, newest first; fewer than 100 are the last page", body = RunList),
    (status = 422, description = "The job has no run `before`, or it was deleted since", body = Problem, content_type = PROBLEM_JSON),
    TakesAgent,
    Guarded,
))]
#[get("/api/portal/workspace/crons/{name}/runs")]
pub(crate) async fn list_runs(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    name: Path<String>,
    page: Query<RunPage>,
) -> Result<Json<RunList>, ApiError> {
    let runs = state.jobs.runs(&chosen.key(), &name, page.before.as_deref()).await?;
    Ok(Json(RunList { runs: runs.into_iter().map(Run::from).collect() }))
}

/// Sends a message to the agent now, into the friend's default conversation; the answer goes to the friend's chat where
/// they have one.
///
/// The message is listed among the jobs, disabled and for this moment, with one run; it goes a week later.
#[utoipa::path(tag = "crons", security(("session" = [])), params(AgentQuery), request_body = SendMessage, responses(
    (status = 202, description = "The message is stored and will be sent", body = RunStarted),
    (status = 409, description = "The friend has 50 jobs", body = Problem, content_type = PROBLEM_JSON),
    (status = 429, description = "The friend asked for 10 runs in the last minute", body = Problem, content_type = PROBLEM_JSON,
        headers(("Retry-After" = String, description = "Seconds after which to try again"))),
    TakesAgent,
    TakesBody,
    Guarded,
))]
#[post("/api/portal/workspace/messages")]
pub(crate) async fn send_message(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    body: extract::Json<SendMessage>,
) -> Result<(Json<RunStarted>, StatusCode), ApiError> {
    let run_id = state.messages.send(&chosen.key(), body.0.message, chosen.friend.actor()).await?;
    Ok((Json(RunStarted { ok: true, run_id }), StatusCode::ACCEPTED))
}

/// Answers with a job, tagged with its revision.
fn tagged(job: portal_cron::Job) -> Result<CustomizeResponder<Json<Job>>, ApiError> {
    let tag = EntityTag::strong(job.revision.to_string()).to_header()?;
    Ok(Json(Job::from(job)).customize().insert_header((ETAG, tag)))
}

/// Returns the revisions that a condition names. A tag that no job ever had matches none.
fn revisions(if_match: Option<EntityTags>) -> Option<Vec<u32>> {
    match if_match? {
        // `*` asks for a job that exists; one that does not is 404 by itself.
        EntityTags::Any => None,
        EntityTags::Listed(tags) => Some(tags.iter().filter_map(|tag| tag.parse().ok()).collect()),
    }
}

/// Path of the job. Of the characters of a name only the space has to be escaped.
fn location(chosen: &ChosenAgent, name: &str) -> (HeaderName, String) {
    let path = format!("/api/portal/workspace/crons/{}", name.replace(' ', "%20"));
    let is_default = chosen.agent == chosen.friend.session().agent;
    (LOCATION, if is_default { path } else { format!("{path}?agent={}", chosen.agent) })
}
