//! Extractors of a request's body, which answer everything unreadable with a problem document.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt};
use portal_core::Invalid;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::error::ApiError;
use crate::limits::{Admitted, BodyBytes};

/// The most bytes of an ordinary body: 64 KiB.
pub const BODY_MAX: usize = 64 * 1024;
/// The most bytes of a body that carries a document: 2 MiB, so that 256 KiB of text fit even if every character is
/// escaped.
pub const DOCUMENT_BODY_MAX: usize = 2 * 1024 * 1024;

/// Most characters of a sender's input that a refusal repeats.
const ECHO_MAX: usize = 100;

/// Time for a body to arrive, beside a second for each [`BODY_PER_SECOND`] bytes of it that have.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(5);
/// Bytes of a body that earn it another second: the least rate at which one may arrive.
const BODY_PER_SECOND: u32 = 16 * 1024;

/// [`BODY_TIME`] as application data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyTime(pub(crate) Duration);

/// A JSON body of at most `LIMIT` bytes.
///
/// 400 for what is not JSON or not a `T` (so derive `deny_unknown_fields`), 408, 413, 415, and 422 for U+0000 in any
/// text, which not every database can keep.
#[derive(Debug)]
pub struct Json<T, const LIMIT: usize = BODY_MAX>(pub T);

/// A JSON body that carries a document.
pub type DocumentJson<T> = Json<T, DOCUMENT_BODY_MAX>;

impl<T: DeserializeOwned + 'static, const LIMIT: usize> FromRequest for Json<T, LIMIT> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let head = check_head(request, LIMIT);
        let payload = payload.take();
        let time = request.app_data::<BodyTime>().map_or(BODY_TIME, |time| time.0);
        let admitted = request.extensions().get::<Admitted>().cloned().unwrap_or_default();
        async move {
            head?;
            // Bytes count until the body is parsed and dropped.
            let mut received = admitted.body();
            let body = read(payload, LIMIT, time, &mut received).await?;
            parse(&body).map(Self)
        }
        .boxed_local()
    }
}

impl<T: DeserializeOwned + 'static, const LIMIT: usize> Json<T, LIMIT> {
    /// Reads the body of a request whose sender was authenticated by the handler itself.
    pub(crate) async fn read(request: &HttpRequest, mut payload: Payload) -> Result<Self, ApiError> {
        Self::from_request(request, &mut payload).await
    }
}

fn check_head(request: &HttpRequest, limit: usize) -> Result<(), ApiError> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json =
        media_type == "application/json" || media_type.starts_with("application/") && media_type.ends_with("+json");
    if !is_json {
        let detail = "The body must be JSON: send `Content-Type: application/json`.";
        return Err(ApiError::media_type_unsupported(detail));
    }
    if !matches!(text(header::CONTENT_ENCODING), "" | "identity") {
        return Err(ApiError::media_type_unsupported("The body must not be compressed."));
    }
    match text(header::CONTENT_LENGTH).parse::<usize>() {
        Ok(length) if length > limit => Err(ApiError::body_too_large(limit)),
        // A length that is missing or wrong is found while the body is read.
        _ => Ok(()),
    }
}

async fn read(mut payload: Payload, limit: usize, time: Duration, received: &mut BodyBytes) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    let begun = Instant::now();
    loop {
        // Earned by the whole body and counted from its begin, so that a pause uses up what a burst earned.
        let earned = Duration::from_secs(1) * u32::try_from(body.len()).unwrap_or(u32::MAX) / BODY_PER_SECOND;
        let next = timeout_at(begun + time + earned, payload.next()).await;
        let Some(chunk) = next.map_err(|_| ApiError::body_late())? else { return Ok(body.freeze()) };
        let chunk = chunk.map_err(|_| ApiError::body_malformed("The body ended before it was complete."))?;
        if body.len() + chunk.len() > limit {
            return Err(ApiError::body_too_large(limit));
        }
        received.hold(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Err(ApiError::body_malformed("The body is missing; it must be a JSON object."));
    }
    // For all texts at once, so that no type has to remember it.
    refuse_nul(body)?;
    refuse_list(body)?;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let parsed: T = serde_path_to_error::deserialize(&mut reader).map_err(|error| malformed(&error))?;
    // `deserialize` stops behind the value and would ignore what follows.
    reader.end().map_err(|error| ApiError::body_malformed(format!("The body is not JSON: {error}.")))?;
    Ok(parsed)
}

