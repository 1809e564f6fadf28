//! The documentation page: Swagger UI from this very binary, so it works without the internet.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use actix_web::http::header;
use actix_web::web::{Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, get};
use bytes::Bytes;
use tokio::sync::Mutex;
use utoipa_swagger_ui::Config;

use crate::error::ApiError;
use crate::static_file::StaticFile;

/// Only our own files; the page sets styles and small images inline.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// Settings of the page: it looks for the document beside itself, wherever both are mounted.
static PAGE: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("../openapi.json")));
/// The page's files that were asked for so far, by name.
static FILES: LazyLock<Mutex<HashMap<String, Arc<StaticFile>>>> = LazyLock::new(Mutex::default);

/// Registers the page and what it shows. They are not operations, so the document does not list them.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(show_docs).service(show_docs_file);
}

#[get("/docs")]
async fn show_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "docs/")).finish()
}

#[get("/docs/{file:.*}")]
async fn show_docs_file(name: Path<String>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let file = find(&name).await?.ok_or_else(ApiError::not_found)?;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_SECURITY_POLICY, POLICY));
    response.insert_header((header::CACHE_CONTROL, "public, max-age=3600"));
    file.respond(&request, response).await
}

/// Returns one of the page's files. Only names of files are remembered, so callers cannot make the list grow.
async fn find(name: &str) -> Result<Option<Arc<StaticFile>>, ApiError> {
    let mut files = FILES.lock().await;
    if let Some(file) = files.get(name) {
        return Ok(Some(file.clone()));
    }
    let served = utoipa_swagger_ui::serve(name, PAGE.clone()).map_err(|error| ApiError::internal(error.to_string()))?;
    let Some(served) = served else { return Ok(None) };
    let bytes = match served.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    let file = Arc::new(StaticFile::new(served.content_type, bytes));
    files.insert(name.to_owned(), file.clone());
    Ok(Some(file))
}
