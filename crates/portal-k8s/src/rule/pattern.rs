//! `HostRegexp`: patterns of hostnames.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;

use regex::bytes::{Regex, RegexBuilder};

/// Longest pattern that is tried.
const PATTERN_MAX: usize = 1024;
/// Memory that a compiled pattern may take, in bytes.
const COMPILED_MAX: usize = 256 * 1024;
/// Compiled patterns that each thread holds on to: compiling costs a hundred times what matching does, and a pass
/// tries the same few patterns for every exposure.
const CACHE_CAPACITY: usize = 32;
/// A name that no zone can hold (RFC 2606): a pattern that accepts it accepts any host.
const NOBODYS_HOST: &str = "friend-portal.invalid";

thread_local! {
    static COMPILED: RefCell<HashMap<String, Option<Regex>>> = RefCell::default();
}

/// The relation of a pattern to a hostname.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It accepts the hostname and not every other.
    Accepts,
    /// It accepts any hostname.
    AcceptsAll,
    /// It does not accept the hostname.
    Refuses,
    /// It is no pattern, or one that would cost too much to try.
    Unreadable,
}

/// Tries a pattern on `hostname`, which is in lower case.
pub(super) fn fit(pattern: &str, hostname: &str) -> Fit {
    with_compiled(pattern, |regex| match regex {
        None => Fit::Unreadable,
        Some(regex) => match (regex.is_match(hostname.as_bytes()), regex.is_match(NOBODYS_HOST.as_bytes())) {
            (true, true) => Fit::AcceptsAll,
            (true, false) => Fit::Accepts,
            (false, _) => Fit::Refuses,
        },
    })
}

/// Tells whether a pattern can be tried.
pub(super) fn is_readable(pattern: &str) -> bool {
    with_compiled(pattern, |regex| regex.is_some())
}

fn with_compiled<T>(pattern: &str, work: impl FnOnce(Option<&Regex>) -> T) -> T {
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(known) = compiled.get(pattern) {
            return work(known.as_ref());
        }
        // A pass asks for the patterns in one order over and over, where dropping only the oldest would never hit.
        if compiled.len() >= CACHE_CAPACITY {
            compiled.clear();
        }
        work(compiled.entry(pattern.to_owned()).or_insert_with(|| compile(pattern)).as_ref())
    })
}

/// Traefik 3 takes a regular expression, not anchored; Traefik 2 a text with patterns in braces, anchored:
/// `{sub:[a-z]+}.example.net`. Without braces, what the latter takes for a text is an expression that accepts it too.
fn compile(pattern: &str) -> Option<Regex> {
    if pattern.len() > PATTERN_MAX {
        return None;
    }
    let text = if is_template(pattern) { from_template(pattern)? } else { without_quotations(pattern) };
    // Hostnames are ASCII, so `\d` and `\w` are the same with and without Unicode; only classes such as `\pL` need it.
    let build =
        |unicode| RegexBuilder::new(&text).unicode(unicode).case_insensitive(true).size_limit(COMPILED_MAX).build();
    build(false).or_else(|_| build(true)).ok()
}

/// The expression with texts in `\Q..\E`, which this crate's engine does not know, as escaped ones.
fn without_quotations(pattern: &str) -> String {
    let mut regex = String::new();
    let mut rest = pattern;
    while let Some((before, quoted)) = rest.split_once(r"\Q") {
        let (quoted, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
        regex.push_str(before);
        regex.push_str(&regex::escape(quoted));
        rest = after;
    }
    regex + rest
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

/// The text before the brace that closes a placeholder and the text after it; its pattern may contain braces.
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
