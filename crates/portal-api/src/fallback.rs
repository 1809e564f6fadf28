//! Answers to requests that no operation takes: an unknown address (404), or a method that it does not have (405).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use actix_web::dev::ResourceDef;
use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::PathItem;

use crate::error::ApiError;
use crate::openapi::openapi;

/// Every address with the methods it takes, read off the document, so that both say the same.
static ADDRESSES: LazyLock<Vec<(ResourceDef, String)>> = LazyLock::new(|| {
    let paths = openapi().paths.paths;
    paths.iter().map(|(path, item)| (ResourceDef::new(path.as_str()), allow(item))).collect()
});

/// Answers what no operation takes.
pub(crate) async fn unmatched(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let path = request.match_info().unprocessed();
    let known = ADDRESSES.iter().find(|(address, _)| address.is_match(path));
    let (_, allowed) = known.ok_or_else(ApiError::not_found)?;
    if request.method() == Method::OPTIONS {
        return Ok(HttpResponse::Ok().insert_header((header::ALLOW, allowed.as_str())).json(serde_json::json!({})));
    }
    Err(ApiError::method_not_allowed(allowed))
}

fn allow(item: &PathItem) -> String {
    let methods = [
        (&item.get, &["GET", "HEAD"][..]),
        (&item.put, &["PUT"]),
        (&item.post, &["POST"]),
        (&item.patch, &["PATCH"]),
        (&item.delete, &["DELETE"]),
    ];
    let taken =
        methods.iter().filter(|(operation, _)| operation.is_some()).flat_map(|(_, names)| names.iter().copied());
    let allowed: BTreeSet<_> = taken.chain(["OPTIONS"]).collect();
    allowed.into_iter().collect::<Vec<_>>().join(", ")
}
