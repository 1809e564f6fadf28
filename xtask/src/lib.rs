//! The tools of this repository, behind `cargo xtask`.
//!
//! They start cargo, read what it prints and say plainly what passed, what failed and what could not be tried. They
//! know the shape of the repository and nothing of the product, which keeps them quick to build. House rules that can
//! be checked by reading files are tests in `tests/`.
//!
//! Start reading at [`tiers`]: a kind of test and what it needs from the machine is one entry there.

pub mod bench;
pub mod check;
pub mod openapi;
pub mod openclaw;
pub mod page;
pub mod sources;
pub mod table;
pub mod tally;
pub mod testing;
pub mod tiers;
pub mod workspace;
