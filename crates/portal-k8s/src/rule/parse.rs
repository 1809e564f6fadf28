//! From a rule's text to an expression.

use super::plain;

/// How deep parentheses and negations may go; Traefik's own parser would take more, nobody writes more.
const DEPTH_MAX: usize = 32;

/// A rule, as far as hosts are concerned.
#[derive(Debug, PartialEq, Eq)]
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
pub(super) fn parse(rule: &str) -> Option<Expression> {
    let mut reader = Reader { rest: rule };
    let expression = reader.any(DEPTH_MAX)?;
    reader.rest.trim_start().is_empty().then_some(expression)
}

struct Reader<'a> {
    rest: &'a str,
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
        Some(match name.to_ascii_lowercase().as_str() {
            "" => return None,
            "host" => Expression::Host(arguments.iter().map(|host| plain(host)).collect()),
            "hostregexp" => Expression::HostPattern(arguments),
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
            arguments.push(self.text()?);
        }
        Some(arguments)
    }

    /// A text in backticks, taken as it stands, or in double quotes, where a backslash escapes.
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
                // Only these escapes occur in hosts and patterns; any other one leaves the rule unread.
                (_, '\\') => text.push(letters.next().map(|(_, letter)| letter).filter(|it| ['\\', '"'].contains(it))?),
                (_, letter) => text.push(letter),
            }
        }
    }
}
