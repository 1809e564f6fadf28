//! Prints the OpenAPI document, byte for byte as `openapi/portal.json` holds it.

use std::io::{Write, stdout};

fn main() -> std::io::Result<()> {
    stdout().write_all(portal_api::openapi_text().as_bytes())
}
