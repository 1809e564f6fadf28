//! Documents that the friend shares with an agent, and their versions.

use actix_web::http::header;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, get, post, put};
use portal_core::FriendshipKey;
use portal_workspace::{DocumentName, Precondition, Tag, Writer};

use crate::auth::ChosenAgent;
use crate::body::Acknowledgement;
use crate::body::workspace::{DocumentBody, DocumentList, ReplaceDocument, VersionList};
use crate::conditional::{Conditions, EntityTag, EntityTags};
use crate::error::{ApiError, Guarded, ShowsDocument, TakesAgent, TakesBody, WritesDocument};
use crate::extract::DocumentJson;
use crate::params::{AgentQuery, IfAbsent, IfMatch, IfNoneMatch};
use crate::state::ApiState;

/// A browser stores the text and asks each time; no proxy may change the bytes that the tag names.
const CACHE_CONTROL: &str = "private, no-cache, no-transform";

/// Lists the documents, existing or not.
#[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery), responses(
    (status = 200, description = "Every document that there can be", body = DocumentList),
    TakesAgent,
    Guarded,
))]
#[get("/api/portal/workspace")]
pub(crate) async fn list_documents(chosen: ChosenAgent, state: Data<ApiState>) -> Result<Json<DocumentList>, ApiError> {
    let friend = chosen.friend.id();
    let documents = state.documents.list(&reader(&chosen)).await?;
    Ok(Json(DocumentList::of(&documents, friend, &chosen.agent)))
}

/// Reads the agent's own notes about the friend.
#[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery, IfNoneMatch), responses(
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

/// Declares the five operations of a document that a friend may write.
macro_rules! writable_document {
    (
        $name:expr;
        $(#[$read_doc:meta])* read $read:ident $read_at:tt;
        $(#[$replace_doc:meta])* replace $replace:ident;
        $(#[$versions_doc:meta])* versions $versions:ident $versions_at:tt;
        $(#[$version_doc:meta])* version $version:ident $version_at:tt;
        $(#[$restore_doc:meta])* restore $restore:ident $restore_at:tt;
    ) => {
        $(#[$read_doc])*
        #[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery, IfNoneMatch), responses(
            (status = 200, description = "The document; without `ETag` if there is none", body = DocumentBody,
                headers(("ETag" = String, description = "The SHA-256 of the text"))),
            (status = 304, description = "What the caller has is still so"),
            ShowsDocument, TakesAgent, Guarded,
        ))]
        #[get($read_at)]
        pub(crate) async fn $read(
            chosen: ChosenAgent,
            state: Data<ApiState>,
            conditions: Conditions,
        ) -> Result<HttpResponse, ApiError> {
            read(&chosen, &state, &conditions, $name).await
        }

        $(#[$replace_doc])*
        #[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery, IfMatch, IfAbsent),
            request_body = ReplaceDocument,
            responses(
                (status = 200, description = "The text stands there", body = Acknowledgement,
                    headers(("ETag" = String, description = "The SHA-256 of the text"))),
                WritesDocument, TakesBody, TakesAgent, Guarded,
        ))]
        #[put($read_at)]
        pub(crate) async fn $replace(
            chosen: ChosenAgent,
            state: Data<ApiState>,
            conditions: Conditions,
            body: DocumentJson<ReplaceDocument>,
        ) -> Result<HttpResponse, ApiError> {
            let (content, precondition) = (body.0.parse()?, precondition(&conditions)?);
            written(&state.documents.replace(writer(&chosen), $name, content, precondition).await?)
        }

        $(#[$versions_doc])*
        #[utoipa::path(tag = "workspace", security(("session" = [])), params(AgentQuery), responses(
            (status = 200, description = "The versions, newest first", body = VersionList),
            TakesAgent, Guarded,
        ))]
        #[get($versions_at)]
        pub(crate) async fn $versions(
            chosen: ChosenAgent,
            state: Data<ApiState>,
        ) -> Result<Json<VersionList>, ApiError> {
            Ok(Json(state.documents.versions(&reader(&chosen), $name).await?.into()))
        }

        $(#[$version_doc])*
        #[utoipa::path(tag = "workspace", security(("session" = [])),
            params(("id" = String, Path, description = "The version's id"), AgentQuery), responses(
            (status = 200, description = "The text", body = DocumentBody),
            ShowsDocument, TakesAgent, Guarded,
        ))]
        #[get($version_at)]
        pub(crate) async fn $version(
            chosen: ChosenAgent,
            state: Data<ApiState>,
            id: Path<String>,
        ) -> Result<Json<DocumentBody>, ApiError> {
            Ok(Json(state.documents.version(&reader(&chosen), $name, &id).await?.into()))
        }

        $(#[$restore_doc])*
        #[utoipa::path(tag = "workspace", security(("session" = [])),
            params(("id" = String, Path, description = "The version's id"), AgentQuery, IfMatch, IfAbsent), responses(
            (status = 200, description = "The text stands there", body = Acknowledgement,
                headers(("ETag" = String, description = "The SHA-256 of the text"))),
            WritesDocument, TakesAgent, Guarded,
        ))]
        #[post($restore_at)]
        pub(crate) async fn $restore(
            chosen: ChosenAgent,
            state: Data<ApiState>,
            conditions: Conditions,
            id: Path<String>,
        ) -> Result<HttpResponse, ApiError> {
            let precondition = precondition(&conditions)?;
            written(&state.documents.restore(writer(&chosen), $name, &id, precondition).await?)
        }
    };
}

