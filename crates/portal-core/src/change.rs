//! A change of a part that may be empty.

use crate::Invalid;

/// A change of a part that may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// The part stays as it is.
    #[default]
    Keep,
    /// The part becomes empty.
    Clear,
    /// The part becomes this.
    Set(T),
}

impl<T> Change<T> {
    /// Writes the change into `part`, parsed.
    ///
    /// # Errors
    /// Refuses what `parse` refuses; `part` is then as it was.
    pub fn apply<P>(self, part: &mut Option<P>, parse: impl FnOnce(T) -> Result<P, Invalid>) -> Result<(), Invalid> {
        // Parsed before anything is written, so that a refusal leaves `part` as it was.
        self.parse(parse)?.write(part);
        Ok(())
    }

    /// Parses the value that is set.
    ///
    /// # Errors
    /// Refuses what `parse` refuses.
    pub fn parse<P>(self, parse: impl FnOnce(T) -> Result<P, Invalid>) -> Result<Change<P>, Invalid> {
        Ok(match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(parse(value)?),
        })
    }

    /// Writes the change into `part`.
    pub fn write(self, part: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *part = None,
            Self::Set(value) => *part = Some(value),
        }
    }

    /// Returns true if the part stays as it is.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}
