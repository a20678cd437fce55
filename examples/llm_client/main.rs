//! Sends sixty prompts to a model API that throttles, fails and hangs, and gets an answer to each.
//! Then the server dies for two seconds, and callers get a fallback that is marked as such.
//!
//! ```text
//! cargo run --example llm_client
//! cargo run --example llm_client -- --no-memo
//! cargo run --example llm_client -- --no-limiter
//! cargo run --example llm_client -- --help
//! RUST_LOG=info,decor=debug cargo run --example llm_client
//! ```
//!
//! `client.rs` begins with the chain of decorators around a bare HTTP request. `server.rs` is a
//! real server with limits of requests and tokens per second. `tally.rs` counts what the chain
//! reports, and `report.rs` shows these counts beside the server's own. `outage.rs` lets the server
//! die. At the end, the chain describes itself.
//!
//! A memo answers a repeated prompt without a request. With `--no-memo`, each prompt is a request.
//! With `--no-limiter`, the requests are sent as fast as possible, and the server throttles them.

mod args;
mod chat;
mod client;
mod log;
mod outage;
mod report;
mod server;
mod tally;

use anyhow::{bail, ensure};
use args::{Command, Options, OtherServer};
use client::{Answer, Answers, Api, Complete, Limits, LlmError, Rate, Source};
use decor::prelude::*;
use report::Report;
use server::{Load, Process};
use std::{
    env,
    process::ExitCode,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};
use tally::Tally;
use tokio::{sync::Semaphore, task::JoinSet, time};
use tracing::{Instrument, info_span};

/// Seed of the server's faults.
const SEED: u64 = 7;

/// Maximum number of prompts in flight: enough to reach the server's limits again and again.
const IN_FLIGHT: usize = 24;

/// Time for which an answer is reused, even if the model would answer differently.
const ANSWERS_TTL: Duration = Duration::from_secs(300);

const COMPLAINTS_SHOWN: usize = 5;
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// The counts of this run. A static, so that the closures in the chain can borrow it.
static TALLY: LazyLock<Tally> = LazyLock::new(Tally::default);

#[tokio::main]
async fn main() -> ExitCode {
    let options = match args::parse(env::args_os().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("error: {wrong}");
            return ExitCode::from(2);
        }
    };
    log::to_stderr();
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(Options { prompts, server, no_memo, no_limiter }: &Options) -> anyhow::Result<()> {
    let mut our_server = None;
    let (url, model, limits, rate) = if let Some(OtherServer { url, model, rate }) = server {
        (url.clone(), &**model, Limits::FOR_A_REAL_MODEL, *rate)
    } else {
        let takes @ Load { requests, tokens } = server::limits_for(prompts);
        let rate = Rate { requests, tokens, period: server::PERIOD };
        let url = our_server.insert(Process::start(SEED, takes)?).url();
        (url, "default", Limits::FOR_OUR_SERVER, rate)
    };
    let (limits, rate) = if *no_limiter { (limits.without_pauses(), Rate::UNLIMITED) } else { (limits, rate) };
    let api = Api::new(&url, model, limits, rate, &TALLY)?;
    let memo = Answers::ttl(ANSWERS_TTL);
    let decorated = |memo: &Answers| client::production_ready(api.clone(), memo);
    let complete = decorated(&memo);
    eprintln!("{} prompts for {url}, each through\n{complete:?}\n", prompts.len());
    if *no_memo {
        eprintln!("(--no-memo: each call has a memo of its own, so that no call gets the answer of another)\n");
    }
    if *no_limiter {
        eprintln!("(--no-limiter: the limiter in this chain is so wide that no call waits, and nothing pauses it)\n");
    }

    let began = Instant::now();
    let progress = tokio::spawn(show_progress(prompts.len(), api.limiter.clone()));
    let complete_for_each = || if *no_memo { decorated(&Answers::ttl(ANSWERS_TTL)) } else { complete.clone() };
    let answers = ask_all(prompts, complete_for_each, in_flight(prompts, limits, rate)).await;
    let took = began.elapsed();
    progress.abort();

    let server_saw = if server.is_none() { Some(api.stats().await?) } else { None };
    let memo = (!no_memo).then(|| memo.stats());
    let limiter = (!no_limiter).then(|| api.limiter.stats());
    let budget = api.budget.stats();
    println!("\n{}", Report { client: &TALLY.counts(), memo, limiter, budget, server: server_saw.as_ref(), took });

    let is_right = |prompt: &str, answer: &str| match server {
        None => answer == server::answer_to(prompt),
        Some(_) => !answer.trim().is_empty(),
    };
    check(prompts, &answers, is_right)?;

    if let Some(server) = &mut our_server {
        let outage = outage::ride_out(server, &api.hedge, complete_for_each).await?;
        println!("\n{outage}");
        outage.check()?;
    }

    let chain = complete.describe();
    println!("\n{chain}");
    ensure!(chain.lints().is_empty(), "the chain has lints: {:#?}", chain.lints());
    println!("\nno lints: the decorators stand in a good order, and their times fit");
    Ok(())
}

