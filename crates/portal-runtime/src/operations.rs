//! The operations port: metrics, and probes that name what is missing.

use actix_web::web::{Data, Json, ServiceConfig};
use actix_web::{HttpResponse, get};
use portal_api::{Check, Readiness};
use serde_json::{Value, json};

/// Adds the probes.
pub(crate) fn configure(config: &mut ServiceConfig, readiness: Readiness) {
    config.app_data(Data::new(readiness)).service(show_liveness).service(show_readiness);
}

#[get("/livez")]
async fn show_liveness() -> Json<Value> {
    Json(json!({"ok": true, "version": env!("CARGO_PKG_VERSION")}))
}

#[get("/readyz")]
async fn show_readiness(readiness: Data<Readiness>) -> HttpResponse {
    let checks = readiness.checks().await;
    let missing = |required: bool| {
        checks
            .iter()
            .filter(|check| !check.ok && check.required == required)
            .map(|check| check.name)
            .collect::<Vec<_>>()
    };
    let mut required = missing(true);
    if readiness.is_draining() {
        // No probe says so: the backends are all there.
        required.push("stopping");
    }
    let others = missing(false);
    let (status, mut response) = match (required.is_empty(), others.is_empty()) {
        (true, true) => ("ready", HttpResponse::Ok()),
        // Still 200: without requests the portal could not even say what is missing.
        (true, false) => ("degraded", HttpResponse::Ok()),
        (false, _) => ("not-ready", HttpResponse::ServiceUnavailable()),
    };
    let missing: Vec<&str> = required.into_iter().chain(others).collect();
    let check = |check: &Check| json!({"name": check.name, "required": check.required, "ok": check.ok});
    response.json(json!({
        "status": status,
        "missing": missing,
        "checks": checks.iter().map(check).collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use actix_web::{App, rt};
    use async_trait::async_trait;
    use portal_api::Readiness;
    use portal_core::{Backend, BackendError, Probe};
    use serde_json::{Value, json};

    use super::configure;

    /// A probe with a fixed result.
    struct Fixed {
        name: &'static str,
        required: bool,
        ok: bool,
    }

    #[async_trait]
    impl Probe for Fixed {
        fn name(&self) -> &'static str {
            self.name
        }

        fn required(&self) -> bool {
            self.required
        }

        async fn probe(&self) -> Result<(), BackendError> {
            if self.ok { Ok(()) } else { Err(BackendError::unavailable(Backend::Database, "down")) }
        }
    }

    fn readiness(database: bool, disk: bool) -> Readiness {
        Readiness::new(vec![
            Arc::new(Fixed { name: "database", required: true, ok: database }),
            Arc::new(Fixed { name: "disk", required: false, ok: disk }),
        ])
    }

    #[track_caller]
    fn check(readiness: &Readiness, status: u16, word: &str, missing: &[&str]) {
        let reply = rt::System::new().block_on(async {
            let app = init_service(App::new().configure(|config| configure(config, readiness.clone()))).await;
            let response = call_service(&app, TestRequest::get().uri("/readyz").to_request()).await;
            let status = response.status().as_u16();
            let body: Value = read_body_json(response).await;
            (status, body)
        });
        assert_eq!((reply.0, &reply.1["status"], &reply.1["missing"]), (status, &json!(word), &json!(missing)));
    }

    #[test]
    fn readiness_names_what_is_missing_and_fails_only_for_what_is_required() {
        check(&readiness(true, true), 200, "ready", &[]);
        check(&readiness(true, false), 200, "degraded", &["disk"]);
        check(&readiness(false, false), 503, "not-ready", &["database", "disk"]);
    }

    #[test]
    fn a_portal_that_is_about_to_stop_is_not_ready() {
        let stopping = readiness(true, true);
        stopping.drain();
        check(&stopping, 503, "not-ready", &["stopping"]);
    }
}
