//! The tables at the end.

use std::io::{self, Write as _};

use super::{OBJECTS, OverviewOptions, Phase};
use crate::bench::load::Sample;
use crate::bench::report::{divide, goal_met, median, number};
use crate::table;

/// At least so many times the requests per second of lists.
const RATE_GOAL: f64 = 25.0;
/// At most so many times the CPU of the bare handler.
const COST_GOAL: f64 = 1.5;
/// A full cluster may make a request this much dearer.
const GROWTH_GOAL: f64 = 1.1;
/// Most memory per object, in bytes.
const MEMORY_GOAL: f64 = 2048.0;
/// Most seconds from a start to the first answer.
const READY_GOAL: f64 = 30.0;

/// Prints what was measured, the median of the rounds.
pub(super) fn write(options: &OverviewOptions, small: &Phase, full: &Phase) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let OverviewOptions { rounds, slice, connections, unoptimised, .. } = options;
    if *unoptimised {
        writeln!(out, "{}", crate::bench::UNOPTIMISED)?;
    }
    writeln!(out, "{rounds} rounds of {slice} ms, {connections} connections, {OBJECTS} objects per namespace")?;
    writeln!(out)?;
    let head = ["namespaces", "side", "requests/s", "CPU us/request"];
    table::write(&mut out, head, &[sides(small), sides(full)].concat())?;
    writeln!(out)?;
    table::write(&mut out, ["what", "measured", "goal"], &goals(small, full))?;
    writeln!(out)?;
    writeln!(out, "kubectl proxy: five requests count as one; the API server's own CPU is in no column")?;
    Ok(())
}

fn sides(phase: &Phase) -> Vec<[String; 4]> {
    let sides = [
        ("portal", &phase.portal),
        ("five lists", &phase.lists),
        ("kubectl proxy", &phase.proxy),
        ("bare", &phase.bare),
    ];
    let row = |(name, samples): (&str, &Vec<Sample>)| {
        let rate = median(samples, Sample::requests_per_second);
        [phase.namespaces.to_string(), name.to_owned(), number(rate, 0), number(median(samples, Sample::cost), 1)]
    };
    sides.into_iter().map(row).collect()
}

fn goals(small: &Phase, full: &Phase) -> Vec<[String; 3]> {
    let rate = |samples: &[Sample]| median(samples, Sample::requests_per_second);
    let cost = |samples: &[Sample]| median(samples, Sample::cost);
    let faster = divide(rate(&full.portal), rate(&full.lists));
    let met = faster.map_or("not measured", |faster| if faster >= RATE_GOAL { "met" } else { "missed" });
    let dearer = divide(cost(&full.portal), cost(&full.bare));
    let growth = divide(cost(&full.portal), cost(&small.portal));
    let objects = f64::from(full.namespaces) * f64::from(OBJECTS);
    let memory = divide(Some(mebibytes(full.resident) * 1024.0 * 1024.0), Some(objects));
    let ready = Some(full.ready.as_secs_f64());
    vec![
        ["requests/s, portal to five lists".to_owned(), number(faster, 1), format!("{RATE_GOAL:.0} at least, {met}")],
        ["CPU, portal to bare".to_owned(), number(dearer, 2), goal_met(dearer, COST_GOAL)],
        [
            format!("CPU, {} namespaces to {}", full.namespaces, small.namespaces),
            number(growth, 2),
            goal_met(growth, GROWTH_GOAL),
        ],
        [
            format!(
                "bytes per object ({:.1} MiB, with {} {:.1})",
                mebibytes(full.resident),
                small.namespaces,
                mebibytes(small.resident)
            ),
            number(memory, 0),
            goal_met(memory, MEMORY_GOAL),
        ],
        [
            "seconds from start to the first answer, 503 until then".to_owned(),
            number(ready, 1),
            goal_met(ready, READY_GOAL),
        ],
    ]
}

/// Sizes of processes are far from where a float is inexact.
fn mebibytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0
}
