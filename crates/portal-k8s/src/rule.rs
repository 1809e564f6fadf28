//! Traefik's rules: which hostnames they name, and whether one lays claim to a given hostname.
//!
//! Read as Traefik reads them: ``Host(`a`) && (PathPrefix(`/x`) || !Method("GET"))``, names in any case, arguments in
//! backticks or double quotes, several arguments where the older syntax allows them. What cannot be read is taken to
//! claim every hostname whose text it contains.

mod claim;
mod parse;
mod pattern;

/// Hostnames that the rule names with `Host`, in order, once each, in lower case. One behind a `!` is not named.
#[must_use]
pub fn hosts(rule: &str) -> Vec<String> {
    let mut hosts = Vec::new();
    if let Some(expression) = parse::parse(rule) {
        expression.named_hosts(&mut hosts);
    }
    hosts
}

/// Whether requests for `hostname` are already meant by this rule: one of its `Host` or `HostRegexp` accepts the
/// hostname, and the rule around it can be true then.
///
/// It errs on the side of "yes", with two exceptions, because they name no host in particular and would otherwise
/// forbid every exposure: a rule without any host, such as ``PathPrefix(`/dashboard`)``, and a pattern that accepts
/// any host at all, such as ``HostRegexp(`.*`)``.
#[must_use]
pub fn claims(rule: &str, hostname: &str) -> bool {
    let hostname = plain(hostname);
    let folded = rule.to_ascii_lowercase();
    // Most rules do not even mention the hostname, and only patterns can mean what they do not mention.
    if !folded.contains(&hostname) && !folded.contains("hostregexp") {
        return false;
    }
    match parse::parse(rule) {
        Some(expression) => expression.claims(&hostname),
        None => folded.contains(&hostname),
    }
}

/// A hostname as Traefik compares it: in lower case, without the dot at its end.
fn plain(hostname: &str) -> String {
    let hostname = hostname.trim().to_ascii_lowercase();
    hostname.strip_suffix('.').map(str::to_owned).unwrap_or(hostname)
}

#[cfg(test)]
mod tests;
