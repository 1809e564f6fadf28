//! The document: as it is in git, and complete.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

fn document() -> Value {
    serde_json::to_value(portal_api::openapi()).unwrap()
}

/// Every operation as (method and path, operation).
fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let listed = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap().clone();
        item.into_iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    listed.collect()
}

#[test]
fn the_document_in_git_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/portal.json");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == portal_api::openapi_text(), "openapi/portal.json is not up to date: run `cargo xtask openapi`");
}

#[test]
fn every_operation_is_described() {
    for (name, operation) in operations(&document()) {
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no summary");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name} has not one tag");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
        assert!(responses.contains_key("500"), "{name} lists no failure");
        for (status, response) in responses {
            assert!(!response["description"].as_str().unwrap_or_default().is_empty(), "{name} {status}");
            let is_failure = status.starts_with(['4', '5']);
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert!(!is_failure || schema == "#/components/schemas/Problem", "{name} {status} is not a problem");
        }
    }
}

#[test]
fn every_operation_of_the_portal_wants_a_session() {
    for (name, operation) in operations(&document()) {
        let wanted = name.contains("/api/portal/");
        let security = &operation["security"];
        assert_eq!(security == &serde_json::json!([{"session": []}]), wanted, "{name}: {security}");
        let responses = operation["responses"].as_object().unwrap();
        assert_eq!(responses.contains_key("401"), wanted, "{name}");
        assert!(!wanted || responses.contains_key("503"), "{name}");
    }
}

#[test]
fn operation_ids_are_unique() {
    let document = document();
    let operations = operations(&document);
    let ids: BTreeSet<_> = operations.iter().map(|(_, operation)| operation["operationId"].to_string()).collect();
    assert_eq!(ids.len(), operations.len());
}

#[test]
fn operations_with_a_body_or_a_name_in_the_path_say_what_that_can_mean() {
    for (name, operation) in operations(&document()) {
        let responses = operation["responses"].as_object().unwrap();
        let says = |statuses: &[&str]| statuses.iter().all(|&status| responses.contains_key(status));
        assert!(operation["requestBody"].is_null() || says(&["400", "413", "415", "422"]), "{name}");
        assert!(!name.contains('{') || says(&["404"]), "{name}");
        assert!(!name.contains("/workspace") || says(&["400", "404"]), "{name}");
    }
}
