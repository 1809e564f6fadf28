//! Metrics of the background tasks and of the server; portal-api records those of requests.

mod process;
mod runner;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use portal_dns::{PassReport, Status};

pub(crate) use self::runner::RunnerMetrics;

/// Statuses of stored exposures.
const STATUSES: [Status; 4] = [Status::Pending, Status::Active, Status::Removing, Status::Failed];

/// Upper bounds of the buckets of request durations, in seconds. Without bounds the exporter writes a summary, whose
/// quantiles cannot be added up over replicas.
const REQUEST_SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Recorded by portal-api.
const REQUESTS: &str = "http_server_request_duration_seconds";
const CONNECTIONS: &str = "http_server_connections";
const CLOSED: &str = "http_server_connections_closed_total";
const BUILD: &str = "portal_build_info";
const EXPOSURES: &str = "portal_exposures";
const REPAIRED: &str = "portal_exposures_repaired_total";
const SWEPT: &str = "portal_exposures_swept_total";
const ROWS_DELETED: &str = "portal_expired_rows_deleted_total";
const ORPHANS: &str = "portal_dns_orphans";
const CALLS_LEFT: &str = "portal_cloudflare_calls_left";
/// Recorded by portal-api.
const LIMITED: &str = "portal_requests_limited_total";
/// Recorded by portal-api.
const PROBE_UP: &str = "portal_probe_up";
/// Recorded by portal-api.
const EVENT_STREAMS: &str = "portal_event_streams";

/// Installs the recorder of this process; what was recorded before is lost.
///
/// # Errors
/// The process has a recorder already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let recorded = builder()?.install_recorder()?;
    describe();
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(recorded)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let buckets: [(&str, &[f64]); 3] = [
        (REQUESTS, &REQUEST_SECONDS),
        (runner::LATENESS, &runner::LATENESS_SECONDS),
        (runner::DELIVERY, &runner::DELIVERY_SECONDS),
    ];
    buckets.into_iter().try_fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)
    })
}

/// Returns all metrics in Prometheus' text format, those of the process as they are now.
pub(crate) fn render(recorded: &PrometheusHandle) -> String {
    // When somebody asks, so that no task has to keep them up to date.
    process::record();
    recorded.render()
}

fn describe() {
    process::describe();
    runner::describe();
    describe_gauge!(BUILD, "1, with the version of this portal as a label");
    describe_histogram!(REQUESTS, "Time from a request's head to its answer, by method, route and status, in seconds");
    describe_gauge!(CONNECTIONS, "Open connections of the public port");
    describe_counter!(CLOSED, "Connections that ended with an error, by reason; clients can cause every one of them");
    describe_counter!(LIMITED, "Requests refused with 429, by policy");
    describe_gauge!(EXPOSURES, "Exposures by status, when the last pass over all of them began");
    describe_counter!(REPAIRED, "Exposures that passes found other than wanted and worked on");
    describe_counter!(SWEPT, "Records and routes of exposures that are gone, found again and removed by passes");
    describe_counter!(ROWS_DELETED, "Expired rows that this replica deleted, by kind");
    describe_gauge!(ORPHANS, "Records with this portal's marker that no exposure is known for, by the last pass");
    describe_gauge!(EVENT_STREAMS, "Open event streams of friends");
    describe_gauge!(PROBE_UP, "1 while the backend that a probe asks is there, else 0");
    describe_gauge!(CALLS_LEFT, "Calls that could be made to Cloudflare right now, by the domains that share them");
}

/// Records the result of a pass over all exposures.
pub(crate) fn record_pass(report: &PassReport) {
    // Each of them: what no exposure has any more must go back to 0.
    for status in STATUSES {
        let count = report.statuses.get(&status).copied().unwrap_or_default();
        gauge!(EXPOSURES, "status" => status.as_str()).set(number(count));
    }
    counter!(REPAIRED).increment(whole(report.repaired));
    counter!(SWEPT).increment(whole(report.swept));
    gauge!(ORPHANS).set(number(report.orphans.len()));
}

/// Records the deletion of expired rows of a kind.
pub(crate) fn record_sweep(kind: &'static str, deleted: u64) {
    counter!(ROWS_DELETED, "kind" => kind).increment(deleted);
}

/// Records that a client connected.
pub(crate) fn connection_opened() {
    gauge!(CONNECTIONS).increment(1.0);
}

/// Records that a connection ended, in whatever way.
pub(crate) fn connection_ended() {
    gauge!(CONNECTIONS).decrement(1.0);
}

/// Records why a connection was closed or refused.
pub(crate) fn connection_closed(reason: &'static str) {
    counter!(CLOSED, "reason" => reason).increment(1);
}

/// Records the calls left to the domains that share a budget.
pub(crate) fn record_calls_left(domains: &str, left: usize) {
    gauge!(CALLS_LEFT, "domains" => domains.to_owned()).set(number(left));
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use portal_dns::{PassReport, Status};

    use super::{REQUESTS, builder, describe, record_calls_left, record_pass, record_sweep, render};

    #[test]
    fn request_durations_are_a_histogram_and_everything_has_a_help_text() {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        let text = metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::histogram!(REQUESTS, "route" => "/livez").record(0.003);
            record_pass(&PassReport::default());
            render(&handle)
        });
        for expected in [
            "http_server_request_duration_seconds_bucket{route=\"/livez\",le=\"0.0025\"} 0",
            "http_server_request_duration_seconds_bucket{route=\"/livez\",le=\"0.005\"} 1",
            "http_server_request_duration_seconds_bucket{route=\"/livez\",le=\"+Inf\"} 1",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} is not in {text}");
        }
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let name = line.split(' ').next().unwrap();
            assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help text");
        }
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }

    /// The lines that a report leaves behind, comments left out.
    fn lines(reports: &[PassReport]) -> Vec<String> {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            reports.iter().for_each(record_pass);
            record_calls_left("a.net,b.net", 1098);
            record_sweep("runs", 1_200);
        });
        handle.render().lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn counts_add_up_and_gauges_tell_of_the_last_pass() {
        let statuses = HashMap::from([(Status::Active, 3), (Status::Failed, 1)]);
        let first = PassReport { statuses, repaired: 2, swept: 1, ..PassReport::default() };
        let second =
            PassReport { statuses: HashMap::from([(Status::Active, 4)]), repaired: 1, ..PassReport::default() };
        let lines = lines(&[first, second]);
        for expected in [
            "portal_exposures{status=\"active\"} 4",
            "portal_exposures{status=\"failed\"} 0",
            "portal_exposures{status=\"pending\"} 0",
            "portal_exposures{status=\"removing\"} 0",
            "portal_exposures_repaired_total 3",
            "portal_exposures_swept_total 1",
            "portal_dns_orphans 0",
            "portal_expired_rows_deleted_total{kind=\"runs\"} 1200",
            "portal_cloudflare_calls_left{domains=\"a.net,b.net\"} 1098",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected} is not in {lines:#?}");
        }
    }
}
