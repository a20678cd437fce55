//! Sixty prompts for a model API that throttles, fails and hangs, and every one of them is answered.
//!
//! ```text
//! cargo run --example llm_client
//! cargo run --example llm_client -- --no-memo
//! cargo run --example llm_client -- --no-limiter
//! cargo run --example llm_client -- --help
//! RUST_LOG=info,decor=debug cargo run --example llm_client
//! ```
//!
//! What makes a bare HTTP request fit for such a server is one chain of decorators: the first thing in `client.rs`.
//! `server.rs` is the server, a real one on a port of its own, that takes so many requests and so many tokens a second;
//! `tally.rs` counts what the chain reports; `report.rs` lays that beside the server's own count. A prompt that
//! is asked again is answered by a memo, without a request; with `--no-memo` the server is asked each time. With
//! `--no-limiter` the requests go out as fast as they can, and are throttled.

mod args;
mod chat;
mod client;
mod log;
mod report;
mod server;
mod tally;

use anyhow::bail;
use args::{Command, Options, OtherServer};
use client::{Answer, Answers, Api, Complete, Limits, LlmError, Rate};
use decor::prelude::*;
use report::Report;
use server::Load;
use std::{
    env,
    process::ExitCode,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};
use tally::Tally;
use tokio::{sync::Semaphore, task::JoinSet, time};
use tracing::{Instrument, info_span};

/// Decides which requests the server fails, and how.
const SEED: u64 = 7;

/// At most so many prompts are under way at a time: enough to run into the server's limits again and again.
const IN_FLIGHT: usize = 16;

/// For so long an answer is given again, even if the model would not say the same twice.
const ANSWERS_TTL: Duration = Duration::from_secs(300);

const COMPLAINTS_SHOWN: usize = 5;
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// A static, so that the closures in the chain can borrow it for as long as they live.
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
    let (url, model, limits, rate) = if let Some(OtherServer { url, model, rate }) = server {
        (url.clone(), &**model, Limits::FOR_A_REAL_MODEL, *rate)
    } else {
        let takes @ Load { requests, tokens } = server::limits_for(prompts);
        let rate = Rate { requests, tokens, period: server::PERIOD };
        (server::start(SEED, takes).await?, "default", Limits::FOR_OUR_SERVER, rate)
    };
    let (limits, rate) = if *no_limiter { (limits.without_pauses(), Rate::UNLIMITED) } else { (limits, rate) };
    let limiter = rate.limiter();
    let api = Api::new(&url, model, limits, limiter.clone(), &TALLY)?;
    let memo = Answers::ttl(ANSWERS_TTL);
    let decorated = |memo: &Answers| client::production_ready(api.clone(), memo);
    let complete = decorated(&memo);
    eprintln!("{} prompts for {url}, each by way of\n{complete:?}\n", prompts.len());
    if *no_memo {
        eprintln!("(--no-memo: each call has a memo to itself, so that none is answered by what another has loaded)\n");
    }
    if *no_limiter {
        eprintln!("(--no-limiter: the one in this chain is so wide that nobody waits, and nothing pauses it)\n");
    }

    let began = Instant::now();
    let progress = tokio::spawn(show_progress(prompts.len(), limiter.clone()));
    let complete_for_each = || if *no_memo { decorated(&Answers::ttl(ANSWERS_TTL)) } else { complete.clone() };
    let answers = ask_all(prompts, complete_for_each, in_flight(prompts, limits, rate)).await;
    let took = began.elapsed();
    progress.abort();

    let server_saw = if server.is_none() { Some(api.stats().await?) } else { None };
    let memo = (!no_memo).then(|| memo.stats());
    let limiter = (!no_limiter).then(|| limiter.stats());
    println!("\n{}", Report { client: &TALLY.counts(), memo, limiter, server: server_saw.as_ref(), took });

    let is_right = |prompt: &str, answer: &str| match server {
        None => answer == server::answer_to(prompt),
        Some(_) => !answer.trim().is_empty(),
    };
    check(prompts, &answers, is_right)
}

type Ended = Result<Answer, LlmError>;

/// More than what a period has room for would only stand in the limiter's queue, and run into the limit of the whole
/// call there: some accounts have three requests a minute.
fn in_flight(prompts: &[Arc<str>], limits: Limits, rate: Rate) -> usize {
    let reserved: u64 = prompts.iter().map(|prompt| u64::from(limits.tokens_reserved(prompt))).sum();
    let by_tokens = u64::from(rate.tokens) * prompts.len() as u64 / reserved.max(1);
    let room = by_tokens.min(rate.requests.into());
    usize::try_from(room).map_or(IN_FLIGHT, |room| room.clamp(1, IN_FLIGHT))
}

/// What became of each prompt, in the order of the prompts; `None` if nothing did.
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

/// A prompt that was lost, or got the answer to another, is what must never happen: so it is looked at, not assumed.
fn check(prompts: &[Arc<str>], answers: &[Option<Ended>], is_right: impl Fn(&str, &str) -> bool) -> anyhow::Result<()> {
    let complaint = |prompt: &str, answer: &Option<Ended>| match answer {
        Some(Ok(Answer { text, .. })) if is_right(prompt, text) => None,
        Some(Ok(Answer { text, .. })) => Some(format!("{prompt:?} was answered wrongly: {text:?}")),
        Some(Err(error)) => Some(format!("{prompt:?} was not answered: {error}")),
        None => Some(format!("{prompt:?} was lost")),
    };
    let complaints: Vec<_> =
        prompts.iter().zip(answers).filter_map(|(prompt, answer)| complaint(prompt, answer)).collect();
    if complaints.is_empty() {
        println!("each of the {} prompts has its own, right answer", prompts.len());
        return Ok(());
    }
    let (bad, of_all) = (complaints.len(), prompts.len());
    let examples = complaints[..bad.min(COMPLAINTS_SHOWN)].join("\n  ");
    bail!("{bad} of {of_all} prompts were not answered rightly, such as\n  {examples}")
}

async fn show_progress(prompts: usize, limiter: RateLimiter) {
    let mut ticks = time::interval(PROGRESS_EVERY);
    ticks.tick().await; // the first is due at once, when there is nothing to show
    loop {
        ticks.tick().await;
        let counts = TALLY.counts();
        let (answered, attempts, retries) = (counts.calls_answered, counts.attempts.len(), counts.retries());
        let waiting = limiter.waiting();
        eprintln!("  {answered:>2}/{prompts} answered, {attempts} attempts, {retries} retries, {waiting} waiting now");
    }
}
