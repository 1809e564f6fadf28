//! `domain list`.

use std::path::Path;

use clap::Subcommand;
use portal_dns::Target;
use portal_runtime::config::{self, DomainSettings, Provider};

use crate::failure::Failure;
use crate::output::{Output, plain};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// The domains of the configuration, the default first
    List,
}

pub(crate) fn run(verb: &Verb, config: &Path) -> Result<Output, Failure> {
    match verb {
        Verb::List => {
            let settings = config::load(config).map_err(|problems| Failure::Setup(Box::new(problems)))?;
            let rows = settings.domains.iter().map(row).collect();
            Ok(Output::list("domains", &["name", "target", "ttl", "provider", "retired"], rows))
        }
    }
}

fn row(settings: &DomainSettings) -> Vec<serde_json::Value> {
    let domain = &settings.domain;
    let target = match &domain.target {
        Target::Cname(name) => name.to_string(),
        Target::A(address) => address.to_string(),
        Target::Aaaa(address) => address.to_string(),
    };
    let provider = match &settings.provider {
        Provider::Cloudflare { .. } => "cloudflare",
        Provider::Rfc2136 { .. } => "rfc2136",
    };
    vec![
        plain(domain.name.to_string()),
        plain(target),
        plain(domain.ttl.seconds()),
        plain(provider),
        plain(domain.retired),
    ]
}