writable_document! {
    DocumentName::Memory;
    /// Reads what the agent is to remember of the friend.
    read read_memory "/api/portal/workspace/memory";
    /// Replaces what the agent is to remember of the friend.
    ///
    /// Send the `ETag` of what was read in `If-Match`, so that nothing is overwritten unseen, or `If-None-Match: *` to
    /// write a first text only.
    replace replace_memory;
    /// Lists the versions of the memory.
    versions list_memory_versions "/api/portal/workspace/memory/versions";
    /// Reads a version of the memory.
    version read_memory_version "/api/portal/workspace/memory/versions/{id}";
    /// Restores a version of the memory.
    restore restore_memory_version "/api/portal/workspace/memory/versions/{id}/restore";
}

writable_document! {
    DocumentName::Heartbeat;
    /// Reads the tasks that the agent does unasked; all its friends share this document.
    read read_heartbeat "/api/portal/workspace/heartbeat";
    /// Replaces the tasks that the agent does unasked; all its friends share this document.
    ///
    /// `If-Match` with the `ETag` of what was read is required if another friend was the last to write it; `*` is not
    /// enough then.
    replace replace_heartbeat;
    /// Lists the versions of the heartbeat that the friend wrote.
    versions list_heartbeat_versions "/api/portal/workspace/heartbeat/versions";
    /// Reads a version of the heartbeat that the friend wrote.
    version read_heartbeat_version "/api/portal/workspace/heartbeat/versions/{id}";
    /// Restores a version of the heartbeat that the friend wrote.
    restore restore_heartbeat_version "/api/portal/workspace/heartbeat/versions/{id}/restore";
}

async fn read(
    chosen: &ChosenAgent,
    state: &ApiState,
    conditions: &Conditions,
    name: DocumentName,
) -> Result<HttpResponse, ApiError> {
    let Some(document) = state.documents.read(&reader(chosen), name).await? else {
        // Without a tag: there is no text, and `If-None-Match: *` is how to write a first one.
        let absent = DocumentBody::default();
        return Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, CACHE_CONTROL)).json(absent));
    };
    let tag = EntityTag::strong(document.tag.as_str());
    let is_known = conditions.has(&tag);
    // 304 repeats the headers by which a browser goes on (RFC 9110, section 15.4.5).
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::CACHE_CONTROL, CACHE_CONTROL)).insert_header((header::ETAG, tag.to_header()?));
    Ok(if is_known { response.finish() } else { response.json(DocumentBody::from(document)) })
}

fn written(tag: &Tag) -> Result<HttpResponse, ApiError> {
    let etag = EntityTag::strong(tag.as_str()).to_header()?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).json(Acknowledgement::YES))
}

fn reader(chosen: &ChosenAgent) -> FriendshipKey {
    FriendshipKey { friend: chosen.friend.id().clone(), agent: chosen.agent.clone() }
}

fn writer(chosen: &ChosenAgent) -> Writer {
    Writer { reader: reader(chosen), session: chosen.friend.session().id.clone() }
}

/// Returns the condition of a write. A tag that was never ours names no text.
fn precondition(conditions: &Conditions) -> Result<Precondition, ApiError> {
    match (&conditions.if_match, &conditions.if_none_match) {
        (None, None) => Ok(Precondition::None),
        (Some(EntityTags::Any), None) => Ok(Precondition::Exists),
        (Some(EntityTags::Listed(tags)), None) => {
            Ok(Precondition::OneOf(tags.iter().filter_map(|tag| Tag::parse(tag)).collect()))
        }
        (None, Some(EntityTags::Any)) => Ok(Precondition::Absent),
        _ => Err(ApiError::header_malformed(
            "If-None-Match",
            "If-None-Match of a write must be `*`, and stand without If-Match.",
        )),
    }
}
