//! Examples of problem documents: for each failure of each operation those that it can have.

use serde_json::{Value, json};
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr};

use super::{CODES, Code, PROBLEM_JSON};

/// Parts of a word, with the part of a path that an operation with such failures has. Words without a row can occur
/// everywhere.
const AREAS: &[(&str, &[&str])] = &[
    ("agent-", &["/workspace"]),
    ("job-limit-reached", &["/crons", "/messages"]),
    ("job-", &["/crons"]),
    ("run-", &["/crons"]),
    ("unsupported", &["/crons"]),
    ("session-not-owned", &["/crons"]),
    ("delivery-", &["/crons"]),
    ("gateway-", &["/crons"]),
    ("document-", &["/memory", "/heartbeat", "/friend-notes"]),
    ("version-", &["/versions/"]),
    ("precondition-", &["/memory", "/heartbeat"]),
    ("workspace-", &["/workspace"]),
    ("session-not-found", &["/sessions/"]),
    ("exposure-not-found", &["/expose/"]),
    ("namespace-not-found", &["/expose"]),
    ("service-not-found", &["/expose"]),
    ("hostname-", &["/expose"]),
    ("exposure-limit", &["/expose"]),
    ("friend-unknown", &["/expose", "/crons", "/messages", "/settings"]),
    ("dns-", &["/expose"]),
    ("cluster-", &["/namespace"]),
    ("header-malformed", &["/namespace", "/memory", "/heartbeat", "/friend-notes"]),
    ("query-malformed", &["/workspace", "/activity"]),
    ("not-ready", &["/readyz"]),
];

/// Adds an example per code to every failure that the document lists.
pub(crate) fn add(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            add_to(operation, path);
        }
    }
}

fn add_to(operation: &mut Operation, path: &str) {
    let takes_body = operation.request_body.is_some();
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let Some(RefOr::T(content)) = response.content.get_mut(PROBLEM_JSON) else { continue };
        let codes = CODES.iter().filter(|code| code.status.as_str() == status && code.is_possible(path, takes_body));
        content.examples = codes.map(|code| (code.word.to_owned(), RefOr::T(code.example()))).collect();
    }
}

impl Code {
    fn is_possible(&self, path: &str, takes_body: bool) -> bool {
        if matches!(self.word, "body-malformed" | "value-invalid") {
            return takes_body;
        }
        let area = AREAS.iter().find(|(part, _)| self.word.starts_with(part));
        area.is_none_or(|(_, paths)| paths.iter().any(|part| path.contains(part)))
    }

    fn example(&self) -> Example {
        ExampleBuilder::new().summary(self.title).value(Some(self.document())).build()
    }

    fn document(&self) -> Value {
        let detail = format!("{}.", self.title);
        json!({
            "type": format!("urn:friend-portal:problem:{}", self.word),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": detail,
            "error": detail,
            "code": self.word,
            "request_id": "0f8c1d7a94f35f7a2b6ad1fd1d6f2f3c",
            "errors": [],
        })
    }
}
