//! A model server, simulated: it sends the tokens of an answer one after the other.

use futures::{Stream, StreamExt, stream};
use std::{iter, time::Duration};
use tokio::time::sleep;

/// The failures of a stream of tokens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("the connection was lost")]
    Lost,
    #[error(transparent)]
    Policy(#[from] decor::Error),
}

/// The end of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    Complete,
    /// The server sends nothing more, and keeps the connection.
    Hangs,
    Lost,
}

/// A prompt, with the behaviour of the server and of the reader of its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prompt {
    pub(crate) text: &'static str,
    /// Time before the first token.
    pub(crate) thinking: Duration,
    /// Number of tokens that the server sends, one each 50 ms.
    pub(crate) tokens: u32,
    pub(crate) ending: Ending,
    /// Time that the reader takes for a token.
    pub(crate) reading: Duration,
}

impl Prompt {
    pub(crate) const fn new(text: &'static str, thinking_secs: u64, tokens: u32, ending: Ending) -> Self {
        Self { text, thinking: Duration::from_secs(thinking_secs), tokens, ending, reading: Duration::ZERO }
    }
}

const GAP: Duration = Duration::from_millis(50);

/// Asks the model. The stream is boxed, so it is `Unpin`.
pub(crate) fn complete(prompt: Prompt) -> impl Stream<Item = Result<String, StreamError>> + Unpin {
    let delays = iter::once(prompt.thinking).chain(iter::repeat(GAP));
    let tokens = stream::iter(delays.zip(1..=prompt.tokens)).then(async |(delay, n)| {
        sleep(delay).await;
        Ok(format!("token {n} "))
    });
    let ending = match prompt.ending {
        Ending::Complete => stream::empty().boxed(),
        Ending::Hangs => stream::pending().boxed(),
        Ending::Lost => stream::iter([Err(StreamError::Lost)]).boxed(),
    };
    tokens.chain(ending).boxed()
}
