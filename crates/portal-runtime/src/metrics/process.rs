//! Metrics of the process itself, under the names that Prometheus' own client libraries use. Linux only: elsewhere
//! there is no `/proc`, and they are absent.

use std::fs;

use metrics::{describe_gauge, gauge};

const CPU: &str = "process_cpu_seconds_total";
const MEMORY: &str = "process_resident_memory_bytes";
const THREADS: &str = "process_threads";
const DESCRIPTORS: &str = "process_open_fds";
const DESCRIPTORS_MAX: &str = "process_max_fds";
const STARTED: &str = "process_start_time_seconds";

/// Clock ticks per second in `/proc`: the kernel's `USER_HZ`, which is 100 on every architecture that Rust supports.
const TICKS: f64 = 100.0;

pub(super) fn describe() {
    describe_gauge!(CPU, "CPU time used so far, in user and kernel mode, in seconds");
    describe_gauge!(MEMORY, "Resident memory in bytes");
    describe_gauge!(THREADS, "Threads of the process");
    describe_gauge!(DESCRIPTORS, "Open file descriptors");
    describe_gauge!(DESCRIPTORS_MAX, "Most file descriptors that the process may open");
    describe_gauge!(STARTED, "Start of the process, in seconds since 1970");
}

/// Reads the present values.
pub(super) fn record() {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let (stat, status) = (read("/proc/self/stat"), read("/proc/self/status"));
    set(CPU, cpu_seconds(&stat));
    set(MEMORY, after(&status, "VmRSS:").map(|kibibytes| kibibytes * 1024.0));
    set(THREADS, after(&status, "Threads:"));
    set(DESCRIPTORS, fs::read_dir("/proc/self/fd").ok().map(|open| super::number(open.count())));
    set(DESCRIPTORS_MAX, after(&read("/proc/self/limits"), "Max open files"));
    // The kernel gives the start of a process in ticks since it booted.
    let booted = after(&read("/proc/stat"), "btime");
    set(STARTED, booted.and_then(|booted| Some(booted + field(&stat, 22)? / TICKS)));
}

fn set(name: &'static str, value: Option<f64>) {
    if let Some(value) = value {
        gauge!(name).set(value);
    }
}

/// User and system time.
fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS)
}

/// A numeric field of `/proc/self/stat`, counted from 1 as proc(5) does. The second one is the program's name in
/// parentheses and may contain blanks, so counting starts behind it.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// The number behind `label` on the line that begins with it.
fn after(text: &str, label: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{after, cpu_seconds, field};

    const STAT: &str = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 25 17 0 0 20 0 3 0 123400 1 2";

    #[test]
    fn fields_are_counted_behind_a_name_with_blanks() {
        assert_eq!(cpu_seconds(STAT), Some(0.42));
        assert_eq!(field(STAT, 22), Some(123_400.0));
        assert_eq!(field("", 22), None);
    }

    #[test]
    fn a_number_is_read_from_its_line() {
        assert_eq!(after("Name:\ta\nVmRSS:\t   12 kB\nThreads:\t3\n", "VmRSS:"), Some(12.0));
        assert_eq!(
            after("Max open files            1024                 524288               files", "Max open files"),
            Some(1024.0)
        );
        assert_eq!(after("Name:\ta\n", "VmRSS:"), None);
    }
}
