//! Plain threads, no `async` in sight: sync functions have the same decorators, and share limiters and memos with tasks.
//!
//! ```text
//! cargo run --example blocking
//! cargo run --example blocking -- "prompt one" "prompt two"
//! RUST_LOG=info,decor=debug cargo run --example blocking
//! ```
//!
//! Without prompts there are two parts. In `together.rs` threads and tasks fetch the same pages, by way of one limiter
//! and one memo. In `client.rs` a sync client asks the throttling, failing, hanging server of the example `llm_client`
//! some prompts; `http.rs` is as much HTTP as that needs. With prompts, only the client runs, and asks those.

#[path = "../llm_client/chat.rs"]
mod chat;
mod client;
mod http;
#[path = "../llm_client/log.rs"]
mod log;
#[path = "../llm_client/server.rs"]
mod server;
mod together;

use std::{env, process::ExitCode, sync::Arc};
use tokio::runtime::Runtime;

/// One of them twice: it is answered by what the memo has loaded for the other.
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
    // Its workers are threads in the background: the tasks run there, and the server. This thread is none of them.
    let runtime = Runtime::new()?;
    if prompts.is_empty() {
        together::run(&runtime)?;
        println!();
        prompts = PROMPTS.map(Arc::from).to_vec();
    }
    client::run(&runtime, &prompts)
}
