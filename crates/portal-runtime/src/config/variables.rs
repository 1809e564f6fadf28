//! Variables that are settings, and those that only look like it.
//!
//! A setting is `PORTAL_<SECTION>__<KEY>`. For every Service of its namespace Kubernetes sets variables such as
//! `PORTAL_PORT` or `PORTAL_PAGE_SERVICE_HOST`; they are nobody's setting and nobody's mistake.

use std::collections::{BTreeSet, HashMap};

use super::Problem;

const PREFIX: &str = "PORTAL_";
/// Between a section and a key.
const SEPARATOR: &str = "__";
/// Names the configuration itself.
const FILE: &str = "PORTAL_CONFIG";

/// Splits variables into the settings, and the names of those that are neither a setting nor Kubernetes'.
pub(super) fn split(variables: HashMap<String, String>) -> (HashMap<String, String>, Vec<String>) {
    let ours = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX) && name != FILE);
    let (settings, others): (HashMap<_, _>, HashMap<_, _>) = ours.partition(|(name, _)| name.contains(SEPARATOR));
    let mut others: Vec<String> = others.into_keys().filter(|name| !is_service_link(name)).collect();
    // They come out of a map in any order, and an operator compares two lists of problems.
    others.sort();
    (settings, others)
}

/// Returns true for the names that Kubernetes makes of a Service's name: `<NAME>_SERVICE_HOST`, `<NAME>_SERVICE_PORT`
/// with or without the port's name, `<NAME>_PORT`, and `<NAME>_PORT_<number>_<protocol>` with or without `_PROTO`,
/// `_PORT` or `_ADDR`.
fn is_service_link(name: &str) -> bool {
    let is_port = |rest: &str| {
        let mut parts = rest.split('_');
        let (number, protocol) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let ending = parts.next();
        number.parse::<u16>().is_ok()
            && ["TCP", "UDP", "SCTP"].contains(&protocol)
            && ending.is_none_or(|ending| ["PROTO", "PORT", "ADDR"].contains(&ending))
            && parts.next().is_none()
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.match_indices("_PORT_").any(|(at, found)| is_port(name.get(at + found.len()..).unwrap_or_default()))
}

/// Names the variable that a problem is about, `PORTAL_SERVER__LISTEN` for `server.listen`; of a problem with a whole
/// section, the variables in it.
pub(super) fn name_source(problem: &mut Problem, variables: &BTreeSet<String>) {
    let name = format!("{PREFIX}{}", problem.key.to_uppercase().replace('.', SEPARATOR));
    let section = format!("{name}{SEPARATOR}");
    let inside: Vec<&str> =
        variables.iter().map(String::as_str).filter(|variable| variable.starts_with(&section)).collect();
    if variables.contains(&name) {
        problem.key = name;
    } else if !inside.is_empty() {
        problem.message = format!("{} (set by variables: {})", problem.message, inside.join(", "));
    }
}

/// Returns the problem of a variable that looks like a setting and is none.
pub(super) fn unknown(name: &str) -> Problem {
    let message = "is a variable but no setting: those are PORTAL_<SECTION>__<KEY>, such as PORTAL_DATABASE__URL";
    Problem { key: name.to_owned(), message: message.to_owned() }
}
