//! The portal's server: serves the API, or shows it with everything embedded.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use portal_runtime::commands;
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
    Check(Configured),
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
    /// Folder for the database and the documents; made if it is not there, gone on with if it is
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

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Demo(Demo { listen, data, manifests, limits }) => {
            demo::run(DemoOptions { listen, data, manifests, limits }).await?;
        }
        Command::Serve(configured) => commands::serve(&configured.config).await?,
        Command::Check(configured) => return Ok(commands::check(&configured.config).await?),
        Command::Migrate(configured) => commands::migrate(&configured.config).await?,
        Command::Openapi => commands::print_openapi()?,
    }
    Ok(ExitCode::SUCCESS)
}
