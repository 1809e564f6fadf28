//! `HostRegexp`: patterns of hostnames.

use std::fmt::Write;

use regex::bytes::{Regex, RegexBuilder};

/// Longest pattern that is tried; a longer one is taken to accept.
const PATTERN_MAX: usize = 1024;
/// Memory that a compiled pattern may take, in bytes; one that needs more is taken to accept.
const COMPILED_MAX: usize = 256 * 1024;
/// A name that no zone can hold (RFC 2606): what accepts it accepts any host.
const NOBODYS_HOST: &str = "friend-portal.invalid";

/// What a pattern says about a hostname.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It accepts the hostname and not every other.
    Accepts,
    /// It accepts any hostname.
    AcceptsAll,
    /// It does not accept the hostname.
    Refuses,
}

/// Whether a pattern accepts `hostname`, which is in lower case. One that cannot be read is taken to accept.
pub(super) fn fit(pattern: &str, hostname: &str) -> Fit {
    let Some(regex) = compile(pattern) else { return Fit::Accepts };
    match (regex.is_match(hostname.as_bytes()), regex.is_match(NOBODYS_HOST.as_bytes())) {
        (true, true) => Fit::AcceptsAll,
        (true, false) => Fit::Accepts,
        (false, _) => Fit::Refuses,
    }
}

/// Traefik 3 takes a regular expression, not anchored; Traefik 2 a text with patterns in braces, anchored:
/// `{sub:[a-z]+}.example.net`.
fn compile(pattern: &str) -> Option<Regex> {
    let text = if is_template(pattern) { from_template(pattern)? } else { pattern.to_owned() };
    if pattern.len() > PATTERN_MAX {
        return None;
    }
    // Hostnames are ASCII, and so are `\d` and `\w` in the expressions that Traefik reads.
    RegexBuilder::new(&text).unicode(false).case_insensitive(true).size_limit(COMPILED_MAX).build().ok()
}

/// A brace followed by a letter opens a template's placeholder; in a regular expression it would be a repetition and
/// be followed by a digit, or an escaped class.
fn is_template(pattern: &str) -> bool {
    let opens = |at: usize| {
        let escaped = pattern.get(..at).is_some_and(|before| before.ends_with('\\') || before.ends_with("\\p"));
        let next = pattern.get(at..).and_then(|brace| brace.chars().nth(1));
        !escaped && next.is_some_and(char::is_alphabetic)
    };
    pattern.match_indices('{').any(|(at, _)| opens(at))
}

fn from_template(template: &str) -> Option<String> {
    let mut regex = String::from("^");
    let mut rest = template;
    while let Some((literal, from_brace)) = rest.split_once('{') {
        let (placeholder, after) = placeholder(from_brace)?;
        let inner = placeholder.split_once(':').map_or("[^.]+", |(_, inner)| inner);
        write!(regex, "{}(?:{inner})", regex::escape(literal)).ok()?;
        rest = after;
    }
    regex.push_str(&regex::escape(rest));
    regex.push('$');
    Some(regex)
}

/// What stands before the brace that closes a placeholder, and what after it; its pattern may contain braces.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1_usize;
    let end = text.char_indices().find_map(|(at, letter)| {
        match letter {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth == 0).then_some(at)
    })?;
    Some((text.get(..end)?, text.get(end.checked_add(1)?..)?))
}
