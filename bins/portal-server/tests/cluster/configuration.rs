//! The portal's configuration.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use portal_adapters::cloudflare::{SCRIPTED_TOKEN, ScriptedCloudflare};

use crate::name_server::NameServer;

/// A domain of a configuration.
#[derive(Clone)]
pub(crate) struct Domain {
    pub(crate) name: String,
    retired: bool,
    target: &'static str,
    ttl: u32,
    entry_points: &'static str,
    provider: String,
}

impl Domain {
    /// A domain at Cloudflare.
    pub(crate) fn at_cloudflare(name: &str, cloudflare: &ScriptedCloudflare) -> Self {
        let provider = format!("cloudflare = {{ token = \"{SCRIPTED_TOKEN}\", api_url = \"{}\" }}", cloudflare.url());
        let (target, entry_points) = ("cname = \"ingress.example.org\"", "[\"web\"]");
        Self { name: name.to_owned(), retired: false, target, ttl: 300, entry_points, provider }
    }

    /// The same, but not offered any more.
    pub(crate) fn retired(&self) -> Self {
        Self { retired: true, ..self.clone() }
    }

    /// A domain at the tier's name server, the zone or a name below it, that points at the address where Traefik is.
    pub(crate) fn at_name_server(name: &str, server: &NameServer) -> Self {
        let NameServer { address, zone, key_name, key_algorithm, key_secret } = server;
        let provider = format!(
            "rfc2136 = {{ server = \"{address}\", zone = \"{zone}\", key_name = \"{key_name}\", \
             key_algorithm = \"{key_algorithm}\", key_secret = \"{key_secret}\" }}"
        );
        // Without entry points a route is for all of them.
        let (target, entry_points) = ("a = \"127.0.0.1\"", "[]");
        Self { name: name.to_owned(), retired: false, target, ttl: 60, entry_points, provider }
    }
}

/// Writes a configuration into a folder.
pub(crate) fn configuration(folder: &Path, kubeconfig: &Path, domains: &[Domain]) -> anyhow::Result<PathBuf> {
    let (folder_shown, kubeconfig) = (folder.display(), kubeconfig.display());
    let mut text = format!(
        r#"
# These tests ask faster than any friend does.
[limits]
enabled = false

[server]
listen = "127.0.0.1:0"
operations_listen = "127.0.0.1:0"

[page]
enabled = false

[log]
format = "json"

[database]
url = "sqlite:{folder_shown}/portal.db"

[cluster]
kubeconfig = "{kubeconfig}"
max_staleness_seconds = 20

[[agents]]
id = "main"
workspace = "{folder_shown}"

[delivery]
webhook_url = "http://127.0.0.1:9/nobody"
signature = "legacy"
webhook_secret = "nobody-needs-this-secret-of-32-bytes"
"#
    );
    for Domain { name, retired, target, ttl, entry_points, provider } in domains {
        write!(
            text,
            r#"
[[domains]]
name = "{name}"
target = {{ {target} }}
ttl = {ttl}
retired = {retired}
entry_points = {entry_points}
{provider}
"#
        )?;
    }
    let path = folder.join("portal.toml");
    std::fs::write(&path, text)?;
    Ok(path)
}
