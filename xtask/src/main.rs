//! `cargo xtask`: what a contributor and the pipeline run. Cargo and a Rust toolchain are all that it needs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use xtask::tiers::{self, Machine};
use xtask::{bench, check, openapi, openclaw, page, testing};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Checks, tests and generates what is in this repository")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the tests, tier by tier, and end with what ran and what was left out
    Test(Test),
    /// Run everything that reads code without running it: format, clippy, documentation, house rules, cargo-deny
    Check,
    /// Write openapi/portal.json
    Openapi,
    /// Build the web page into crates/portal-page/dist (needs Node.js with npm)
    Page,
    /// Measure
    #[command(subcommand)]
    Bench(Bench),
    /// Gateways for the tier `gateway`
    #[command(subcommand)]
    Openclaw(Openclaw),
}

#[derive(Subcommand)]
enum Openclaw {
    /// Install the versions that the tests want from npm, 1.4 GB, into a folder
    Install {
        /// The folder, made if missing
        folder: PathBuf,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// Measure the cost of a request, beside a bare handler that returns the same bytes (builds in release mode)
    Api(Api),
    /// Measure the cost of exposing: with nothing behind it, and with a Cloudflare that takes 50 ms per call
    Expose(Expose),
    /// Measure the cost of the overview: from watches, from five lists per request, and through `kubectl proxy`
    Overview(Overview),
    /// Measure a friend's latency while strangers and another friend do their worst
    Hostile(Hostile),
    /// Measure many open event streams: their memory and CPU, and the time from a change to its events
    Events(Events),
    /// Measure very many jobs of one minute: how late they run, and what they leave of the portal for requests
    Cron(Cron),
}

#[derive(Args)]
struct Hostile {
    /// Length of each attack, in milliseconds
    #[arg(long, default_value_t = 15_000)]
    slice: u64,
    /// Build as for tests, to try the measurement out
    #[arg(long)]
    unoptimised: bool,
}

#[derive(Args)]
struct Events {
    /// Open streams, four of each friend
    #[arg(long, default_value_t = 5_000)]
    streams: u32,
    /// Changes whose events are waited for
    #[arg(long, default_value_t = 50)]
    changes: u32,
    /// Build as for tests, to try the measurement out
    #[arg(long)]
    unoptimised: bool,
}

#[derive(Args)]
struct Cron {
    /// Friends, each with fifty jobs
    #[arg(long, default_value_t = 200)]
    friends: u32,
    /// Minutes that are measured
    #[arg(long, default_value_t = 2)]
    minutes: u32,
    /// Numbers of portals that share one database
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    replicas: Vec<u32>,
    /// Databases to measure
    #[arg(long, value_delimiter = ',', default_values_t = ["sqlite", "postgres"].map(str::to_owned), value_parser = ["sqlite", "postgres"])]
    databases: Vec<String>,
    /// Build as for tests, to try the measurement out
    #[arg(long)]
    unoptimised: bool,
}

#[derive(Args)]
struct Expose {
    /// Build as for tests, to try the measurement out
    #[arg(long)]
    unoptimised: bool,
}

#[derive(Args)]
struct Overview {
    /// Namespaces of friends in the full cluster, ten objects each
    #[arg(long, default_value_t = 10_000)]
    namespaces: u32,
    /// Times that everything is measured; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Length of one measurement, in milliseconds
    #[arg(long, default_value_t = 2_000)]
    slice: u64,
    /// Connections that are kept busy
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// A folder with the programs of a Kubernetes control plane, instead of those that a Go module of ours builds
    #[arg(long, env = "KUBEBUILDER_ASSETS", value_name = "FOLDER")]
    kubernetes_programs: Option<PathBuf>,
    /// Build as for tests, to try the measurement out
    #[arg(long)]
    unoptimised: bool,
}

#[derive(Args)]
struct Api {
    /// Friends in the database of the portal that knows many
    #[arg(long, default_value_t = 100_000)]
    friends: u32,
    /// Times that everything is measured; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Length of one measurement, in milliseconds
    #[arg(long, default_value_t = 2_000)]
    slice: u64,
    /// Connections that are kept busy
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// A `portal-server` of another build, such as the last release's, to measure beside this one
    #[arg(long, value_name = "PROGRAM")]
    beside: Option<PathBuf>,
}

#[derive(Args)]
struct Test {
    /// Tiers that must run: one that cannot is a failure
    #[arg(long, value_delimiter = ',', value_name = "TIER,..", value_parser = PossibleValuesParser::new(tiers::names()))]
    require: Vec<String>,
    /// Run these tiers and no others
    #[arg(long, value_delimiter = ',', value_name = "TIER,..", value_parser = PossibleValuesParser::new(tiers::names()))]
    only: Vec<String>,
    /// A PostgreSQL server that the tier `postgres` may create databases in, instead of starting one of its own
    #[arg(long, env = "TEST_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// A folder with etcd, kube-apiserver, kube-controller-manager and kubectl for the tier `cluster`, instead of
    /// those that a Go module of ours builds
    #[arg(long, env = "KUBEBUILDER_ASSETS", value_name = "FOLDER")]
    kubernetes_programs: Option<PathBuf>,
    /// A folder with OpenClaw gateways for the tier `gateway`, as `cargo xtask openclaw install` makes it
    #[arg(long, env = "PORTAL_TEST_OPENCLAW", value_name = "FOLDER")]
    openclaw: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let passed = match Cli::parse().command {
        Command::Test(test) => {
            let Test { require, only, database_url, kubernetes_programs, openclaw } = test;
            testing::run(
                &testing::Selection { require, only },
                &Machine { database_url, kubernetes_programs, openclaw },
            )?
        }
        Command::Check => check::run()?,
        Command::Openapi => {
            openapi::write()?;
            true
        }
        Command::Openclaw(Openclaw::Install { folder }) => {
            openclaw::install(&folder)?;
            true
        }
        Command::Page => {
            page::build()?;
            true
        }
        Command::Bench(Bench::Api(api)) => {
            let Api { friends, rounds, slice, connections, beside } = api;
            bench::api(&bench::Options { friends, rounds, slice, connections, beside })?;
            true
        }
        Command::Bench(Bench::Expose(Expose { unoptimised })) => {
            bench::expose(unoptimised)?;
            true
        }
        Command::Bench(Bench::Hostile(Hostile { slice, unoptimised })) => {
            bench::hostile(&bench::HostileOptions { slice, unoptimised })?;
            true
        }
        Command::Bench(Bench::Events(Events { streams, changes, unoptimised })) => {
            bench::events(&bench::EventsOptions { streams, changes, unoptimised })?;
            true
        }
        Command::Bench(Bench::Cron(Cron { friends, minutes, replicas, databases, unoptimised })) => {
            bench::cron(&bench::CronOptions { friends, minutes, replicas, databases, unoptimised })?;
            true
        }
        Command::Bench(Bench::Overview(it)) => {
            let Overview { namespaces, rounds, slice, connections, kubernetes_programs, unoptimised } = it;
            let machine = Machine { database_url: None, kubernetes_programs, openclaw: None };
            bench::overview(&bench::OverviewOptions { namespaces, rounds, slice, connections, unoptimised }, &machine)?;
            true
        }
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
