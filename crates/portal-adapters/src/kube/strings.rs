//! Texts that many objects have in common, kept once.

use std::collections::HashSet;
use std::sync::Arc;

/// So many texts are kept before the first look for unused ones.
const FIRST_SWEEP: usize = 1024;

/// Texts in use.
pub(super) struct Strings {
    known: HashSet<Arc<str>>,
    sweep_at: usize,
}

impl Default for Strings {
    fn default() -> Self {
        Self { known: HashSet::new(), sweep_at: FIRST_SWEEP }
    }
}

impl Strings {
    /// Puts the known copy of a text in its place.
    pub(super) fn share(&mut self, text: &mut Arc<str>) {
        if let Some(known) = self.known.get(text) {
            *text = known.clone();
            return;
        }
        if self.known.len() >= self.sweep_at {
            // One reference is this set's own: no object shows the text any more.
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.sweep_at = self.known.len().saturating_mul(2).max(FIRST_SWEEP);
        }
        self.known.insert(text.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{FIRST_SWEEP, Strings};

    #[test]
    fn equal_texts_become_one_and_unused_ones_are_forgotten() {
        let mut strings = Strings::default();
        let (mut one, mut other): (Arc<str>, Arc<str>) = ("nginx".into(), "nginx".into());
        strings.share(&mut one);
        strings.share(&mut other);
        assert!(Arc::ptr_eq(&one, &other));
        for number in 0..3 * FIRST_SWEEP {
            strings.share(&mut Arc::from(number.to_string()));
        }
        assert!(strings.known.len() <= FIRST_SWEEP, "{}", strings.known.len());
        assert!(strings.known.contains("nginx"));
    }
}
