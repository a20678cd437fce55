//! Four processes share one limit and one memo, while the server is killed and comes back empty.
//!
//! ```sh
//! cargo run -p decor-redis --example fleet                        # a server of its own
//! cargo run -p decor-redis --example fleet -- --svg fleet.svg     # with a chart
//! cargo run -p decor-redis --example fleet -- --local             # each goes on with its part
//! cargo run -p decor-redis --example fleet -- redis://127.0.0.1   # a server that stays up
//! ```
//!
//! Prints a table from the records of the processes, by the machine's monotonic clock. Fails if a
//! window held more calls than the limit, or if a key was loaded twice while the server was up.

mod chart;
mod records;
mod worker;

use chart::chart;
use decor_redis_testing::{MISSING, Server, monotonic};
use records::{most_in_any, most_loads, table};
use std::{env, error::Error, fs, process::ExitCode, thread, time::Duration};
use worker::Worker;

const PROCESSES: u32 = 4;
const LIMIT: u32 = 100;
/// Number of keys of the memo. Each process calls for each key several times.
const KEYS: u64 = 20;
const PERIOD: Duration = Duration::from_secs(1);
/// Time for which the processes call.
const LASTS: Duration = Duration::from_secs(9);
/// Moments at which the server is killed, and comes back.
const KILLED: Duration = Duration::from_secs(3);
const BACK: Duration = Duration::from_millis(4_500);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if let Some(url) = env::var_os("DECOR_FLEET_WORKER") {
        worker::work(url.to_str().ok_or("no URL")?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (mut url, mut svg, mut local) = (None, None, false);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--svg" => svg = arguments.next(),
            "--local" => local = true,
            _ => url = Some(argument),
        }
    }
    match url {
        Some(url) => Ok(run(&url, None, svg, local)?),
        None => match Server::start(&[]) {
            Some(server) => Ok(run(&server.url(), Some(server), svg, local)?),
            None => Err(MISSING.into()),
        },
    }
}

fn run(url: &str, server: Option<Server>, svg: Option<String>, local: bool) -> Result<ExitCode, Box<dyn Error>> {
    let begun = monotonic();
    let workers: Vec<_> = (0..PROCESSES).map(|_| Worker::start(url, local)).collect::<Result<_, _>>()?;
    let mut server = server;
    let down = server.as_mut().map(|server| {
        thread::sleep(KILLED);
        server.kill();
        let killed = monotonic();
        thread::sleep(BACK.saturating_sub(KILLED));
        server.restart();
        killed - begun..monotonic() - begun
    });
    let records: Vec<_> = workers.into_iter().map(|worker| worker.end(begun)).collect::<Result<_, _>>()?;
    drop(server);
    print!("{}", table(&records, down.as_ref()));
    if let Some(path) = svg {
        fs::write(&path, chart(&records, down.as_ref()))?;
        println!("the chart is in {path}");
    }
    let most = most_in_any(&records);
    let loads = most_loads(&records);
    if loads > 1 {
        eprintln!("a key was loaded {loads} times");
        return Ok(ExitCode::FAILURE);
    }
    if most > LIMIT as usize && !local {
        eprintln!("a window was exceeded: {most} calls within {PERIOD:?}, but the limit is {LIMIT}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
