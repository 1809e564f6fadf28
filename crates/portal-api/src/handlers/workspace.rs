//! The documents that the friend shares with an agent, and their earlier texts.

use portal_core::FriendshipKey;

use actix_web::http::header;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, get, post, put};
use portal_workspace::{Content, DocumentName, Precondition, Tag, Writer};

use crate::auth::{AgentQuery, ChosenAgent};
use crate::body::Done;
use crate::body::workspace::{DocumentBody, DocumentList, ReplaceDocument, VersionList};
use crate::conditional::{self, Conditions, Tags};
use crate::error::{ApiError, Guarded, ShowsDocument, TakesAgent, TakesBody, WritesDocument};
use crate::extract::DocumentJson;
use crate::state::ApiState;

/// A browser may keep it and asks each time; nobody on the way may change the bytes that the tag names.
const CACHE_CONTROL: &str = "private, no-cache, no-transform";

/// Lists the documents, there or not.
#[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery), responses(
    (status = 200, description = "Every document that there can be", body = DocumentList),
    TakesAgent,
    Guarded,
))]
#[get("/api/portal/workspace")]
pub(crate) async fn list_documents(chosen: ChosenAgent, state: Data<ApiState>) -> Result<Json<DocumentList>, ApiError> {
    Ok(Json(state.documents.list(&reader(&chosen)).await?.into()))
}

/// Reads what the agent is to remember of the friend.
#[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery), responses(
    (status = 200, description = "The document; without `ETag` if there is none", body = DocumentBody,
        headers(("ETag" = String, description = "The SHA-256 of the text"))),
    (status = 304, description = "What the caller has is still so"),
    ShowsDocument, TakesAgent, Guarded,
))]
#[get("/api/portal/workspace/memory")]
pub(crate) async fn read_memory(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    conditions: Conditions,
) -> Result<HttpResponse, ApiError> {
    read(&chosen, &state, &conditions, DocumentName::Memory).await
}

/// Replaces what the agent is to remember of the friend.
///
/// Send the `ETag` of what was read in `If-Match`, so that nothing is overwritten unseen, or `If-None-Match: *` to
/// write a first text only.
#[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery), request_body = ReplaceDocument,
    responses(
        (status = 200, description = "The text stands there", body = Done,
            headers(("ETag" = String, description = "The SHA-256 of the text"))),
        WritesDocument, TakesBody, TakesAgent, Guarded,
))]
#[put("/api/portal/workspace/memory")]
pub(crate) async fn replace_memory(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    conditions: Conditions,
    body: DocumentJson<ReplaceDocument>,
) -> Result<HttpResponse, ApiError> {
    replace(chosen, &state, &conditions, (DocumentName::Memory, body.0.parse()?)).await
}

/// Reads the agent's own notes about the friend.
#[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery), responses(
    (status = 200, description = "The document; without `ETag` if there is none", body = DocumentBody,
        headers(("ETag" = String, description = "The SHA-256 of the text"))),
    (status = 304, description = "What the caller has is still so"),
    ShowsDocument, TakesAgent, Guarded,
))]
#[get("/api/portal/workspace/friend-notes")]
pub(crate) async fn read_friend_notes(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    conditions: Conditions,
) -> Result<HttpResponse, ApiError> {
    read(&chosen, &state, &conditions, DocumentName::FriendNotes).await
}

/// Reads what the agent looks after on its own; all its friends share this document.
#[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery), responses(
    (status = 200, description = "The document; without `ETag` if there is none", body = DocumentBody,
        headers(("ETag" = String, description = "The SHA-256 of the text"))),
    (status = 304, description = "What the caller has is still so"),
    ShowsDocument, TakesAgent, Guarded,
))]
#[get("/api/portal/workspace/heartbeat")]
pub(crate) async fn read_heartbeat(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    conditions: Conditions,
) -> Result<HttpResponse, ApiError> {
    read(&chosen, &state, &conditions, DocumentName::Heartbeat).await
}

/// Replaces what the agent looks after on its own; all its friends share this document.
///
/// `If-Match` with the `ETag` of what was read is required when another friend was the last to write it.
#[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery), request_body = ReplaceDocument,
    responses(
        (status = 200, description = "The text stands there", body = Done,
            headers(("ETag" = String, description = "The SHA-256 of the text"))),
        WritesDocument, TakesBody, TakesAgent, Guarded,
))]
#[put("/api/portal/workspace/heartbeat")]
pub(crate) async fn replace_heartbeat(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    conditions: Conditions,
    body: DocumentJson<ReplaceDocument>,
) -> Result<HttpResponse, ApiError> {
    replace(chosen, &state, &conditions, (DocumentName::Heartbeat, body.0.parse()?)).await
}

/// Lists the earlier texts of the memory.
#[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery), responses(
    (status = 200, description = "The versions, newest first", body = VersionList),
    TakesAgent, Guarded,
))]
#[get("/api/portal/workspace/memory/versions")]
pub(crate) async fn list_memory_versions(
    chosen: ChosenAgent,
    state: Data<ApiState>,
) -> Result<Json<VersionList>, ApiError> {
    Ok(Json(state.documents.versions(&reader(&chosen), DocumentName::Memory).await?.into()))
}

/// Lists the earlier texts of the heartbeat that the friend wrote.
#[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery), responses(
    (status = 200, description = "The versions, newest first", body = VersionList),
    TakesAgent, Guarded,
))]
#[get("/api/portal/workspace/heartbeat/versions")]
pub(crate) async fn list_heartbeat_versions(
    chosen: ChosenAgent,
    state: Data<ApiState>,
) -> Result<Json<VersionList>, ApiError> {
    Ok(Json(state.documents.versions(&reader(&chosen), DocumentName::Heartbeat).await?.into()))
}

