//! Traefik's rules: the hostnames that they name, and the hostnames that they claim.
//!
//! Read as Traefik 2 and 3 read them: ``Host(`a`) && (PathPrefix(`/x`) || !Method("GET"))``, names in any case,
//! arguments in backticks or double quotes, several arguments where the older syntax allows them.

mod claim;
mod parse;
mod pattern;
mod unreadable;

pub(crate) use parse::Protocol;
use parse::{Expression, parse};
use unreadable::Unreadable;

/// Returns the hostnames that a rule for HTTP names with `Host`, in order, once each, in lower case. One behind a `!`
/// is not named.
#[must_use]
pub fn hosts(rule: &str) -> Vec<String> {
    let mut hosts = Vec::new();
    if let Some(expression) = parse(rule, Protocol::Http) {
        expression.named_hosts(&mut hosts);
    }
    hosts
}

/// A rule, as far as hostnames are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostRule {
    expression: Option<Expression>,
    /// Texts of what could not be read; `None` if everything could.
    unreadable: Option<Unreadable>,
}

impl HostRule {
    /// Reads a rule of a router.
    pub(crate) fn parse(rule: &str, protocol: Protocol) -> Self {
        let expression = parse(rule, protocol);
        let is_readable = expression.as_ref().is_some_and(Expression::is_readable);
        Self { expression, unreadable: (!is_readable).then(|| Unreadable::of(rule)) }
    }

    /// A rule that accepts one hostname, or with `*.` before it every name that is one label longer.
    pub(crate) fn host(host: &str) -> Self {
        Self { expression: Some(Expression::Host(vec![plain(host)])), unreadable: None }
    }

    /// A rule that accepts one hostname, or with `*.` before it every longer name, as the Gateway API has it.
    pub(crate) fn gateway_host(host: &str) -> Self {
        let expression = match plain(host).strip_prefix("*.") {
            Some(parent) => Expression::HostPattern(vec![format!(r"^.+\.{}$", regex::escape(parent))]),
            None => Expression::Host(vec![plain(host)]),
        };
        Self { expression: Some(expression), unreadable: None }
    }

    /// Tells whether requests for `hostname`, in lower case, are meant by this rule: one of its matchers accepts the
    /// hostname, and the rule around it can be true then.
    ///
    /// It errs on the side of a claim, with two exceptions, because they name no host in particular and would
    /// otherwise forbid every exposure: a rule without any host, such as ``PathPrefix(`/dashboard`)``, and a matcher
    /// that accepts any host at all, such as ``HostRegexp(`.*`)``.
    pub(crate) fn claims(&self, hostname: &str) -> bool {
        match (&self.expression, &self.unreadable) {
            (Some(expression), unreadable) => expression.claims(hostname, unreadable.as_ref()),
            (None, Some(unreadable)) => unreadable.contains_domain_of(hostname),
            (None, None) => false,
        }
    }

    /// Tells whether all of the rule could be read, so that [`Self::claims`] is more than a suspicion.
    pub(crate) fn is_readable(&self) -> bool {
        self.unreadable.is_none()
    }

    /// Returns the only hostnames that this rule can claim; `None` if patterns make them too many to list.
    pub(crate) fn claimed_names(&self) -> Option<Vec<String>> {
        let expression = self.expression.as_ref().filter(|_| self.is_readable())?;
        let mut names = Vec::new();
        expression.collect_names(&mut names).then_some(names)
    }
}

/// A hostname as Traefik compares it: in lower case, without the dot at its end.
pub(crate) fn plain(hostname: &str) -> String {
    let hostname = hostname.trim().to_ascii_lowercase();
    hostname.strip_suffix('.').map(str::to_owned).unwrap_or(hostname)
}

#[cfg(test)]
mod tests;