type Ended = Result<Answer, LlmError>;

/// Returns the number of prompts to have in flight: at most what a period has room for. Further
/// calls would only wait in the limiter's queue, and time out there if an account has few requests
/// per minute.
fn in_flight(prompts: &[Arc<str>], limits: Limits, rate: Rate) -> usize {
    let reserved: u64 = prompts.iter().map(|prompt| u64::from(limits.tokens_reserved(prompt))).sum();
    let by_tokens = u64::from(rate.tokens) * prompts.len() as u64 / reserved.max(1);
    let room = by_tokens.min(rate.requests.into());
    usize::try_from(room).map_or(IN_FLIGHT, |room| room.clamp(1, IN_FLIGHT))
}

/// Returns the answers in the order of the prompts; `None` for a call that panicked.
async fn ask_all(
    prompts: &[Arc<str>],
    complete_for_each: impl Fn() -> Complete,
    in_flight: usize,
) -> Vec<Option<Ended>> {
    let permits = Arc::new(Semaphore::new(in_flight));
    let mut tasks = JoinSet::new();
    for (n, prompt) in prompts.iter().cloned().enumerate() {
        let (complete, permits) = (complete_for_each(), Arc::clone(&permits));
        tasks.spawn(async move {
            let _permit = permits.acquire().await;
            (n, complete.call(prompt).instrument(info_span!("prompt", n = n + 1)).await)
        });
    }

    let mut answers: Vec<Option<Ended>> = prompts.iter().map(|_| None).collect();
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok((n, ended)) => answers[n] = Some(ended),
            Err(panicked) => eprintln!("error: {panicked}"),
        }
    }
    answers
}

/// Checks that no prompt was lost or got the answer of another.
fn check(prompts: &[Arc<str>], answers: &[Option<Ended>], is_right: impl Fn(&str, &str) -> bool) -> anyhow::Result<()> {
    let complaint = |prompt: &str, answer: &Option<Ended>| match answer {
        Some(Ok(Answer { source: Source::Fallback(error), .. })) => {
            Some(format!("{prompt:?} has the fallback's answer: {error}"))
        }
        Some(Ok(Answer { text, .. })) if is_right(prompt, text) => None,
        Some(Ok(Answer { text, .. })) => Some(format!("{prompt:?} has a wrong answer: {text:?}")),
        Some(Err(error)) => Some(format!("{prompt:?} has no answer: {error}")),
        None => Some(format!("{prompt:?} was lost")),
    };
    let complaints: Vec<_> =
        prompts.iter().zip(answers).filter_map(|(prompt, answer)| complaint(prompt, answer)).collect();
    if complaints.is_empty() {
        println!("each of the {} prompts has its own correct answer", prompts.len());
        return Ok(());
    }
    let (bad, of_all) = (complaints.len(), prompts.len());
    let examples = complaints[..bad.min(COMPLAINTS_SHOWN)].join("\n  ");
    bail!("{bad} of {of_all} prompts have no correct answer, such as\n  {examples}")
}

async fn show_progress(prompts: usize, limiter: RateLimiter) {
    let mut ticks = time::interval(PROGRESS_EVERY);
    ticks.tick().await; // the first tick is due at once, before there is anything to show
    loop {
        ticks.tick().await;
        let counts = TALLY.counts();
        let (answered, attempts, retries) = (counts.calls_answered, counts.attempts.len(), counts.retries());
        let waiting = limiter.waiting();
        eprintln!("  {answered:>2}/{prompts} answered, {attempts} attempts, {retries} retries, {waiting} waiting now");
    }
}
