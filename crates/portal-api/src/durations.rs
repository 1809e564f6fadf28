//! Durations of requests, measured by method, route and status.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::Histogram;

/// The histograms of one worker by route, each taken from the recorder once: to make the labels and to find the
/// histogram by them would cost every request more than what is measured. A recorder has to be installed before the
/// first request, and keep histograms for good.
#[derive(Default)]
pub(crate) struct Durations(RefCell<HashMap<String, Vec<Measured>>>);

struct Measured {
    method: &'static str,
    status: StatusCode,
    histogram: Histogram,
}

impl Durations {
    /// Counts and times a request; nobody can make the number of labels grow.
    pub(crate) fn record(&self, method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
        // Not the path, with which anybody could make new labels.
        let (method, route) = (word(method), route.unwrap_or("unmatched"));
        let mut routes = self.0.borrow_mut();
        let of_route = match routes.get_mut(route) {
            Some(of_route) => of_route,
            None => routes.entry(route.to_owned()).or_default(),
        };
        let known = of_route.iter().find(|measured| measured.method == method && measured.status == status);
        if let Some(measured) = known {
            return measured.histogram.record(took);
        }
        let labels =
            [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.as_str().to_owned())];
        let histogram = metrics::histogram!("http_server_request_duration_seconds", &labels);
        histogram.record(took);
        of_route.push(Measured { method, status, histogram });
    }
}

/// Returns the method as a label; clients may send any word as a method.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
