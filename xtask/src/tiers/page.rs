//! The tests of the web page in a real browser, against a demo of their own and a configured portal on PostgreSQL.

use std::path::Path;

use super::{Machine, Start, Tier, postgres};
use crate::page::{self, Installed};

/// Needs Chromium, PostgreSQL as the tier `postgres` does, and Node.js with the page's npm packages, whose versions the lockfile pins.
pub(super) const TIER: Tier = Tier { name: "page", start };

/// Places of the browser: Debian's, and those of other systems.
const BROWSERS: [&str; 4] =
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];

fn start(machine: &Machine) -> anyhow::Result<Start> {
    let Some(browser) = BROWSERS.iter().find(|program| Path::new(program).exists()) else {
        return Ok(Start::Missing("no Chromium: install Debian's chromium".to_owned()));
    };
    if let Installed::Missing(why) = page::install()? {
        return Ok(Start::Missing(why.to_owned()));
    }
    let mut peers = match (postgres::TIER.start)(machine)? {
        Start::Ready(peers) => peers,
        missing @ Start::Missing(_) => return Ok(missing),
    };
    peers.env.push(("TEST_BROWSER", (*browser).to_owned()));
    Ok(Start::Ready(peers))
}
