//! `portal-server check`: what the portal stands on, probed one by one.

use std::error::Error;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use portal_core::Probe;

/// Longest wait for one probe; a person waits for the table.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one probe found.
#[derive(Debug)]
pub struct Finding {
    /// What was probed.
    pub name: &'static str,
    /// What is wrong, with its causes; `None` if it is as it should be.
    pub trouble: Option<String>,
}

/// Asks every probe, in order.
pub async fn probe(probes: &[Arc<dyn Probe>]) -> Vec<Finding> {
    let mut findings = Vec::with_capacity(probes.len());
    for probe in probes {
        let trouble = match tokio::time::timeout(PATIENCE, probe.probe()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(chain(&error)),
            Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        findings.push(Finding { name: probe.name(), trouble });
    }
    findings
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    successors(Some(error), |&error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The findings as lines of a table.
#[must_use]
pub fn table(findings: &[Finding]) -> Vec<String> {
    let width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or_default();
    let line = |finding: &Finding| match &finding.trouble {
        None => format!("{:width$}  ok", finding.name),
        Some(trouble) => format!("{:width$}  FAILED  {trouble}", finding.name),
    };
    findings.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{Finding, table};

    #[test]
    fn a_table_says_what_is_wrong_beside_what_is_right() {
        let findings = [
            Finding { name: "database", trouble: None },
            Finding { name: "dns", trouble: Some("the dns provider is unavailable: refused".to_owned()) },
        ];
        let expected = ["database  ok", "dns       FAILED  the dns provider is unavailable: refused"];
        assert_eq!(table(&findings), expected);
    }
}
