//! Shows in numbers why each resilience handle exists.
//!
//! ```text
//! cargo run --example resilience_lab
//! cargo run --example resilience_lab -- --svg FILE
//! ```
//!
//! One simulated service goes through six scenarios, and callers ask it through seven chains. All
//! of it runs in virtual time and from fixed seeds, so each run prints the same table. The
//! sentences below the table are computed from the numbers, and the program fails if one does not
//! hold.
//!
//! `chains.rs` has the chains, and is the part to copy. `service.rs` is the model of the service,
//! and `scenarios.rs` runs a chain through a scenario. `claims.rs` checks the sentences. `chart.rs`
//! draws a retry storm.

mod chains;
mod chart;
mod claims;
mod numbers;
mod scenarios;
mod service;
mod table;

use chains::Chain;
use claims::Claim;
use decor::prelude::*;
use scenarios::Results;
use service::Service;
use std::{env, fs, process::ExitCode};
use table::Table;

/// Returns a random number from 0 to 1, which depends on the arguments only.
fn dice(what: &str, n: u64) -> f64 {
    let mut mixed = what.bytes().fold(n, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from((mixed >> 32) as u32) / f64::from(u32::MAX)
}

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let svg = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => None,
        ["--svg", file] => Some(file),
        _ => {
            eprintln!("usage: cargo run --example resilience_lab -- [--svg FILE]");
            return ExitCode::from(2);
        }
    };
    let results = Results::of_all();
    let claims = claims::of(&results);
    print!("{}", report(&results, &claims));
    if let Some(file) = svg {
        if let Err(error) = fs::write(file, chart::storm(&results)) {
            eprintln!("error: `--svg {file}`: {error}");
            return ExitCode::FAILURE;
        }
    }
    if claims.iter().all(|claim| claim.holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns the table, the picture of the chain with all handles, and the claims.
fn report(results: &Results, claims: &[Claim]) -> String {
    let chain = Chain::All.around(&Service::new()).describe();
    let claims: Vec<_> = claims.iter().map(ToString::to_string).collect();
    format!("{}{chain}\n\n{}\n", Table(results), claims.join("\n"))
}

/// The documents are written anew by
/// `cargo run --example resilience_lab -- --svg docs/storm.svg > docs/resilience_lab.txt`.
#[test]
fn the_claims_hold_and_the_documents_show_this_run() {
    let results = Results::of_all();
    let claims = claims::of(&results);
    assert!(claims.iter().all(|claim| claim.holds));
    assert_eq!(report(&results, &claims), include_str!("../../docs/resilience_lab.txt"));
    assert_eq!(chart::storm(&results), include_str!("../../docs/storm.svg"));
}
