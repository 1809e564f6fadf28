//! From a rule's text to an expression.

use std::str::CharIndices;

use super::{pattern, plain};

/// Deepest nesting of parentheses and negations; Traefik's own parser would take more, nobody writes more.
const DEPTH_MAX: usize = 32;

/// The matchers that a router knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `Host`, its alias `HostHeader` of Traefik 2, and `HostRegexp`.
    Http,
    /// `HostSNI` and `HostSNIRegexp`.
    Tcp,
}

/// A rule, as far as hosts are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// One of them holds.
    Any(Vec<Expression>),
    /// All of them hold.
    All(Vec<Expression>),
    /// It does not hold.
    Not(Box<Expression>),
    /// The request's host is one of these.
    Host(Vec<String>),
    /// The request's host fits one of these patterns.
    HostPattern(Vec<String>),
    /// Something else about the request.
    Other,
}

/// Reads a rule; `None` if it is none.
pub(super) fn parse(rule: &str, protocol: Protocol) -> Option<Expression> {
    let mut reader = Reader { rest: rule, protocol };
    let expression = reader.any(DEPTH_MAX)?;
    reader.rest.trim_start().is_empty().then_some(expression)
}

impl Expression {
    /// Tells whether every pattern in it can be tried.
    pub(super) fn is_readable(&self) -> bool {
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().all(Self::is_readable),
            Self::Not(inner) => inner.is_readable(),
            Self::HostPattern(patterns) => patterns.iter().all(|pattern| pattern::is_readable(pattern)),
            Self::Host(_) | Self::Other => true,
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    protocol: Protocol,
}

impl Reader<'_> {
    /// Takes `token` if it comes next.
    fn take(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.trim_start().strip_prefix(token) else { return false };
        self.rest = rest;
        true
    }

    fn any(&mut self, depth: usize) -> Option<Expression> {
        let mut parts = vec![self.all(depth)?];
        while self.take("||") {
            parts.push(self.all(depth)?);
        }
        Some(if parts.len() == 1 { parts.pop()? } else { Expression::Any(parts) })
    }

    fn all(&mut self, depth: usize) -> Option<Expression> {
        let mut parts = vec![self.one(depth)?];
        while self.take("&&") {
            parts.push(self.one(depth)?);
        }
        Some(if parts.len() == 1 { parts.pop()? } else { Expression::All(parts) })
    }

    fn one(&mut self, depth: usize) -> Option<Expression> {
        // Somebody else's text decides how deep this recursion goes.
        let depth = depth.checked_sub(1)?;
        if self.take("!") {
            return self.one(depth).map(|expression| Expression::Not(Box::new(expression)));
        }
        if self.take("(") {
            let inner = self.any(depth)?;
            return self.take(")").then_some(inner);
        }
        self.matcher()
    }

    fn matcher(&mut self) -> Option<Expression> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        let arguments = self.arguments()?;
        Some(match (self.protocol, name.to_ascii_lowercase().as_str()) {
            (_, "") => return None,
            (Protocol::Http, "host" | "hostheader") | (Protocol::Tcp, "hostsni") => {
                Expression::Host(arguments.iter().map(|host| plain(host)).collect())
            }
            (Protocol::Http, "hostregexp") | (Protocol::Tcp, "hostsniregexp") => Expression::HostPattern(arguments),
            _ => Expression::Other,
        })
    }

    fn arguments(&mut self) -> Option<Vec<String>> {
        if !self.take("(") {
            return None;
        }
        let mut arguments = Vec::new();
        while !self.take(")") {
            if !arguments.is_empty() && !self.take(",") {
                return None;
            }
            // As in Go, a comma may also follow the last argument.
            if !arguments.is_empty() && self.take(")") {
                break;
            }
            arguments.push(self.text()?);
        }
        Some(arguments)
    }

    /// A text in backticks, taken as it stands, or in double quotes with the escapes of Go.
    fn text(&mut self) -> Option<String> {
        if self.take("`") {
            let (text, rest) = self.rest.split_once('`')?;
            self.rest = rest;
            return Some(text.to_owned());
        }
        self.take("\"").then_some(())?;
        let mut text = String::new();
        let mut letters = self.rest.char_indices();
        loop {
            match letters.next()? {
                (at, '"') => {
                    self.rest = self.rest.get(at.saturating_add(1)..)?;
                    return Some(text);
                }
                (_, '\\') => text.push(escaped(&mut letters)?),
                (_, letter) => text.push(letter),
            }
        }
    }
}

/// The letter that an escape of Go stands for. Octal ones and those of control characters, which no host contains,
/// leave the rule unread.
fn escaped(letters: &mut CharIndices<'_>) -> Option<char> {
    let digits = match letters.next()?.1 {
        letter @ ('\\' | '"') => return Some(letter),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    (0..digits)
        .try_fold(0_u32, |code, _| {
            let digit = letters.next()?.1.to_digit(16)?;
            code.checked_mul(16)?.checked_add(digit)
        })
        .and_then(char::from_u32)
}
