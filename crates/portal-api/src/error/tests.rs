use portal_core::{Backend, BackendError, Invalid, error_text};

use super::ApiError;

#[test]
fn trouble_behind_a_port_has_the_word_that_the_port_gives_it() {
    for backend in
        [Backend::Database, Backend::Cluster, Backend::Dns, Backend::Workspace, Backend::Gateway, Backend::Delivery]
    {
        let word = BackendError::failed(backend, "x").code();
        assert_eq!(ApiError::from(BackendError::failed(backend, "x")).problem("").code, word);
    }
}

#[test]
fn the_cause_of_a_failure_is_for_the_log_only() {
    let error = ApiError::from(BackendError::unavailable(Backend::Dns, "token sesame was refused"));
    let said = serde_json::to_string(&error.problem("id")).unwrap();
    assert!(!said.contains("sesame"), "{said}");
    let cause = error.cause.as_deref().unwrap();
    assert_eq!(error_text(cause), "the dns provider is unavailable: token sesame was refused");
}

#[test]
fn a_refused_value_is_named() {
    let invalid = Invalid::new("port", "port must be a number from 1 to 65535")
        .with_rule("range", [("min", "1"), ("max", "65535")]);
    let problem = ApiError::from(invalid).problem("r");
    let said = serde_json::to_value(&problem).unwrap();
    assert_eq!(
        said,
        serde_json::json!({
            "type": "urn:friend-portal:problem:value-invalid",
            "title": "A value was refused",
            "status": 422,
            "detail": "port must be a number from 1 to 65535",
            "error": "port must be a number from 1 to 65535",
            "code": "value-invalid",
            "request_id": "r",
            "errors": [{
                "field": "port",
                "message": "port must be a number from 1 to 65535",
                "rule": "range",
                "params": {"min": "1", "max": "65535"},
            }],
        })
    );
}
