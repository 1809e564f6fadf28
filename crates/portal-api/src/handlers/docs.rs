//! The documentation page: Swagger UI from this very binary, so it works without the internet.

use std::sync::{Arc, LazyLock};

use actix_web::http::header;
use actix_web::web::{Path, ServiceConfig};
use actix_web::{HttpResponse, get};
use utoipa_swagger_ui::Config;

use crate::error::ApiError;

/// Only our own files; the page sets styles and small images inline.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// How the page is set up: it looks for the document beside itself, wherever both are mounted.
static PAGE: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("../openapi.json")));

/// Registers the page and what it shows. They are not operations, so the document does not list them.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(show_docs).service(show_docs_file);
}

#[get("/docs")]
async fn show_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "docs/")).finish()
}

#[get("/docs/{file:.*}")]
async fn show_docs_file(file: Path<String>) -> Result<HttpResponse, ApiError> {
    let served = utoipa_swagger_ui::serve(&file, PAGE.clone());
    let served = served.map_err(|error| ApiError::internal(error.to_string()))?.ok_or_else(ApiError::not_found)?;
    let mut response = HttpResponse::Ok();
    if served.gzpipped {
        response.insert_header(header::ContentEncoding::Gzip);
    }
    response.content_type(served.content_type).insert_header((header::CONTENT_SECURITY_POLICY, POLICY));
    response.insert_header((header::CACHE_CONTROL, "public, max-age=3600"));
    Ok(response.body(served.bytes.into_owned()))
}
