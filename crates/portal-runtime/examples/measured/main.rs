//! Portals that `cargo xtask bench` measures, and what prepares the ground for them; drives nothing itself.
//!
//! - `measured expose ADDRESS CONTROL DATA FRIENDS MILLISECONDS TARGET`: a portal on SQLite with a cluster in memory, its
//!   domain pointing at TARGET, a name or an IPv4 address. Its zone is in memory too, or, with MILLISECONDS, a scripted
//!   Cloudflare that takes so long for every call; `GET /` at CONTROL answers how many calls that got.
//! - `measured lists ADDRESS DATA KUBECONFIG`: a portal that asks the API server with every request for the overview.
//! - `measured seed DATA`: the database of a portal with one friend.
//! - `measured jobs URL FRIENDS JOBS START`: a database at URL with jobs that are due at START, in seconds since 1970, and
//!   every minute from then on; JOBS of each friend.
//! - `measured fill KUBECONFIG FROM TO`: objects in the namespaces of friends FROM to TO.
//!
//! Friend N is called `fN` and has the token `measured-fN`.

mod expose;
mod fill;
mod fixture;
mod jobs;
mod lists;

use std::path::Path;

use portal_core::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["expose", address, control, data, friends, milliseconds, target] => {
            let (friends, zone) = (friends.parse()?, (milliseconds.parse()?, target));
            expose::serve(address.parse()?, control.parse()?, (Path::new(data), friends), zone).await
        }
        ["lists", address, data, kubeconfig] => {
            lists::serve(address.parse()?, Path::new(data), Path::new(kubeconfig)).await
        }
        ["seed", data] => fixture::seed(Path::new(data), 1).await.map(drop),
        ["jobs", url, friends, jobs, start] => jobs::fill(url, (friends.parse()?, jobs.parse()?), start.parse()?).await,
        ["fill", kubeconfig, from, to] => fill::run(Path::new(kubeconfig), from.parse()?, to.parse()?).await,
        _ => Err("usage: measured expose|lists|seed|jobs|fill ..".into()),
    }
}
