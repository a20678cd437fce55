//! A service with a page of metrics: calls by `.metered`, handles by an `Observer`.
//!
//! ```text
//! cargo run --example metrics                       # serves on port 9464, without traffic
//! cargo run --example metrics -- --load 600         # with traffic for ten minutes
//! cargo run --example metrics -- --check            # makes calls, scrapes itself twice, and compares
//! cargo run --example metrics -- --ask http://localhost:9090 # asks a Prometheus that scrapes the service
//! ```
//!
//! `service.rs` has the chain, its handles and the routes. README.md beside it says how to look at
//! the dashboard, `check.sh` runs all of it with a real Prometheus.

mod ask;
mod check;
mod load;
mod page;
mod service;
mod tier;

use anyhow::Context;
use service::Service;
use std::{env, net::Ipv4Addr, process::ExitCode, time::Duration};
use tokio::net::TcpListener;

const HELP: &str = "usage: metrics [--port PORT] [--load SECONDS | --check | --ask PROMETHEUS]";

/// The port of `prometheus.yml`.
const PORT: u16 = 9464;

struct Options {
    port: u16,
    mode: Mode,
}

enum Mode {
    /// Serves, with traffic for so long.
    Serve(Duration),
    Check,
    /// Asks the Prometheus at this address.
    Ask(String),
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self { port: PORT, mode: Mode::Serve(Duration::ZERO) };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--port" => options.port = args.next()?.parse().ok()?,
                "--load" => options.mode = Mode::Serve(Duration::from_secs(args.next()?.parse().ok()?)),
                "--check" => options.mode = Mode::Check,
                "--ask" => options.mode = Mode::Ask(args.next()?),
                _ => return None,
            }
        }
        Some(options)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(options) = Options::parse(env::args().skip(1)) else {
        eprintln!("{HELP}");
        return ExitCode::from(2);
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(Options { port, mode }: Options) -> anyhow::Result<()> {
    match mode {
        Mode::Serve(time) => {
            let (service, url) = start(port).await?;
            println!("metrics: {url}/metrics, an item: {url}/items/7");
            load::run(&service, &url, time).await?;
            std::future::pending().await // until the process is ended
        }
        Mode::Check => {
            let (service, url) = start(0).await?;
            check::run(&service, &url).await
        }
        Mode::Ask(prometheus) => ask::run(&prometheus, &format!("http://localhost:{port}")).await,
    }
}

/// Serves in a task of this runtime.
async fn start(port: u16) -> anyhow::Result<(Service, String)> {
    let service = Service::new()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.context("no port to listen on")?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = service.router();
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok((service, url))
}
