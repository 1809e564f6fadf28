//! A value that was understood and refused.

/// Rule of a refusal that has no more exact one.
const GENERAL_RULE: &str = "invalid";

/// Refusal of a value: the field, the rule that the value breaks, and a sentence.
///
/// The message is a whole sentence for the person who sent the value: it names the field, the rule and the allowed
/// values, because a portal page shows nothing else. Rule and parameters let a page say it in its own language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{message}")]
pub struct Invalid {
    /// The member, parameter or setting that holds the value, as its sender wrote it.
    pub field: &'static str,
    /// The sentence.
    pub message: String,
    /// The broken rule as a stable word, such as `pattern` or `max-bytes`.
    pub rule: &'static str,
    /// Values of the rule, by name: the pattern, the limit, the allowed words.
    pub params: Vec<(&'static str, String)>,
}

impl Invalid {
    /// Creates the refusal of the value in `field`, with the general rule.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into(), rule: GENERAL_RULE, params: Vec::new() }
    }

    /// Creates the refusal of a text that a regular expression does not match.
    pub fn not_matching(field: &'static str, pattern: &str, message: impl Into<String>) -> Self {
        Self::new(field, message).with_rule("pattern", [("pattern", pattern)])
    }

    /// Creates the refusal of a word that is none of `words`, of which there are at least two.
    #[must_use]
    pub fn not_one_of(field: &'static str, words: &[&str]) -> Self {
        let listed =
            words.split_last().map_or_else(String::new, |(last, rest)| format!("{} or {last}", rest.join(", ")));
        let message = format!("{field} must be {listed}");
        Self::new(field, message).with_rule("one-of", [("allowed", words.join(" "))])
    }

    /// Names the broken rule and its parameters.
    #[must_use]
    pub fn with_rule<V: Into<String>>(
        mut self,
        rule: &'static str,
        params: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self {
        self.rule = rule;
        self.params = params.into_iter().map(|(name, value)| (name, value.into())).collect();
        self
    }
}
