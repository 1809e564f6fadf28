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
        let wanted = name.contains("/api/portal/") || name.ends_with("/api/auth/me");
        let security = &operation["security"];
        assert_eq!(security == &serde_json::json!([{"session": []}]), wanted, "{name}: {security}");
        let responses = operation["responses"].as_object().unwrap();
        // Logging in needs no session: its 401 is about the agent's token or the link's code.
        assert_eq!(responses.contains_key("401"), wanted || name.contains("/api/auth/"), "{name}");
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

#[test]
fn conditions_are_parameters_that_no_client_can_send_as_null() {
    let document = document();
    let parameters = |name: &str| -> Vec<Value> {
        let operations = operations(&document);
        let (_, operation) = operations.iter().find(|(listed, _)| listed == name).unwrap();
        operation["parameters"].as_array().unwrap().clone()
    };
    for (name, conditions) in [
        ("get /api/portal/namespace", &["If-None-Match"][..]),
        ("get /api/portal/workspace/memory", &["If-None-Match"]),
        ("put /api/portal/workspace/memory", &["If-Match", "If-None-Match"]),
        ("get /api/portal/workspace/heartbeat", &["If-None-Match"]),
        ("put /api/portal/workspace/heartbeat", &["If-Match", "If-None-Match"]),
        ("get /api/portal/workspace/friend-notes", &["If-None-Match"]),
        ("post /api/portal/workspace/memory/versions/{id}/restore", &["If-Match", "If-None-Match"]),
    ] {
        let listed = parameters(name);
        let headers: Vec<_> = listed.iter().filter(|parameter| parameter["in"] == "header").collect();
        let names: Vec<_> = headers.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(names, conditions, "{name}");
    }
    for (name, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            // One type, not a list of types with `null` in it.
            assert!(parameter["schema"]["type"].is_string(), "{name}: {parameter}");
        }
    }
}

#[test]
fn no_example_names_an_agent_that_the_friend_may_not_have() {
    for (name, operation) in operations(&document()) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["name"] != "agent" || parameter["example"].is_null(), "{name}: {parameter}");
        }
    }
}

#[test]
fn closed_sets_are_listed_and_schemas_have_the_words_of_clients() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    for name in ["Job", "Run", "Exposure", "IngressRoute", "Document", "LegacyPayload", "Ok", "Problem"] {
        assert!(schemas[name].is_object(), "there is no schema {name}");
    }
    let words = serde_json::json!(["active", "pending", "removing", "removed", "failed"]);
    assert_eq!(schemas["Exposure"]["properties"]["status"]["enum"], words);
    let words = serde_json::json!(["queued", "running", "retrying", "delivered", "failed", "missed", "unknown"]);
    assert_eq!(schemas["Run"]["properties"]["status"]["enum"], words);
}

#[test]
fn a_failure_has_an_example_for_each_of_its_codes() {
    for (name, operation) in operations(&document()) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let content = &response["content"]["application/problem+json"];
            if content.is_null() {
                continue;
            }
            let examples = content["examples"].as_object().unwrap_or_else(|| panic!("{name} {status} has no example"));
            for (code, example) in examples {
                assert_eq!(example["value"]["code"], code.as_str(), "{name}");
                assert_eq!(example["value"]["status"].to_string(), *status, "{name}");
            }
        }
    }
}
