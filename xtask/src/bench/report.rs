//! The table at the end.

use std::io::{self, Write as _};

use super::load::Sample;
use super::{Against, Measured, Operation, Options, Sides};
use crate::table;

/// The portal that knows many friends may cost this much more than the other.
const CROWD_GOAL: f64 = 1.10;

/// The portal may cost this much more than another build.
const BESIDE_GOAL: f64 = 1.10;

/// Prints what was measured, the median of the rounds.
pub(super) fn write(options: &Options, operations: &[Operation], measured: &[Measured]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let Options { friends, rounds, slice, connections, .. } = options;
    writeln!(out, "{rounds} rounds of {slice} ms, {connections} connections; crowded: {friends} more friends")?;
    writeln!(out)?;
    let head = ["requests/s", "bare", "portal", "limited", "crowded"];
    let rows: Vec<_> =
        operations.iter().zip(measured).map(|(operation, measured)| rates(operation, measured)).collect();
    table::write(&mut out, head, &rows)?;
    writeln!(out)?;
    let mut rows = Vec::new();
    for (operation, own) in operations.iter().zip(measured) {
        let unconditional = operations.iter().zip(measured).find(|(other, _)| other.path == operation.path);
        let reference = match operation.against {
            Against::Bare => median(&own.sides.bare, Sample::cost),
            Against::Unconditional => {
                unconditional.and_then(|(_, measured)| median(&measured.sides.portal, Sample::cost))
            }
        };
        rows.push(costs(operation, own, reference));
    }
    let head = ["CPU us/request", "bare", "portal", "limited", "crowded", "ratio", "goal", "crowded/portal", "goal"];
    table::write(&mut out, head, &rows)?;
    writeln!(out)?;
    writeln!(out, "ratio: portal/bare; with If-None-Match: to the portal's own cost without it")?;
    if options.beside.is_some() {
        writeln!(out)?;
        let rows: Vec<_> =
            operations.iter().zip(measured).map(|(operation, measured)| builds(operation, measured)).collect();
        table::write(&mut out, ["CPU us/request", "other build", "portal", "portal/other", "goal"], &rows)?;
    }
    Ok(())
}

fn rates(operation: &Operation, measured: &Measured) -> [String; 5] {
    let rate = |samples: &[Sample]| number(median(samples, Sample::requests_per_second), 0);
    let name = operation.name.to_owned();
    let Sides { bare, portal, limited, crowded } = &measured.sides;
    [name, rate(bare), rate(portal), rate(limited), rate(crowded)]
}

fn builds(operation: &Operation, measured: &Measured) -> [String; 5] {
    let other = median(&measured.beside, Sample::cost);
    let portal = median(&measured.sides.portal, Sample::cost);
    let ratio = divide(portal, other);
    let (other, portal) = (number(other, 1), number(portal, 1));
    [operation.name.to_owned(), other, portal, number(ratio, 2), goal_met(ratio, BESIDE_GOAL)]
}

fn costs(operation: &Operation, measured: &Measured, reference: Option<f64>) -> [String; 9] {
    let Sides { bare, portal, limited, crowded } = &measured.sides;
    let [bare, portal, limited, crowded] =
        [bare, portal, limited, crowded].map(|samples| median(samples, Sample::cost));
    let ratio = divide(portal, reference);
    let crowding = divide(crowded, portal);
    [
        operation.name.to_owned(),
        number(bare, 1),
        number(portal, 1),
        number(limited, 1),
        number(crowded, 1),
        number(ratio, 2),
        goal_met(ratio, operation.goal),
        number(crowding, 2),
        goal_met(crowding, CROWD_GOAL),
    ]
}

pub(super) fn divide(dividend: Option<f64>, divisor: Option<f64>) -> Option<f64> {
    divisor.filter(|divisor| *divisor > 0.0).and_then(|divisor| dividend.map(|dividend| dividend / divisor))
}

pub(super) fn goal_met(ratio: Option<f64>, goal: f64) -> String {
    let word = match ratio {
        Some(ratio) if ratio <= goal => "met",
        Some(_) => "missed",
        None => "not measured",
    };
    format!("{goal:.2} {word}")
}

pub(super) fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// The value in the middle; of an even number of them the lower of the two.
pub(super) fn median(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> Option<f64> {
    let mut values: Vec<f64> = samples.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Sample, goal_met, median};

    #[test]
    fn one_disturbed_round_does_not_move_the_median() {
        let sample = |milliseconds| Sample {
            requests: 1000,
            elapsed: Duration::from_secs(1),
            cpu: Duration::from_millis(milliseconds),
        };
        assert_eq!(median(&[sample(20), sample(500), sample(21)], Sample::cost), Some(21.0));
        assert_eq!(median(&[], Sample::cost), None);
    }

    #[test]
    fn a_goal_is_met_up_to_and_including_its_value() {
        assert_eq!(goal_met(Some(3.0), 3.0), "3.00 met");
        assert_eq!(goal_met(Some(3.01), 3.0), "3.00 missed");
        assert_eq!(goal_met(None, 3.0), "3.00 not measured");
    }
}
