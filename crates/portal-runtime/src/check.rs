//! `portal-server check`: probes every backend, one after the other, and warns of settings that an operator should know.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use portal_core::{BackendError, Probe, error_text};
use serde_json::json;

/// Longest wait for one answer; a person waits for the table.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the thing that was checked.
    pub name: String,
    /// State it was found in.
    pub status: CheckStatus,
}

/// State of a thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckStatus {
    /// As they should be.
    Ok,
    /// As they may be, but an operator should know.
    Warning(String),
    /// Not as they have to be: why, with the causes.
    Failed(String),
}

impl Finding {
    /// Makes a finding of a probe's result; an error fails it, with all its causes.
    pub fn of(name: impl Display, answer: Result<CheckStatus, BackendError>) -> Self {
        let status = answer.unwrap_or_else(|error| CheckStatus::Failed(error_text(&error)));
        Self { name: name.to_string(), status }
    }

    /// Returns false if the portal cannot work with this.
    #[must_use]
    pub fn is_acceptable(&self) -> bool {
        !matches!(self.status, CheckStatus::Failed(_))
    }
}

/// Waits for an answer, as long as a person would.
pub async fn with_timeout(
    name: impl Display,
    answer: impl Future<Output = Result<CheckStatus, BackendError>>,
) -> Finding {
    let Ok(answer) = tokio::time::timeout(PROBE_TIMEOUT, answer).await else {
        let status = CheckStatus::Failed(format!("no answer within {} s", PROBE_TIMEOUT.as_secs()));
        return Finding { name: name.to_string(), status };
    };
    Finding::of(name, answer)
}

/// Asks a probe.
pub async fn probe(probe: &dyn Probe) -> Finding {
    with_timeout(probe.name(), async { probe.probe().await.map(|()| CheckStatus::Ok) }).await
}

/// Returns the findings as a JSON document: `{ok, findings: [{name, status, reason}]}`.
#[must_use]
pub fn json(findings: &[Finding]) -> String {
    let finding = |Finding { name, status }: &Finding| match status {
        CheckStatus::Ok => json!({"name": name, "status": "ok", "reason": null}),
        CheckStatus::Warning(reason) => json!({"name": name, "status": "warning", "reason": reason}),
        CheckStatus::Failed(reason) => json!({"name": name, "status": "failed", "reason": reason}),
    };
    let ok = findings.iter().all(Finding::is_acceptable);
    let document = json!({"ok": ok, "findings": findings.iter().map(finding).collect::<Vec<_>>()});
    format!("{document:#}")
}

/// The findings as lines of a table.
#[must_use]
pub fn table(findings: &[Finding]) -> Vec<String> {
    // As padding counts them below: in characters, not in bytes.
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or_default();
    let line = |Finding { name, status }: &Finding| match status {
        CheckStatus::Ok => format!("{name:width$}  ok"),
        CheckStatus::Warning(why) => format!("{name:width$}  WARNING  {why}"),
        CheckStatus::Failed(why) => format!("{name:width$}  FAILED  {why}"),
    };
    findings.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json as object;

    use super::{CheckStatus, Finding, json, table};

    #[test]
    fn a_table_says_what_is_wrong_beside_what_is_right() {
        let finding = |name: &str, status| Finding { name: name.to_owned(), status };
        let findings = [
            finding("database", CheckStatus::Ok),
            finding("zone a.net", CheckStatus::Failed("the dns provider is unavailable: refused".to_owned())),
            finding("workspace", CheckStatus::Warning("shared".to_owned())),
        ];
        let expected = [
            "database    ok",
            "zone a.net  FAILED  the dns provider is unavailable: refused",
            "workspace   WARNING  shared",
        ];
        assert_eq!(table(&findings), expected);
        let document: serde_json::Value = serde_json::from_str(&json(&findings)).unwrap();
        assert_eq!(document["ok"], false);
        let reason = "the dns provider is unavailable: refused";
        assert_eq!(document["findings"][1], object!({"name": "zone a.net", "status": "failed", "reason": reason}));
        assert_eq!(document["findings"][0], object!({"name": "database", "status": "ok", "reason": null}));
        assert_eq!(findings.map(|finding| finding.is_acceptable()), [true, false, true]);
    }
}
