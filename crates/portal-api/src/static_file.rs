//! Files that the portal serves from memory.

use std::io::Write as _;

use actix_web::http::header::{self, AcceptEncoding, ContentEncoding, Encoding, Header as _};
use actix_web::rt::task::spawn_blocking;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::OnceCell;

use crate::error::ApiError;

/// Smallest file worth compressing, in bytes.
const COMPRESS_FROM: usize = 1024;

/// A file that never changes. It is compressed once, when somebody first asks for that, and not once per request.
pub(crate) struct StaticFile {
    content_type: String,
    bytes: Bytes,
    gzip: OnceCell<Bytes>,
}

impl StaticFile {
    pub(crate) fn new(content_type: impl Into<String>, bytes: Bytes) -> Self {
        Self { content_type: content_type.into(), bytes, gzip: OnceCell::new() }
    }

    /// Answers with the file, compressed if that is what the caller prefers.
    pub(crate) async fn respond(
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
            // Some milliseconds for the page: too long for a thread that serves others too.
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
