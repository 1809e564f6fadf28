//! Middleware of every request: its id, span and duration; the headers of its answer; failures as problem documents.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpMessage as _, HttpResponse, ResponseError};
use bytes::Bytes;
use futures::FutureExt;
use portal_core::Ids;
use tracing::field::Empty;
use tracing::{Instrument, Level};

use crate::durations::Durations;
use crate::error::{ApiError, PROBLEM_JSON};
use crate::limits::Admitted;
use crate::request_id;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken from a caller.
const REQUEST_ID_MAX: usize = 64;
/// Largest piece of a body that is handed to the connection at once, in bytes.
const SLICE: usize = 16 * 1024;

/// Parts of the middleware that the requests of one worker share.
pub(crate) struct Worker {
    ids: Arc<dyn Ids>,
    durations: Durations,
}

impl Worker {
    pub(crate) fn new(ids: Arc<dyn Ids>) -> Rc<Self> {
        Rc::new(Self { ids, durations: Durations::default() })
    }
}

/// Serves one request, whatever becomes of it.
pub(crate) fn serve<S, B>(
    worker: &Rc<Worker>,
    mut request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse, Error>> + 'static + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    let started = Instant::now();
    let worker = worker.clone();
    let request_id = client_request_id(&request).unwrap_or_else(|| worker.ids.id().into());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    // As loud as the loudest line under it, so that a filter that keeps an error keeps its request id.
    let span = tracing::error_span!("request", request_id = &*request_id, http.method = %method, http.route = Empty, friend.id = Empty);
    if method == Method::HEAD {
        // Every resource that can be read can be asked for its head; actix-web leaves out the body by itself.
        request.head_mut().method = Method::GET;
    }
    // A path with U+0000 names nothing, and must not reach a database that cannot hold one.
    let call = if request.uri().path().contains("%00") {
        let refusal = ApiError::not_found().respond(&request_id);
        Err(request.into_response(refusal))
    } else {
        // Outside of the span: up to the authentication, which begins when this is polled, nothing writes a line.
        Ok(service.call(request))
    };
    async move {
        let answered = match call {
            Ok(call) => {
                let call = request_id::scope(request_id.clone(), call.instrument(span.clone()));
                // A panic would else close the connection without an answer, and nobody could ask for it by its request id.
                AssertUnwindSafe(call).catch_unwind().await
            }
            Err(refused) => return Ok(finish(refused, &request_id)),
        };
        let (route, is_failure) = match &answered {
            Ok(Ok(response)) => (response.request().match_pattern(), response.status().is_server_error()),
            Ok(Err(_)) | Err(_) => (None, true),
        };
        // Only where a line is written: a field of a span is formatted at once, whoever reads it.
        let _entered = (is_failure || tracing::enabled!(Level::DEBUG)).then(|| {
            // Before the answer is made: the line about a failure names its route. A panic leaves no request to ask for it.
            span.record("http.route", route.as_deref().unwrap_or_else(|| uri.path()));
            span.enter()
        });
        let answer = match answered {
            Ok(Ok(response)) => Ok(finish(response.map_into_boxed_body(), &request_id)),
            Ok(Err(error)) => {
                let error = ApiError::foreign(error.as_response_error().status_code());
                Err(Unanswered::new(error, request_id).into())
            }
            Err(_) => Err(Unanswered::new(ApiError::internal("a handler panicked"), request_id).into()),
        };
        let status = answer.as_ref().map_or(StatusCode::INTERNAL_SERVER_ERROR, ServiceResponse::status);
        let took = started.elapsed();
        tracing::debug!(status = status.as_u16(), micros = took.as_micros(), "answered");
        worker.durations.record(&method, route.as_deref(), status, took);
        answer
    }
}

/// The caller's own request id, if it is short and plain enough for a log.
fn client_request_id(request: &ServiceRequest) -> Option<Rc<str>> {
    let text = request.headers().get(&REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    ((1..=REQUEST_ID_MAX).contains(&text.len()) && text.bytes().all(plain)).then(|| text.into())
}

/// Replaces a failure that is no problem document yet, and sets the headers that every answer has.
fn finish(response: ServiceResponse, request_id: &str) -> ServiceResponse {
    let mut response = match problem(&response, request_id) {
        Some(problem) => replace(response, problem),
        None => response,
    };
    set_common_headers(response.response_mut(), request_id);
    response
}

/// Logs a failure; returns its problem document where the response is none yet.
fn problem(response: &ServiceResponse, request_id: &str) -> Option<HttpResponse> {
    let status = response.status();
    // Such an answer is a problem document already; only its line in the log is missing.
    if let Some(error) = response.response().error().and_then(|error| error.as_error::<ApiError>()) {
        error.log();
        return None;
    }
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON);
    let is_failure = status.is_client_error() || status.is_server_error();
    (is_failure && !is_problem).then(|| {
        let error = ApiError::foreign(status);
        error.log();
        error.respond(request_id)
    })
}

/// Answers with `problem`, keeping what middlewares said in headers.
fn replace(response: ServiceResponse, mut problem: HttpResponse) -> ServiceResponse {
    for (name, value) in response.headers() {
        // These described the body that is replaced.
        let is_of_the_body = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LENGTH].contains(name);
        if !is_of_the_body && !problem.headers().contains_key(name) {
            problem.headers_mut().insert(name.clone(), value.clone());
        }
    }
    response.into_response(problem)
}

fn set_common_headers(response: &mut HttpResponse, request_id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID.clone(), id);
    }
    // Most answers are one friend's, and every operation that may be stored says so itself.
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    // Appended: an answer may also vary by encoding or origin.
    headers.append(header::VARY, HeaderValue::from_static("Authorization"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // `identity` was a sign for the compression; RFC 9110, section 8.4.1, wants it in no answer.
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value == "identity") {
        headers.remove(header::CONTENT_ENCODING);
    }
}

/// Hands a large body to the connection in slices.
///
/// actix-http copies each chunk of a body into the connection's write buffer as a whole, so that a client which takes
/// no answers would occupy as much memory as the answer is large.
pub(crate) fn slice_body(response: ServiceResponse) -> ServiceResponse {
    // A large answer is in flight until it was sent: those that nobody reads occupy memory.
    let admitted = response.request().extensions_mut().remove::<Admitted>();
    if !matches!(response.response().body().size(), BodySize::Sized(length) if length > SLICE as u64) {
        return response;
    }
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(bytes) => BoxBody::new(Sliced { bytes, _admitted: admitted }),
        // A stream comes in pieces by itself.
        Err(stream) => stream,
    })
}

struct Sliced {
    bytes: Bytes,
    _admitted: Option<Admitted>,
}

impl MessageBody for Sliced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.bytes.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.bytes.len().min(SLICE);
        Poll::Ready((length > 0).then(|| Ok(self.bytes.split_to(length))))
    }
}

/// A failure that left no request to answer: a panic, or a middleware that gave up.
#[derive(Debug)]
struct Unanswered {
    error: ApiError,
    request_id: Rc<str>,
}

impl Unanswered {
    fn new(error: ApiError, request_id: Rc<str>) -> Self {
        error.log();
        Self { error, request_id }
    }
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(formatter)
    }
}

impl ResponseError for Unanswered {
    fn status_code(&self) -> StatusCode {
        self.error.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.error.respond(&self.request_id);
        set_common_headers(&mut response, &self.request_id);
        response
    }
}
