//! Metrics of the background tasks and of the server; portal-api records those of requests.

use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use portal_dns::{PassReport, Status};

/// Statuses of stored exposures.
const STATUSES: [Status; 4] = [Status::Pending, Status::Active, Status::Removing, Status::Failed];

const EXPOSURES: &str = "portal_exposures";
const REPAIRED: &str = "portal_exposures_repaired_total";
const SWEPT: &str = "portal_exposures_swept_total";
const ORPHANS: &str = "portal_dns_orphans";
const CALLS_LEFT: &str = "portal_cloudflare_calls_left";

/// Installs the recorder of this process; what was recorded before is lost.
///
/// # Errors
/// The process has a recorder already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let recorded = PrometheusBuilder::new().install_recorder()?;
    describe();
    Ok(recorded)
}

fn describe() {
    describe_gauge!(EXPOSURES, "Exposures by status, when the last pass over all of them began");
    describe_counter!(REPAIRED, "Exposures that passes found other than wanted and worked on");
    describe_counter!(SWEPT, "Records and routes of exposures that are gone, found again and removed by passes");
    describe_gauge!(ORPHANS, "Records with this portal's marker that no exposure is known for, by the last pass");
    describe_gauge!(CALLS_LEFT, "Calls that could be made to Cloudflare right now, by the domains that share them");
}

/// Records the result of a pass over all exposures.
pub(crate) fn record_pass(report: &PassReport) {
    for status in STATUSES {
        let count = report.statuses.get(&status).copied().unwrap_or_default();
        gauge!(EXPOSURES, "status" => status.as_str()).set(number(count));
    }
    counter!(REPAIRED).increment(whole(report.repaired));
    counter!(SWEPT).increment(whole(report.swept));
    gauge!(ORPHANS).set(number(report.orphans.len()));
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

    use metrics_exporter_prometheus::PrometheusBuilder;
    use portal_dns::{PassReport, Status};

    use super::{describe, record_calls_left, record_pass};

    /// The lines that a report leaves behind, comments left out.
    fn lines(reports: &[PassReport]) -> Vec<String> {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            reports.iter().for_each(record_pass);
            record_calls_left("a.net,b.net", 1098);
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
            "portal_cloudflare_calls_left{domains=\"a.net,b.net\"} 1098",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected} is not in {lines:#?}");
        }
    }
}
