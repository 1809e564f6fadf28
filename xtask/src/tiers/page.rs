//! The tests of the web page in a real browser, against a demo of their own.

use std::path::Path;

use super::{Machine, Peers, Start, Tier};
use crate::page::{self, Installed};

/// Needs Chromium, and Node.js with the page's npm packages, whose versions the lockfile pins.
pub(super) const TIER: Tier = Tier { name: "page", start };

/// Places of the browser: Debian's, and those of other systems.
const BROWSERS: [&str; 4] =
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];

fn start(_: &Machine) -> anyhow::Result<Start> {
    let Some(browser) = BROWSERS.iter().find(|program| Path::new(program).exists()) else {
        return Ok(Start::Missing("no Chromium: install Debian's chromium".to_owned()));
    };
    match page::install()? {
        Installed::Missing(why) => Ok(Start::Missing(why.to_owned())),
        Installed::Ready => {
            let env = vec![("TEST_BROWSER", (*browser).to_owned())];
            Ok(Start::Ready(Peers { env, running: Vec::new() }))
        }
    }
}
