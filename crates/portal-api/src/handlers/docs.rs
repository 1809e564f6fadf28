//! The documentation page: Swagger UI from this very binary, so it works without the internet.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{self, AcceptEncoding, ContentEncoding, Encoding, Header as _};
use actix_web::rt::task::spawn_blocking;
use actix_web::web::{Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, get};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::{Mutex, OnceCell};
use utoipa_swagger_ui::Config;

use crate::error::ApiError;
use crate::openapi::openapi_text;

/// Only our own files; the page sets styles and small images inline.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
/// Smallest file worth compressing, in bytes.
const COMPRESS_FROM: usize = 1024;

/// The OpenAPI document, written once.
static DOCUMENT: LazyLock<StaticFile> = LazyLock::new(|| StaticFile::new("application/json", openapi_text().into()));
/// Settings of the page: it looks for the document beside itself, wherever both are mounted.
static PAGE: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("../openapi.json")));
/// The page's files that were asked for so far, by name.
static FILES: LazyLock<Mutex<HashMap<String, Arc<StaticFile>>>> = LazyLock::new(Mutex::default);

/// A file that never changes. It is compressed once, when somebody first asks for that, and not once per request.
struct StaticFile {
    content_type: String,
    bytes: Bytes,
    gzip: OnceCell<Bytes>,
}

impl StaticFile {
    fn new(content_type: impl Into<String>, bytes: Bytes) -> Self {
        Self { content_type: content_type.into(), bytes, gzip: OnceCell::new() }
    }

    /// Answers with the file, compressed if that is what the caller prefers.
    async fn respond(
        &self,
        request: &HttpRequest,
        mut response: HttpResponseBuilder,
    ) -> Result<HttpResponse, ApiError> {
        response.content_type(self.content_type.as_str()).append_header((header::VARY, "Accept-Encoding"));
        let accepted = AcceptEncoding::parse(request).ok();
        let negotiated = accepted.and_then(|accepted| accepted.negotiate([Encoding::gzip()].iter()));
        if self.bytes.len() < COMPRESS_FROM || negotiated != Some(Encoding::gzip()) {
            // Named, so that no middleware compresses it anew with every request.
            return Ok(response.insert_header(ContentEncoding::Identity).body(self.bytes.clone()));
        }
        let compressed = self.gzip.get_or_try_init(|| async {
            let bytes = self.bytes.clone();
            spawn_blocking(move || gzip(&bytes)).await.map_err(ApiError::internal)?.map_err(ApiError::internal)
        });
        Ok(response.insert_header(ContentEncoding::Gzip).body(compressed.await?.clone()))
    }
}

fn gzip(bytes: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish().map(Bytes::from)
}

/// Answers with the OpenAPI document.
pub(crate) async fn respond_with_document(request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    DOCUMENT.respond(request, HttpResponse::Ok()).await
}

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
