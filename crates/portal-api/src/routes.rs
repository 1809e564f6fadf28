//! Every route, once: the server and the OpenAPI document are made from this list.
//!
//! To add an endpoint:
//!
//! 1. Body: request and answer structs in `body/<resource>.rs`. Requests derive `Deserialize` with
//!    `deny_unknown_fields` and have a `parse` into domain types; answers derive `Serialize` and are made `From` domain
//!    types. Both derive `ToSchema` with an example per member; times go through `body::time`.
//! 2. Use case: a field in `ApiState`, an `Arc` of the domain crate's struct.
//! 3. Handler in `handlers/<resource>.rs`: extract, parse, one call, map; the full path in `#[get("/api/portal/..")]`.
//!    Take [`Friend`](crate::auth::Friend) or, under `/workspace`, [`ChosenAgent`](crate::auth::ChosenAgent) first, a
//!    body as [`Json`](crate::extract::Json), conditions as [`Conditions`](crate::conditional::Conditions). In
//!    `#[utoipa::path(..)]` give `tag`, `security(("session" = []))` (or `security(())` for an open one) and every
//!    status: the good ones one by one, `Guarded` (or `Open`), then `TakesBody`, `TakesAgent`, `NotFound`, or
//!    `(status = 409, description = "..", body = Problem, content_type = PROBLEM_JSON)`. The first line of the
//!    handler's doc comment is the summary, and every operation has one.
//! 4. Failures: words in `error/codes.rs` (and its golden list), `From<YourError> for ApiError` in `error.rs`.
//! 5. A line below; `cargo xtask openapi`; a module in `tests/api/`, and a row in its `isolation.rs`.

use utoipa_actix_web::service_config::ServiceConfig;

use crate::handlers::{
    about, activity, cron, events, exposure, friend, health, login, namespace, session, settings, workspace,
};

/// Registers every operation.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    // The router tries one after another, and a pattern costs it ten times as much as a text. So first what open pages and
    // agents ask for all the time, then other texts, then patterns.
    config
        .service(friend::show_me)
        .service(namespace::show_namespace)
        .service(workspace::read_memory)
        .service(cron::list_jobs)
        .service(exposure::list_exposures)
        .service(health::show_liveness)
        .service(health::show_readiness)
        .service(workspace::replace_memory)
        .service(workspace::list_documents)
        .service(workspace::read_friend_notes)
        .service(workspace::read_heartbeat)
        .service(workspace::replace_heartbeat)
        .service(exposure::expose_service)
        .service(cron::create_job)
        .service(cron::preview_job)
        .service(cron::send_message)
        .service(friend::list_agents)
        .service(friend::list_domains)
        .service(settings::show_settings)
        .service(settings::change_settings)
        .service(activity::list_activity)
        .service(events::stream_events)
        .service(about::show_about)
        .service(workspace::list_memory_versions)
        .service(workspace::list_heartbeat_versions)
        .service(login::create_login_link)
        .service(login::exchange_login_code)
        .service(login::show_login)
        .service(session::list_sessions)
        .service(session::end_current_session)
        .service(session::end_other_sessions)
        .service(health::show_health)
        .service(health::show_openapi)
        .service(exposure::show_exposure)
        .service(exposure::remove_exposure)
        .service(cron::show_job)
        .service(cron::change_job)
        .service(cron::delete_job)
        .service(cron::run_job)
        .service(cron::toggle_job)
        .service(cron::list_runs)
        .service(workspace::read_memory_version)
        .service(workspace::restore_memory_version)
        .service(workspace::read_heartbeat_version)
        .service(workspace::restore_heartbeat_version)
        .service(session::end_session);
}
