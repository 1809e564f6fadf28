//! `portal-server check`: what the portal stands on, asked one by one, and what is worth knowing about it.

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::iter::successors;
use std::time::Duration;

use portal_core::{BackendError, Probe};

/// Longest wait for one answer; a person waits for the table.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was asked.
    pub name: String,
    /// What was found.
    pub verdict: Verdict,
}

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As they should be.
    Fine,
    /// As they may be, but an operator should know.
    Warning(String),
    /// Not as they have to be: why, with the causes.
    Failed(String),
}

impl Finding {
    /// What an answer says about something; trouble is why it failed.
    pub fn of(name: impl Display, answer: Result<Verdict, BackendError>) -> Self {
        let verdict = answer.unwrap_or_else(|error| Verdict::Failed(chain(&error)));
        Self { name: name.to_string(), verdict }
    }

    /// Whether the portal can do its work all the same.
    #[must_use]
    pub fn is_acceptable(&self) -> bool {
        !matches!(self.verdict, Verdict::Failed(_))
    }
}

/// Waits for an answer, as long as a person would.
pub async fn patiently(name: impl Display, answer: impl Future<Output = Result<Verdict, BackendError>>) -> Finding {
    let Ok(answer) = tokio::time::timeout(PATIENCE, answer).await else {
        let verdict = Verdict::Failed(format!("no answer within {} s", PATIENCE.as_secs()));
        return Finding { name: name.to_string(), verdict };
    };
    Finding::of(name, answer)
}

/// Asks a probe.
pub async fn probe(probe: &dyn Probe) -> Finding {
    patiently(probe.name(), async { probe.probe().await.map(|()| Verdict::Fine) }).await
}

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    successors(Some(error), |&error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The findings as lines of a table.
#[must_use]
pub fn table(findings: &[Finding]) -> Vec<String> {
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or_default();
    let line = |Finding { name, verdict }: &Finding| match verdict {
        Verdict::Fine => format!("{name:width$}  ok"),
        Verdict::Warning(why) => format!("{name:width$}  WARNING  {why}"),
        Verdict::Failed(why) => format!("{name:width$}  FAILED  {why}"),
    };
    findings.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{Finding, Verdict, table};

    #[test]
    fn a_table_says_what_is_wrong_beside_what_is_right() {
        let finding = |name: &str, verdict| Finding { name: name.to_owned(), verdict };
        let findings = [
            finding("database", Verdict::Fine),
            finding("zone a.net", Verdict::Failed("the dns provider is unavailable: refused".to_owned())),
            finding("workspace", Verdict::Warning("shared".to_owned())),
        ];
        let expected = [
            "database    ok",
            "zone a.net  FAILED  the dns provider is unavailable: refused",
            "workspace   WARNING  shared",
        ];
        assert_eq!(table(&findings), expected);
        assert_eq!(findings.map(|finding| finding.is_acceptable()), [true, false, true]);
    }
}
