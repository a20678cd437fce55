//! Threads without `async`. Sync functions have the same decorators, and share limiters and memos
//! with tasks.
//!
//! ```text
//! cargo run --example blocking
//! cargo run --example blocking -- "prompt one" "prompt two"
//! RUST_LOG=info,decor=debug cargo run --example blocking
//! ```
//!
//! Without prompts there are two parts. In `together.rs`, threads and tasks fetch the same pages
//! through one limiter and one memo. In `client.rs`, a sync client sends prompts to the server of
//! the example `llm_client`, which throttles, fails and hangs. `http.rs` is the HTTP of that
//! client. With prompts, only the client runs.

#[path = "../llm_client/chat.rs"]
mod chat;
mod client;
mod http;
#[path = "../llm_client/log.rs"]
mod log;
#[path = "../llm_client/server.rs"]
#[allow(dead_code)] // here the server never dies
mod server;
mod together;

use std::{env, process::ExitCode, sync::Arc};
use tokio::runtime::Runtime;

/// The default prompts. One of them appears twice, so that the memo answers the second call.
const PROMPTS: [&str; 7] = [
    "What is a thread?",
    "What is a task?",
    "Which of the two is cheaper to wait with?",
    "Can a thread be cancelled?",
    "What is a thread?",
    "Name three uses of a semaphore.",
    "Explain back pressure to a plumber.",
];

fn main() -> ExitCode {
    log::to_stderr();
    match run(env::args().skip(1).map(Arc::from).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut prompts: Vec<Arc<str>>) -> anyhow::Result<()> {
    if prompts.is_empty() {
        // The tasks run on the runtime's worker threads. This thread is not one of them.
        let runtime = Runtime::new()?;
        together::run(&runtime)?;
        println!();
        prompts = PROMPTS.map(Arc::from).to_vec();
    }
    client::run(&prompts)
}
