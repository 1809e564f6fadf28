//! Event streams.

use actix_web::http::header::{self, HeaderName};
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse, get};

use crate::auth::Friend;
use crate::body::events::EventsQuery;
use crate::error::{ApiError, Guarded, PROBLEM_JSON, Problem};
use crate::events::Subscription;
use crate::params::LastEventId;
use crate::state::ApiState;

/// What tells a proxy such as nginx to pass each event on at once.
static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Opens a stream of events about the friend's things.
///
/// Server-sent events (the HTML standard, section 9.2). Browsers' `EventSource` cannot send a token: read the stream by
/// `fetch`. Each event says what changed and not how, and may come twice; ask for what you show. Names and data:
///
/// - `exposure` `{"name"}`: an exposure, or the answer of its address, changed.
/// - `document` `{"agent_id", "name"}`: a document was saved through the portal.
/// - `job` `{"agent_id", "id"}`: a job was created, changed or deleted.
/// - `run` `{"agent_id", "id"}`: a run of the job with this id began, was put off or ended.
/// - `session-ended` `{"id"}`: a session of the friend was ended. The stream ends after its own.
/// - `namespace` `{}`: the namespace, or whether it can be shown, changed. Sent once when a stream resumes.
/// - `reset` `{}`: too much changed, or too long ago: anything may have.
///
/// A comment comes every 15 seconds. Streams end after an hour, when the portal stops and when its database is down. Come
/// back after the milliseconds of `retry`, with the last `id` as `Last-Event-ID`: within ten minutes nothing is missed.
/// A friend has at most four streams.
#[utoipa::path(tag = "friend", security(("session" = [])),
    params(EventsQuery, LastEventId),
    responses(
        (status = 200, description = "The stream", body = String, content_type = "text/event-stream"),
        (status = 400, description = "`watch` is not `memory`", body = Problem, content_type = PROBLEM_JSON),
        Guarded,
))]
#[get("/api/portal/events")]
pub(crate) async fn stream_events(
    friend: Friend,
    state: Data<ApiState>,
    query: Query<EventsQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let last_event_id = request.headers().get(&LAST_EVENT_ID);
    // One that is no text is as unknown as any other that this portal did not write.
    let last_event_id = last_event_id.map(|id| id.to_str().unwrap_or_default().to_owned());
    let wanted = Subscription { last_event_id, watches_memory: query.watch.is_some() };
    let stream = state.events.subscribe(friend.session(), wanted).await?;
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store, no-transform"))
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header((X_ACCEL_BUFFERING.clone(), "no"))
        .streaming(stream.into_body()))
}
