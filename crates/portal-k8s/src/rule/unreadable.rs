//! Rules that cannot be read, and the domains whose text they contain.

/// Domains in the text of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    domains: Vec<String>,
}

impl Unreadable {
    /// Collects the domains of two labels and more that a text contains, also in a regular expression.
    pub(super) fn of(text: &str) -> Self {
        let literal = unescaped(&text.to_ascii_lowercase());
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
        let words = literal.split(|letter| !is_part(letter)).map(|word| word.trim_matches('.'));
        let mut domains: Vec<_> = words.filter(|word| word.contains('.')).map(str::to_owned).collect();
        domains.sort_unstable();
        domains.dedup();
        Self { domains }
    }

    /// Tells whether `hostname` lies at or below one of the domains. Not only at a dot: in a pattern, the first label
    /// of the text may be the end of a longer one.
    pub(super) fn contains_domain_of(&self, hostname: &str) -> bool {
        self.domains.iter().any(|domain| hostname.ends_with(domain.as_str()))
    }
}

/// The text with `\.` and `[.]` as plain dots, and every escape that stands for more than itself as a space.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                // Two backslashes are one in double quotes, where `\\.` is the escaped dot.
                Some('\\') => {}
                Some(escaped) if !escaped.is_ascii_alphanumeric() => plain.push(escaped),
                _ => plain.push(' '),
            },
            letter => plain.push(letter),
        }
    }
    plain.replace("[.]", ".")
}
