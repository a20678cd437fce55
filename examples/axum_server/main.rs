//! An API behind limits: one for each API key, one of exports at once, a memo in front of a slow
//! store, and a breaker around an upstream. Settings come from a file, and change at run time.
//!
//! ```text
//! cargo run --example axum_server
//! cargo run --example axum_server -- --load
//! cargo run --example axum_server -- --port 8080 --settings settings.toml
//! ```
//!
//! `api.rs` has the routes and their chains, `store.rs` and `upstream.rs` what is behind them.
//! `settings.rs` reads `settings.toml`, at the start and on each SIGHUP. With `--load`, `load.rs`
//! sends requests over real sockets, and checks that each limit held exactly.

mod api;
mod load;
mod settings;
mod store;
mod upstream;

use anyhow::Context;
use settings::{Handles, Settings};
use std::{env, net::Ipv4Addr, path::PathBuf, process::ExitCode};
use store::Store;
use tokio::net::TcpListener;
use upstream::Upstream;

const HELP: &str = "usage: axum_server [--load] [--port PORT] [--settings FILE]";

struct Options {
    load: bool,
    /// 0 for any free port.
    port: u16,
    settings: PathBuf,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Option<Self> {
        let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/axum_server/settings.toml");
        let mut options = Self { load: false, port: 0, settings: settings.into() };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--load" => options.load = true,
                "--port" => options.port = args.next()?.parse().ok()?,
                "--settings" => options.settings = args.next()?.into(),
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
    let run = if options.load { load::run(options).await } else { serve(options).await };
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The server, and what a load generator looks at from outside.
struct Server {
    url: String,
    store: Store,
    upstream: Upstream,
    reloads: settings::Reloads,
}

impl Server {
    /// Starts the server in tasks of this runtime.
    async fn start(options: &Options) -> anyhow::Result<Self> {
        let settings = Settings::read(&options.settings)?;
        let handles = Handles::new(&settings)?;
        let reloads = settings::reload_on_hangup(options.settings.clone(), handles.clone(), settings)?;
        let (store, upstream) = (Store::default(), Upstream::start().await?);
        let app = api::router(&handles, &store, &upstream)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.context("no port to listen on")?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async { axum::serve(listener, app).await });
        Ok(Self { url, store, upstream, reloads })
    }
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let Server { url, .. } = &Server::start(&options).await?;
    println!("try, from another terminal (the first line more than ten times):\n");
    println!("  curl -i -H 'x-api-key: ada' {url}/items/7");
    println!("  curl -i -H 'x-api-key: bob' {url}/weather/paris");
    println!("  curl {url}/stats\n");
    println!("change {}, and then: kill -HUP {}", options.settings.display(), std::process::id());
    tokio::signal::ctrl_c().await?;
    Ok(())
}
