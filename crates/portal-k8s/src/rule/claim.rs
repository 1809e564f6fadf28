//! Whether an expression claims a hostname.

use super::parse::Expression;
use super::pattern::{Fit, fit};

/// What is known of an expression's value when only the request's host is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// It holds for every request to that host.
    True,
    /// It depends on the rest of the request.
    Open,
    /// It holds for no request to that host.
    False,
}

/// An expression seen from one hostname.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    value: Value,
    /// Something in it names the hostname.
    named: bool,
}

impl Seen {
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

    /// The contrary names nothing: `!Host(a)` means all others.
    fn not(self) -> Self {
        let value = match self.value {
            Value::True => Value::False,
            Value::Open => Value::Open,
            Value::False => Value::True,
        };
        Self::of(value, false)
    }
}

impl Expression {
    /// Whether requests to `hostname`, in lower case, are meant by this expression.
    pub(super) fn claims(&self, hostname: &str) -> bool {
        let seen = self.seen_from(hostname);
        seen.can_hold() && seen.named
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

    fn seen_from(&self, hostname: &str) -> Seen {
        match self {
            Self::Any(parts) => {
                parts.iter().map(|part| part.seen_from(hostname)).fold(Seen::of(Value::False, false), Seen::or)
            }
            Self::All(parts) => {
                parts.iter().map(|part| part.seen_from(hostname)).fold(Seen::of(Value::True, false), Seen::and)
            }
            Self::Not(inner) => inner.seen_from(hostname).not(),
            Self::Host(names) if names.iter().any(|name| name == hostname) => Seen::of(Value::True, true),
            Self::Host(_) => Seen::of(Value::False, false),
            Self::HostPattern(patterns) => patterns
                .iter()
                .map(|pattern| fitted(fit(pattern, hostname)))
                .fold(Seen::of(Value::False, false), Seen::or),
            Self::Other => Seen::of(Value::Open, false),
        }
    }
}

fn fitted(fit: Fit) -> Seen {
    match fit {
        Fit::Accepts => Seen::of(Value::True, true),
        Fit::AcceptsAll => Seen::of(Value::True, false),
        Fit::Refuses => Seen::of(Value::False, false),
    }
}
