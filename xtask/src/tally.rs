//! Counting tests from what libtest prints, the only account of them that stable Rust offers.

/// Counts of one run of `cargo test`. Feed it every line with [`Tally::read`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: usize,
    /// The names of the tests that failed.
    pub failures: Vec<String>,
    /// Tests that were not run because they are marked `#[ignore]`.
    pub ignored: Vec<Ignored>,
    /// Failed tests by libtest's own count, which also covers what `failures` could not read.
    failed: usize,
    /// Test binaries that have begun and not yet ended.
    open: usize,
}

/// A test marked `#[ignore = "reason"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The test's path, as `module::test`.
    pub name: String,
    /// The reason given, or nothing.
    pub reason: String,
}

impl Tally {
    /// Takes one line of output into account.
    pub fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.open = self.open.saturating_sub(1);
            self.passed += count(counts, " passed");
            self.failed += count(counts, " failed");
        // A test that prints such a line is counted as a crash: rather that than a crash that is not counted.
        } else if is_opening(line) {
            self.open += 1;
        } else if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|test| test.split_once(" ... ")) {
            self.read_outcome(name, outcome.trim_end());
        }
    }

    fn read_outcome(&mut self, name: &str, outcome: &str) {
        if outcome.starts_with("FAILED") {
            self.failures.push(name.to_owned());
        } else if let Some(reason) = outcome.strip_prefix("ignored") {
            let reason = reason.trim_start_matches([',', ' ']).to_owned();
            self.ignored.push(Ignored { name: name.to_owned(), reason });
        }
    }

    /// Failed tests, given how cargo ended. A binary that began and never summed up (it aborted, or was killed) is one
    /// more; so is a cargo that failed without any failing test (nothing compiled).
    #[must_use]
    pub fn failed(&self, cargo_succeeded: bool) -> usize {
        let seen = self.failed.max(self.failures.len()) + self.open;
        if cargo_succeeded { seen } else { seen.max(1) }
    }
}

/// Every test binary says `running 12 tests` before anything else.
fn is_opening(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    matches!(words.as_slice(), ["running", number, "test" | "tests"] if number.parse::<usize>().is_ok())
}

/// The number before `word` in `ok. 5 passed; 0 failed; 1 ignored; ..`.
fn count(counts: &str, word: &str) -> usize {
    counts
        .split(';')
        .filter_map(|part| part.trim_end().strip_suffix(word))
        .filter_map(|part| part.rsplit(' ').next())
        .filter_map(|number| number.parse::<usize>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{Ignored, Tally};

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        tally
    }

    #[track_caller]
    fn check(output: &str, cargo_succeeded: bool, expected: (usize, usize)) {
        let tally = tally(output);
        assert_eq!((tally.passed, tally.failed(cargo_succeeded)), expected);
    }

    const GOOD: &str = "running 2 tests\ntest a ... ok\ntest b ... ok\n\n\
        test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
    const BAD: &str = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\n\
        test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn counts_of_all_binaries_are_added_up() {
        check(GOOD, true, (2, 0));
        check(&format!("{GOOD}{BAD}"), false, (3, 1));
        assert_eq!(tally(BAD).failures, ["b"]);
    }

    #[test]
    fn a_binary_that_crashes_is_a_failure() {
        check("running 3 tests\ntest a ... ok\n", false, (0, 1));
        check(&format!("running 3 tests\ntest a ... ok\n{GOOD}{BAD}"), false, (3, 2));
    }

    #[test]
    fn code_that_does_not_compile_is_a_failure() {
        check("error: could not compile `portal-core`\n", false, (0, 1));
    }

    #[test]
    fn ignored_tests_are_kept_with_their_reason() {
        let tally = tally("running 2 tests\ntest postgres::a ... ignored, tier postgres\ntest b ... ignored\n");
        let expected = [("postgres::a", "tier postgres"), ("b", "")]
            .map(|(name, reason)| Ignored { name: name.to_owned(), reason: reason.to_owned() });
        assert_eq!(tally.ignored, expected);
    }
}
