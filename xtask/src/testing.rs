//! `cargo xtask test`: the tiers one after the other, and an account of them.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::Command;

use crate::tally::{Ignored, Tally};
use crate::tiers::{self, Machine, Start, TIERS, Tier, UNIT};
use crate::{table, workspace};

/// Which tiers the caller wants.
pub struct Selection {
    /// Those that must run.
    pub require: Vec<String>,
    /// Those to run and no others; empty means all.
    pub only: Vec<String>,
}

impl Selection {
    fn wants(&self, tier: &Tier) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == tier.name)
    }

    fn requires(&self, tier: &Tier) -> bool {
        self.require.iter().any(|name| name == tier.name)
    }
}

/// Outcome of a tier.
enum Outcome {
    Ran { tally: Tally, failed: usize },
    LeftOut { why: String, failed: usize },
}

/// Runs the tests and says whether all of them passed and every required tier ran.
///
/// # Errors
/// Cargo, or a server that the tests need, cannot be started.
pub fn run(selection: &Selection, machine: &Machine) -> anyhow::Result<bool> {
    let mut outcomes = Vec::new();
    for tier in &TIERS {
        outcomes.push((tier.name, run_tier(tier, selection, machine)?));
    }
    let failed = report(&outcomes)?;
    Ok(failed == 0)
}

fn run_tier(tier: &Tier, selection: &Selection, machine: &Machine) -> anyhow::Result<Outcome> {
    let left_out = |why| Outcome::LeftOut { why, failed: usize::from(selection.requires(tier)) };
    if !selection.wants(tier) {
        return Ok(left_out("not among those of --only".to_owned()));
    }
    let peers = match (tier.start)(machine) {
        Ok(Start::Ready(peers)) => peers,
        Ok(Start::Missing(why)) => return Ok(left_out(why)),
        // Programs that are there and do not work are a failure whoever asked for them.
        Err(error) => return Ok(Outcome::LeftOut { why: format!("{error:#}"), failed: 1 }),
    };
    let mut command = command(tier);
    command.envs(peers.env.iter().map(|(name, value)| (name, value)));
    let (tally, succeeded) = watch(command)?;
    let failed = tally.failed(succeeded);
    // A tier without tests proves nothing, and is more likely a filter that matches nothing.
    let failed = if tally.passed == 0 { failed.max(1) } else { failed };
    Ok(Outcome::Ran { tally, failed })
}

/// The cargo command that runs a tier's tests. It never stops at the first failing binary.
fn command(tier: &Tier) -> Command {
    let mut command = workspace::cargo(["test", "--workspace", "--no-fail-fast"]);
    if tier.name != UNIT {
        // Without documentation tests, of which `--ignored` would run blocks that are not meant to be run.
        command.args(["--lib", "--bins", "--tests", "--", "--ignored", &tiers::filter(tier.name)]);
    }
    command
}

/// Runs `command`, passes its output on as it comes and counts the tests in it.
fn watch(mut command: Command) -> anyhow::Result<(Tally, bool)> {
    // One pipe for both outputs: the compiler's words stay between the tests' where they were said.
    let (reader, writer) = io::pipe()?;
    let mut child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
    // The command holds our copies of the pipe's writing end; while they live the output has no end.
    drop(command);
    let mut tally = Tally::default();
    let mut output = BufReader::new(reader);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        io::stdout().write_all(&line)?;
        // A test may print bytes that are no text.
        tally.read(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok((tally, child.wait()?.success()))
}

/// Writes the account, and returns how much failed.
fn report(outcomes: &[(&str, Outcome)]) -> anyhow::Result<usize> {
    let mut out = io::stdout().lock();
    let (mut passed, mut failed, mut skipped, mut rows) = (0, 0, 0, Vec::new());
    writeln!(out)?;
    for (name, outcome) in outcomes {
        let row = match outcome {
            Outcome::Ran { tally, failed: here } => {
                let stray = stray(tally);
                stray.iter().try_for_each(|test| writeln!(out, "run by no tier: {} ({})", test.name, test.reason))?;
                tally.failures.iter().try_for_each(|test| writeln!(out, "failed: {test}"))?;
                passed += tally.passed;
                failed += here + stray.len();
                skipped += left_out_by(outcomes, tally);
                let note = note(tally, *here);
                let word = if here + stray.len() == 0 { "passed" } else { "failed" };
                [word.to_owned(), tally.passed.to_string(), (here + stray.len()).to_string(), note.to_owned()]
            }
            Outcome::LeftOut { why, failed: here } => {
                failed += here;
                let word = if *here == 0 { "left out" } else { "failed" };
                [word.to_owned(), String::new(), String::new(), why.clone()]
            }
        };
        let [word, passed_here, failed_here, note] = row;
        rows.push([(*name).to_owned(), word, passed_here, failed_here, note]);
    }
    table::write(&mut out, ["tier", "outcome", "passed", "failed", "note"], &rows)?;
    writeln!(out)?;
    let more = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    writeln!(out, "{passed} passed, {failed} failed{more}")?;
    Ok(failed)
}

/// Notes beside the numbers.
fn note(tally: &Tally, failed: usize) -> &'static str {
    if failed > tally.failures.len() && tally.passed > 0 {
        return "a test program did not reach its end, see above";
    }
    if tally.passed == 0 && tally.failures.is_empty() { "no test ran to its end" } else { "" }
}

/// Ignored tests that no tier would ever run: forgotten ones.
fn stray(tally: &Tally) -> Vec<&Ignored> {
    tally.ignored.iter().filter(|test| tiers::tier_of(test).is_none()).collect()
}

/// Returns the number of ignored tests whose tiers did not run.
fn left_out_by(outcomes: &[(&str, Outcome)], tally: &Tally) -> usize {
    let did_not_run =
        |name: &str| outcomes.iter().any(|(tier, outcome)| *tier == name && matches!(outcome, Outcome::LeftOut { .. }));
    tally.ignored.iter().filter(|test| tiers::tier_of(test).is_some_and(did_not_run)).count()
}
