//! A value that was understood and refused.

/// A value that its rule refuses: which field, and what is wrong with it.
///
/// The message is a whole sentence for the person who sent the value: it names the field, the rule and the allowed
/// values, because a portal page shows nothing else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// The member, parameter or setting that holds the value, as its sender wrote it.
    pub field: &'static str,
    /// What is wrong, as a sentence.
    pub message: String,
}

impl Invalid {
    /// A refusal of the value in `field`.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }

    /// Creates the refusal of a word that is none of `words`, of which there are at least two.
    #[must_use]
    pub fn not_one_of(field: &'static str, words: &[&str]) -> Self {
        let listed =
            words.split_last().map_or_else(String::new, |(last, rest)| format!("{} or {last}", rest.join(", ")));
        Self::new(field, format!("{field} must be {listed}"))
    }
}