/// Reads an earlier text of the memory.
#[utoipa::path(tag = "workspace", security(("session" = [])),
    params(("id" = String, Path, description = "The version's id"), AgentQuery), responses(
    (status = 200, description = "The text", body = DocumentBody),
    ShowsDocument, TakesAgent, Guarded,
))]
#[get("/api/portal/workspace/memory/versions/{id}")]
pub(crate) async fn read_memory_version(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    id: Path<String>,
) -> Result<Json<DocumentBody>, ApiError> {
    Ok(Json(state.documents.version(&reader(&chosen), DocumentName::Memory, &id).await?.into()))
}

/// Reads an earlier text of the heartbeat that the friend wrote.
#[utoipa::path(tag = "workspace", security(("session" = [])),
    params(("id" = String, Path, description = "The version's id"), AgentQuery), responses(
    (status = 200, description = "The text", body = DocumentBody),
    ShowsDocument, TakesAgent, Guarded,
))]
#[get("/api/portal/workspace/heartbeat/versions/{id}")]
pub(crate) async fn read_heartbeat_version(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    id: Path<String>,
) -> Result<Json<DocumentBody>, ApiError> {
    Ok(Json(state.documents.version(&reader(&chosen), DocumentName::Heartbeat, &id).await?.into()))
}

/// Puts an earlier text of the memory back in its place.
#[utoipa::path(tag = "workspace", security(("session" = [])),
    params(("id" = String, Path, description = "The version's id"), AgentQuery), responses(
    (status = 200, description = "The text stands there", body = Done,
        headers(("ETag" = String, description = "The SHA-256 of the text"))),
    WritesDocument, TakesAgent, Guarded,
))]
#[post("/api/portal/workspace/memory/versions/{id}/restore")]
pub(crate) async fn restore_memory_version(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    conditions: Conditions,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    restore(chosen, &state, &conditions, (DocumentName::Memory, &id)).await
}

/// Puts an earlier text of the heartbeat that the friend wrote back in its place.
#[utoipa::path(tag = "workspace", security(("session" = [])),
    params(("id" = String, Path, description = "The version's id"), AgentQuery), responses(
    (status = 200, description = "The text stands there", body = Done,
        headers(("ETag" = String, description = "The SHA-256 of the text"))),
    WritesDocument, TakesAgent, Guarded,
))]
#[post("/api/portal/workspace/heartbeat/versions/{id}/restore")]
pub(crate) async fn restore_heartbeat_version(
    chosen: ChosenAgent,
    state: Data<ApiState>,
    conditions: Conditions,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    restore(chosen, &state, &conditions, (DocumentName::Heartbeat, &id)).await
}

async fn read(
    chosen: &ChosenAgent,
    state: &ApiState,
    conditions: &Conditions,
    name: DocumentName,
) -> Result<HttpResponse, ApiError> {
    let Some(document) = state.documents.read(&reader(chosen), name).await? else {
        let absent = DocumentBody::default();
        return Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, CACHE_CONTROL)).json(absent));
    };
    let tag = conditional::Tag::strong(document.tag.as_str());
    let is_known = conditions.has(&tag);
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::CACHE_CONTROL, CACHE_CONTROL)).insert_header((header::ETAG, tag.to_header()?));
    Ok(if is_known { response.finish() } else { response.json(DocumentBody::from(document)) })
}

async fn replace(
    chosen: ChosenAgent,
    state: &ApiState,
    conditions: &Conditions,
    (name, content): (DocumentName, Content),
) -> Result<HttpResponse, ApiError> {
    let precondition = precondition(conditions)?;
    written(&state.documents.replace(writer(&chosen), name, content, precondition).await?)
}

async fn restore(
    chosen: ChosenAgent,
    state: &ApiState,
    conditions: &Conditions,
    (name, id): (DocumentName, &str),
) -> Result<HttpResponse, ApiError> {
    let precondition = precondition(conditions)?;
    written(&state.documents.restore(writer(&chosen), name, id, precondition).await?)
}

fn written(tag: &Tag) -> Result<HttpResponse, ApiError> {
    let etag = conditional::Tag::strong(tag.as_str()).to_header()?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).json(Done::YES))
}

fn reader(chosen: &ChosenAgent) -> FriendshipKey {
    FriendshipKey { friend: chosen.friend.id().clone(), agent: chosen.agent.clone() }
}

fn writer(chosen: &ChosenAgent) -> Writer {
    Writer { reader: reader(chosen), session: chosen.friend.session().id.clone() }
}

/// What a write depends on. A tag that was never ours stands for no text.
fn precondition(conditions: &Conditions) -> Result<Precondition, ApiError> {
    match (&conditions.if_match, &conditions.if_none_match) {
        (None, None) => Ok(Precondition::None),
        (Some(Tags::Any), None) => Ok(Precondition::Exists),
        (Some(Tags::Listed(tags)), None) => {
            Ok(Precondition::OneOf(tags.iter().filter_map(|tag| Tag::parse(tag)).collect()))
        }
        (None, Some(Tags::Any)) => Ok(Precondition::Absent),
        _ => Err(ApiError::header_malformed(
            "If-None-Match",
            "If-None-Match of a write must be `*`, and stand without If-Match.",
        )),
    }
}
