//! Metrics of requests.

use std::sync::Arc;

use actix_web::http::Method;
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::Mutex;

use crate::fixture::{Fixture, request};

/// Remembers what was measured, by name and labels, in the order in which it was.
#[derive(Default)]
struct Measured(Arc<Mutex<Vec<String>>>);

/// A histogram that writes its name down with each value.
struct Named {
    name: String,
    measured: Arc<Mutex<Vec<String>>>,
}

impl HistogramFn for Named {
    fn record(&self, _: f64) {
        self.measured.lock().push(self.name.clone());
    }
}

impl Recorder for Measured {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        Histogram::from_arc(Arc::new(Named { name, measured: self.0.clone() }))
    }
}

#[actix_web::test]
async fn requests_are_measured_by_method_route_and_status_and_by_nothing_that_callers_choose() {
    let fixture = Fixture::new().await;
    let token = fixture.login("alice").await;
    let measured = Measured::default();
    let guard = metrics::set_default_local_recorder(&measured);
    for (method, path) in [
        (Method::GET, "/api/portal/me"),
        (Method::GET, "/api/portal/me"),
        (Method::HEAD, "/api/portal/me?q=1"),
        (Method::DELETE, "/api/portal/sessions/00ff"),
        (Method::GET, "/nothing/alice"),
        (Method::from_bytes(b"BREW").unwrap(), "/api/portal/me"),
    ] {
        fixture.ask(request(method, path, &token)).await;
    }
    drop(guard);
    let name = "http_server_request_duration_seconds";
    assert_eq!(
        *measured.0.lock(),
        [
            format!("{name} method=GET route=/api/portal/me status=200"),
            format!("{name} method=GET route=/api/portal/me status=200"),
            format!("{name} method=HEAD route=/api/portal/me status=200"),
            format!("{name} method=DELETE route=/api/portal/sessions/{{id}} status=404"),
            format!("{name} method=GET route=unmatched status=404"),
            format!("{name} method=OTHER route=/api/portal/me status=405"),
        ]
    );
}