fn malformed(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let (path, said) = (error.path().to_string(), error.inner());
    if !said.is_data() {
        return ApiError::body_malformed(format!("The body is not JSON: {said}."));
    }
    let said = said.to_string();
    // Of a missing member serde names the parent, here the whole body.
    let path = if path == "." { missing(&said).unwrap_or_default() } else { clip(&path).into_owned() };
    let place = if path.is_empty() { "The body" } else { path.as_str() };
    let detail = match wanted(&said) {
        Some(wanted) => format!("{place} must be {wanted}."),
        None => format!("{place} is not what this operation takes: {}.", without_long_input(&said)),
    };
    if path.is_empty() { ApiError::body_malformed(detail) } else { ApiError::body_member(&path, rule(&said), detail) }
}

/// Returns the rule that a member breaks, from serde's own sentence.
fn rule(said: &str) -> &'static str {
    const RULES: [(&str, &str); 4] = [
        ("missing field", "required"),
        ("unknown field", "unknown"),
        ("unknown variant", "one-of"),
        ("duplicate field", "duplicate"),
    ];
    RULES.iter().find(|(start, _)| said.starts_with(start)).map_or("type", |(_, rule)| rule)
}

/// Cuts a text of the sender's to [`ECHO_MAX`] characters.
pub(crate) fn clip(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(ECHO_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}..", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// Cuts what serde's sentence repeats of the input. All of it stands before the last ", expected ".
fn without_long_input(said: &str) -> Cow<'_, str> {
    match said.rsplit_once(", expected ") {
        Some((input, expected)) => Cow::Owned(format!("{}, expected {expected}", clip(input))),
        None => clip(said),
    }
}

/// Returns the type that a value should have, for people who do not know Rust's words.
fn wanted(said: &str) -> Option<&'static str> {
    let (_, wanted) = said.strip_prefix("invalid ")?.rsplit_once(", expected ")?;
    // serde_json appends the place, of which somebody who filled in a form knows nothing.
    let wanted = wanted.split(" at line ").next().unwrap_or(wanted);
    Some(match wanted {
        "i8" | "i16" | "i32" | "i64" | "u64" | "usize" => "a whole number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "f32" | "f64" => "a number",
        "a string" | "a borrowed string" => "a text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        object if object == "a map" || object.starts_with("struct ") => "an object",
        _ => return None,
    })
}

/// The member that is not there: the one refusal whose path cannot name it.
fn missing(said: &str) -> Option<String> {
    let (name, _) = said.strip_prefix("missing field `")?.split_once('`')?;
    Some(name.to_owned())
}

/// A derived `Deserialize` takes a list for a struct, its items by position; whoever sent one meant something else.
fn refuse_list(body: &[u8]) -> Result<(), ApiError> {
    if body.trim_ascii_start().first() != Some(&b'[') {
        return Ok(());
    }
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => Err(ApiError::body_malformed("The body must be a JSON object, not a list.")),
        Err(error) => Err(ApiError::body_malformed(format!("The body is not JSON: {error}."))),
    }
}

/// U+0000 reaches a JSON text only as an escape, so bodies without one are not looked at twice.
fn refuse_nul(body: &[u8]) -> Result<(), ApiError> {
    const ESCAPE: &[u8] = b"\\u0000";
    if !body.windows(ESCAPE.len()).any(|window| window == ESCAPE) {
        return Ok(());
    }
    // What is not JSON is refused further on, with a sentence about that.
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return Ok(()) };
    match find_nul(&value) {
        ControlFlow::Break(()) => {
            Err(Invalid::new("body", "The body holds the character U+0000, which no text may hold.").into())
        }
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn find_nul(value: &Value) -> ControlFlow<()> {
    match value {
        Value::String(text) if text.contains('\0') => ControlFlow::Break(()),
        Value::Array(items) => items.iter().try_for_each(find_nul),
        Value::Object(members) => members
            .iter()
            .try_for_each(|(name, member)| if name.contains('\0') { ControlFlow::Break(()) } else { find_nul(member) }),
        _ => ControlFlow::Continue(()),
    }
}

/// Makes actix-web's own extractors answer problems: a path that cannot be read names nothing.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.app_data(web::PathConfig::default().error_handler(|_, _| ApiError::not_found().into())).app_data(
        web::QueryConfig::default().error_handler(|error, _| {
            ApiError::query_malformed(format!("The query cannot be read: {}.", clip(&error.to_string()))).into()
        }),
    );
}

#[cfg(test)]
mod tests;
