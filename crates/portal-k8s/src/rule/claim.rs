//! The value of an expression for one hostname.

use super::parse::Expression;
use super::pattern::{Fit, fit};
use super::unreadable::Unreadable;

/// An expression's value while only the request's host is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// It holds for every request to that host.
    True,
    /// It depends on the rest of the request, or cannot be told.
    Open,
    /// It holds for no request to that host.
    False,
}

/// An expression's value for one hostname.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Evaluated {
    value: Value,
    /// Something in it names the hostname.
    named: bool,
}

impl Evaluated {
    const fn of(value: Value, named: bool) -> Self {
        Self { value, named }
    }

    fn can_hold(self) -> bool {
        self.value != Value::False
    }

    /// Both hold: it names the hostname if either does.
    fn and(self, other: Self) -> Self {
        let value = match (self.value, other.value) {
            (Value::False, _) | (_, Value::False) => Value::False,
            (Value::True, Value::True) => Value::True,
            _ => Value::Open,
        };
        Self::of(value, self.named || other.named)
    }

    /// One of both holds: it names the hostname if one that can hold does.
    fn or(self, other: Self) -> Self {
        let value = match (self.value, other.value) {
            (Value::True, _) | (_, Value::True) => Value::True,
            (Value::False, Value::False) => Value::False,
            _ => Value::Open,
        };
        Self::of(value, (self.can_hold() && self.named) || (other.can_hold() && other.named))
    }

    fn not(self) -> Self {
        let value = match self.value {
            Value::True => Value::False,
            Value::Open => Value::Open,
            Value::False => Value::True,
        };
        // The contrary names nothing: `!Host(a)` means all others.
        Self::of(value, false)
    }
}

impl Expression {
    /// Tells whether requests to `hostname`, in lower case, are meant by this expression.
    pub(super) fn claims(&self, hostname: &str, unreadable: Option<&Unreadable>) -> bool {
        let evaluated = self.evaluate(hostname, unreadable);
        evaluated.can_hold() && evaluated.named
    }

    /// Adds the hosts that are named outside of negations.
    pub(super) fn named_hosts(&self, hosts: &mut Vec<String>) {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().for_each(|part| part.named_hosts(hosts)),
            Self::Host(names) => {
                for name in names {
                    if !hosts.contains(name) {
                        hosts.push(name.clone());
                    }
                }
            }
            Self::Not(_) | Self::HostPattern(_) | Self::Other => {}
        }
    }

    /// Adds every name that a matcher accepts, negated or not; `false` if one accepts more than can be listed.
    pub(super) fn collect_names(&self, names: &mut Vec<String>) -> bool {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().all(|part| part.collect_names(names)),
            // `!(!Host(a))` claims a, so negated names are not left out.
            Self::Not(inner) => inner.collect_names(names),
            Self::Host(hosts) => {
                names.extend(hosts.iter().cloned());
                !hosts.iter().any(|host| host.contains('*'))
            }
            Self::HostPattern(_) => false,
            Self::Other => true,
        }
    }

    fn evaluate(&self, hostname: &str, unreadable: Option<&Unreadable>) -> Evaluated {
        let none = Evaluated::of(Value::False, false);
        match self {
            Self::Any(parts) => parts.iter().map(|part| part.evaluate(hostname, unreadable)).fold(none, Evaluated::or),
            Self::All(parts) => parts
                .iter()
                .map(|part| part.evaluate(hostname, unreadable))
                .fold(Evaluated::of(Value::True, false), Evaluated::and),
            Self::Not(inner) => inner.evaluate(hostname, unreadable).not(),
            Self::Host(names) => names.iter().map(|name| host(name, hostname)).fold(none, Evaluated::or),
            Self::HostPattern(patterns) => {
                let value = |pattern: &String| match fit(pattern, hostname) {
                    Fit::Accepts => Evaluated::of(Value::True, true),
                    Fit::AcceptsAll => Evaluated::of(Value::True, false),
                    Fit::Refuses => none,
                    Fit::Unreadable => {
                        Evaluated::of(Value::Open, unreadable.is_some_and(|text| text.contains_domain_of(hostname)))
                    }
                };
                patterns.iter().map(value).fold(none, Evaluated::or)
            }
            Self::Other => Evaluated::of(Value::Open, false),
        }
    }
}

/// `Host` of one name. Traefik 3.7 takes `*.` for exactly one label, and `*` for every host.
fn host(name: &str, hostname: &str) -> Evaluated {
    let accepts = match name.strip_prefix("*.") {
        Some(parent) => hostname.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => name == hostname,
    };
    match name {
        "*" => Evaluated::of(Value::True, false),
        _ if accepts => Evaluated::of(Value::True, true),
        _ => Evaluated::of(Value::False, false),
    }
}
