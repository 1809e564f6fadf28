//! The portal's server: serves the API, or shows it with everything embedded.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use portal_core::error_text;
use portal_runtime::commands::{self, CommandError};
use portal_runtime::demo::{self, DemoLimits, DemoOptions};

/// Takes about a tenth off what a request costs, and more where the C library's own allocator is slow, as musl's is.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(version, about = "The Friend Portal: a namespace, hostnames, memory and schedules for an agent's friends")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run with everything embedded, on loopback, with two friends to try it as
    Demo(Demo),
    /// Serve the configured portal until it is told to stop
    Serve(Configured),
    /// Probe each backend of the configuration and say what is missing; exit code 1 if something is
    Check(Check),
    /// Bring the configured database up to this version
    Migrate(Configured),
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Args)]
struct Demo {
    /// Loopback address and port to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Listen on an address that is not loopback, such as 0.0.0.0:8080 in a container
    #[arg(long = "i-know-that-the-tokens-are-public")]
    tokens_are_public: bool,
    /// Folder for the database and the documents; created if missing, reused otherwise
    #[arg(long, value_name = "DIR", default_value = "./portal-demo")]
    data: PathBuf,
    /// Folder of Kubernetes YAML to show instead of the built-in workloads
    #[arg(long, value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// Limits per friend: default, off or lifted; for measurements
    #[arg(long, value_name = "LIMITS", default_value = "default", hide = true)]
    limits: DemoLimits,
}

#[derive(Args)]
struct Configured {
    /// The configuration; PORTAL_* variables overlay it
    #[arg(long, value_name = "FILE", env = "PORTAL_CONFIG", default_value = "portal.toml")]
    config: PathBuf,
}

#[derive(Args)]
struct Check {
    #[command(flatten)]
    configured: Configured,
    /// Print a JSON document instead of a table
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    // One line with all causes: a `Result` from main would print a backtrace where one is asked for.
    match run(Arguments::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell if standard error is closed.
            writeln!(std::io::stderr(), "error: {}", error_text(&error)).ok();
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, CommandError> {
    match command {
        Command::Demo(Demo { listen, tokens_are_public, data, manifests, limits }) => {
            demo::run(DemoOptions { listen, tokens_are_public, data, manifests, limits }).await?;
        }
        Command::Serve(configured) => commands::serve(&configured.config).await?,
        Command::Check(Check { configured, json }) => return commands::check(&configured.config, json).await,
        Command::Migrate(configured) => commands::migrate(&configured.config).await?,
        Command::Openapi => commands::print_openapi()?,
    }
    Ok(ExitCode::SUCCESS)
}
