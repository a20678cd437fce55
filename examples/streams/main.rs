//! Tokens of a model, as they come: a limit for the first token, another limit for each gap, and a
//! charge for what came.
//!
//! ```text
//! cargo run --example streams
//! ```
//!
//! `model.rs` simulates the server. The time is virtual, so the program ends at once, and prints
//! the same lines each time.
//!
//! The function `answer` is the part to copy. It reads a stream to its end, so the chain around it
//! knows the tokens that came, after a failure too.

mod model;

use decor::{Error, prelude::*};
use futures::TryStreamExt;
use model::{Ending, Prompt, StreamError, complete};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Limit of the first token: the model thinks.
const FIRST: Duration = Duration::from_secs(20);
/// Limit of each further token: the model talks.
const NEXT: Duration = Duration::from_secs(2);
/// Tokens that an answer takes from the window before it begins.
const RESERVED: u32 = 200;
/// Maximum number of tokens in any minute.
const PER_MINUTE: u32 = 500;

/// A whole answer.
#[derive(Debug)]
struct Answer {
    tokens: u32,
}

/// An answer that broke off.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
struct Broken {
    /// Number of tokens that had come. The server counts them.
    tokens: u32,
    cause: StreamError,
}

/// The chain around `answer` failed before the first token, or ended the call.
impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self { tokens: 0, cause: error.into() }
    }
}

/// Reads an answer token by token. The time of the reader does not count as a gap.
async fn answer(prompt: Prompt) -> Result<Answer, Broken> {
    let mut tokens = 0;
    let read = {
        let mut stream = complete(prompt).timeout_each(NEXT).first(FIRST).named("tokens").inspect_ok(|_| tokens += 1);
        async {
            while stream.try_next().await?.is_some() {
                sleep(prompt.reading).await; // shows the token
            }
            Ok(())
        }
        .await
    };
    match read {
        Ok(()) => Ok(Answer { tokens }),
        Err(cause) => Err(Broken { tokens, cause }),
    }
}

/// If the server hangs, a call has its error 20 s after it got its permits, and two minutes after
/// it began at the latest.
async fn ask_all(is_settled: bool) {
    let minute = Duration::from_secs(60);
    let limiter = RateLimiter::new(PER_MINUTE, minute);
    let answer = answer
        .rate_limited_by(&limiter, |_: &Prompt| RESERVED)
        .settled_result(move |result| {
            let came = result.as_ref().map_or_else(|broken| broken.tokens, |answer| answer.tokens);
            Some(if is_settled { came } else { RESERVED })
        })
        .timeout(2 * minute);

    println!("  asked     prompt                  answer");
    let begun = Instant::now();
    for prompt in PROMPTS {
        let asked = begun.elapsed().as_secs_f64();
        let result = answer.call(prompt).await;
        let ended = begun.elapsed().as_secs_f64();
        let (tokens, end) = match &result {
            Ok(answer) => (answer.tokens, "complete".to_owned()),
            Err(broken) => (broken.tokens, broken.to_string()),
        };
        let left = limiter.available();
        println!("  {asked:6.2} s  {:<22}  {tokens:>3} tokens by {ended:6.2} s, {left:>3} left: {end}", prompt.text);
    }
    println!("  {}\n", limiter.stats());
}

const PROMPTS: [Prompt; 6] = [
    Prompt::new("a short question", 3, 12, Ending::Complete),
    Prompt::new("a hard question", 19, 40, Ending::Complete),
    Prompt::new("too hard a question", 60, 40, Ending::Complete),
    Prompt::new("a server that hangs", 1, 25, Ending::Hangs),
    Prompt::new("a lost connection", 1, 30, Ending::Lost),
    Prompt { reading: Duration::from_secs(10), ..Prompt::new("a slow reader", 1, 5, Ending::Complete) },
];

/// The clock is paused. Tokio advances it when all tasks wait.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    println!("{PER_MINUTE} tokens in any minute, and {RESERVED} reserved for each answer.");
    println!("The first token may take {FIRST:?}, and each further one {NEXT:?}.\n");
    println!("Charged by what came:");
    ask_all(true).await;
    println!("Charged by what was reserved:");
    ask_all(false).await;
}
