//! Tokens of a model as they come: two limits, and a charge for what came.
//!
//! A model server sends its answer token by token. It may think for long before the first token,
//! and then sends one every few milliseconds. A limit for the whole answer fits neither: a long
//! answer is not slow, and a server that hangs after three tokens should not be waited for.
//!
//! # Limits
//!
//! [`.timeout_each(d)`](crate::StreamExt::timeout_each) bounds the wait for each item, and
//! [`.first(d)`](crate::stream::TimeoutEach::first) the wait for the first one. The time runs only
//! while the consumer waits, so a slow reader ends no stream. When a limit passes, the stream
//! yields one error, drops the connection, and ends. The items that came before are not lost:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{Error, prelude::*};
//! use futures::{Stream, TryStreamExt, stream};
//! use std::time::Duration;
//! use tokio::time::{Instant, sleep};
//!
//! // Thinks for 8 s, sends a token each 100 ms, and hangs after the third.
//! fn complete(_prompt: &str) -> impl Stream<Item = Result<String, Error>> + Unpin {
//!     Box::pin(stream::unfold(1, async |n| {
//!         match n {
//!             1 => sleep(Duration::from_secs(8)).await,
//!             2 | 3 => sleep(Duration::from_millis(100)).await,
//!             _ => std::future::pending().await,
//!         }
//!         Some((Ok(format!("token {n}")), n + 1))
//!     }))
//! }
//!
//! let begun = Instant::now();
//! let mut tokens = complete("What is a decorator?")
//!     .timeout_each(Duration::from_secs(2)) // limit of each gap
//!     .first(Duration::from_secs(20)) // limit of the first token
//!     .named("tokens");
//! for n in 1..=3 {
//!     assert_eq!(tokens.try_next().await.unwrap(), Some(format!("token {n}")));
//!     sleep(Duration::from_secs(60)).await; // reads slowly
//! }
//! let error = tokens.try_next().await.unwrap_err();
//! assert_eq!(error.to_string(), "tokens timed out after 2s");
//! assert_eq!(begun.elapsed(), Duration::from_millis(8_000 + 200 + 180_000 + 2_000));
//! assert_eq!(tokens.try_next().await.unwrap(), None); // the end
//! # }
//! ```
//!
//! The items are `Result`s with an error that carries [`decor::Error`](crate::Error), as with
//! functions. For another error, begin with `.map_err(..)`, and for plain items with
//! `.map(Ok::<_, decor::Error>)`.
//!
//! # The charge
//!
//! An API limits tokens per minute. The length of an answer is known at its end only, so a call
//! reserves tokens first, and is charged for those that came. Let a function read the stream, and
//! count with `inspect_ok`. The function's error has the count as well, because the server counts
//! the tokens of an answer that broke off:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{Error, prelude::*};
//! use futures::{Stream, TryStreamExt, stream};
//! use std::time::Duration;
//!
//! # fn complete(prompt: String) -> impl Stream<Item = Result<String, Error>> + Unpin {
//! #     let hangs = prompt.ends_with('!');
//! #     let tokens = stream::iter(1..=30).map(|n| Ok(format!("token {n} ")));
//! #     if hangs { tokens.chain(stream::pending()).boxed() } else { tokens.boxed() }
//! # }
//! # use futures::StreamExt;
//! struct Answer { text: String, tokens: u32 }
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("after {tokens} tokens: {cause}")]
//! struct Broken { tokens: u32, cause: Error }
//!
//! impl From<Error> for Broken {
//!     fn from(cause: Error) -> Self { Self { tokens: 0, cause } }
//! }
//!
//! async fn answer(prompt: String) -> Result<Answer, Broken> {
//!     let mut tokens = 0;
//!     let text = complete(prompt)
//!         .timeout_each(Duration::from_secs(2))
//!         .first(Duration::from_secs(20))
//!         .inspect_ok(|_| tokens += 1) // here a program passes the token on
//!         .try_collect()
//!         .await;
//!     match text {
//!         Ok(text) => Ok(Answer { text, tokens }),
//!         Err(cause) => Err(Broken { tokens, cause }),
//!     }
//! }
//!
//! let limiter = RateLimiter::new(1_000, Duration::from_secs(60)); // tokens
//! let answer = answer
//!     .rate_limited_by(&limiter, |prompt: &String| prompt.len() as u32 / 4 + 400)
//!     .settled_result(|answer| Some(match answer {
//!         Ok(answer) => answer.tokens,
//!         Err(broken) => broken.tokens,
//!     }))
//!     .timeout(Duration::from_secs(180)); // limit of each caller
//!
//! assert_eq!(answer.call("Say hello.".into()).await.unwrap().text.len(), 261);
//! assert_eq!(limiter.available(), 970);
//!
//! let broken = answer.call("Say hello!".into()).await.err().unwrap();
//! assert_eq!(broken.to_string(), "after 30 tokens: stream timed out after 2s");
//! assert_eq!(limiter.available(), 940);
//! # }
//! ```
//!
//! If the server hangs, every one of 20 callers has its error within 180 s, its wait for permits
//! included. A call that is known to wait for longer is refused at once. A call that is dropped
//! keeps its reservation, because the server may go on with the answer. `cargo run --example
//! streams` shows the same chain with six answers, and how much earlier they come than without the
//! settling.
//!
//! # Retries
//!
//! A stream that broke off is not tried again, because its consumer has seen the first items. Put
//! the retry around the function that opens the stream and waits for the first item, or around the
//! one that reads it to its end and shows nothing before.
//!
//! # Pages
//!
//! The pages of an API are a stream as well. A decorated function gets one page, and `try_unfold`
//! asks it for the next. Each page then has the limits and the retries of the function:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::{Error, prelude::*};
//! use futures::{TryStreamExt, stream};
//! use std::time::Duration;
//!
//! struct Page { users: Vec<u32>, next: Option<u32> }
//! async fn get_page(page: u32) -> Result<Page, Error> {
//!     // a request
//! #   let next = (page < 3).then_some(page + 1);
//! #   Ok(Page { users: vec![page * 10, page * 10 + 1], next })
//! }
//!
//! let limiter = RateLimiter::new(10, Duration::from_secs(1));
//! let get_page = get_page
//!     .timeout(Duration::from_secs(2)) // limit of each attempt
//!     .rate_limited(&limiter)
//!     .retry_with(RetryPolicy::default())
//!     .transient()
//!     .timeout(Duration::from_secs(15)); // limit of each page
//!
//! let pages = stream::try_unfold(Some(1), async |page| {
//!     let Some(page) = page else { return Ok::<_, Error>(None) };
//!     let Page { users, next } = get_page.call(page).await?;
//!     Ok(Some((users, next)))
//! });
//! assert_eq!(pages.try_concat().await, Ok(vec![10, 11, 20, 21, 30, 31]));
//! # }
//! ```
//!
//! If the API hangs, every one of 20 readers has its error after 10 s: three attempts of 2 s, waits
//! of 1 s and 2 s, and the waits for permits.
//!
//! # A permit for each item
//!
//! [`.rate_limited(&limiter)`](crate::StreamExt::rate_limited) slows a stream down to the rate of a
//! shared limiter. The item comes first, and then its permit, so no permit ages while the stream
//! has nothing. In a `select!` loop, neither the item nor its place in the queue is lost:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! use decor::prelude::*;
//! use futures::{StreamExt, stream};
//! use std::time::Duration;
//! use tokio::time::{Instant, interval};
//!
//! let limiter = RateLimiter::paced(1, Duration::from_secs(1));
//! let mut ids = stream::iter(1..=4).rate_limited(&limiter);
//! let mut ticks = interval(Duration::from_millis(300));
//! let (begun, mut seen, mut ticked) = (Instant::now(), vec![], 0);
//! loop {
//!     tokio::select! {
//!         biased;
//!         id = ids.next() => match id {
//!             Some(id) => seen.push((id, begun.elapsed().as_secs())),
//!             None => break,
//!         },
//!         _ = ticks.tick() => ticked += 1,
//!     }
//! }
//! assert_eq!(seen, [(1, 0), (2, 1), (3, 2), (4, 3)]);
//! assert_eq!(ticked, 10); // each of these dropped a `next()`
//! # }
//! ```
