//! Descriptions of chains: the decorators as data, a picture, and the faults in their order.
//!
//! Made by [`.describe()`](crate::FnExt::describe) of any function, decorated or not, async or
//! sync, and of a [stack](crate::stack()).
//!
//! # Examples
//!
#![cfg_attr(feature = "memo", doc = "```")]
#![cfg_attr(not(feature = "memo"), doc = "```text")]
//! use decor::{Error, prelude::*};
//! use std::time::Duration;
//!
//! async fn fetch(id: u64) -> Result<String, Error> { Ok(format!("user {id}")) }
//!
//! let secs = Duration::from_secs;
//! let users: Memo<u64, String> = Memo::ttl(secs(300));
//! let fetch = fetch
//!     .timeout(secs(2))
//!     .retry_with(RetryPolicy::fixed(secs(1)))
//!     .memoized(&users)
//!     .timeout(secs(10))
//!     .logged();
//!
//! assert_eq!(fetch.describe().to_string(), "\
//! .logged()                                               at most 10s
//! └─ .timeout(10s)                                        at most 10s
//!    └─ .memoized(ttl 300s)                               no bound
//!       └─ .retry_with(fixed 1s, no jitter, 3 attempts)   at most 8s
//!          └─ .timeout(2s)                                at most 2s
//!             └─ fetch");
//! assert!(fetch.describe().lints().is_empty());
//! ```
//!
//! If `fetch` hangs, every caller has its error after 10 s at most.
//!
//! # The picture
//!
//! A row of the picture says how long a call takes at that place, whatever the function does.
//! "No bound" stands where a call may wait for a permit, for another call's load, or for a function
//! without a limit. "Hints aside" stands where the `Retry-After` of a server may lengthen a delay.
//! [`to_svg`](Chain::to_svg) draws the same picture as nested boxes.
//!
//! # Lints
//!
//! A test pins the order of a chain: `assert!(chain.describe().lints().is_empty())`. A lint finds
//! orders and settings that do what they say, and seldom what is meant. A chain that means it
//! compares the codes: `assert_eq!(lints[0].code, "limiter-around-memo")`.
//!
//! | code | what is wrong | what to write instead |
//! |---|---|---|
//! | `timeout-never-fires` | A timeout around another one is as short, or shorter. | Let the outer limit be the longer one, or leave out one of both. |
//! | `retries-do-not-fit` | All attempts at their limit, hedges after a fixed delay included, with the delays between them, take longer than a timeout around the retry. | Shorten the attempts, make fewer, set the policy's [`deadline`](crate::RetryPolicy::deadline), or lengthen the timeout. |
//! | `retry-around-refusals` | A retry repeats calls that a limiter or a breaker inside has refused. | Wait for a permit (`rate_limited` in place of `try_rate_limited`), or choose the errors by `.when(..)`. For a breaker, `.transient()` is enough, or `.retry_after(\|e\| e.retry_after())`, which waits until the circuit is half-open. |
//! | `retry-around-retry` | Attempts multiply: 3 around 3 are 9 calls. | Keep one of both. |
//! | `retry-around-memo` | If a load fails, each caller retries by itself. | Put the retry before `memoized`: one call retries for all. |
//! | `two-limiters` | A call that has a permit of the one waits for the other, while the permit gets old. | One limiter with [`windows`](crate::RateLimiter::windows). A limit for all calls stands before a limit for each key, and raises no lint. |
//! | `limiter-around-retry` | A call takes one permit for all its attempts, so the server gets more calls than the limit allows. | Put the limiter before `retry_with`. |
//! | `limiter-around-concurrency-limiter` | A call that has a permit waits for a place, and then calls come in a burst. | Put the rate limiter before the concurrency limiter. |
//! | `limiter-around-memo` | A remembered answer takes a permit. | Put the limiter before `memoized`. |
//! | `concurrency-limiter-around-retry` | A call keeps its place during the delays. | Put the limiter before `retry_with`. |
//! | `concurrency-limiter-within-itself` | A call needs two places of one limiter. If calls hold all places for the outer one, none goes on: a deadlock. | Keep one of both. |
//! | `timeout-outside-breaker` | Calls that hang are dropped outside of the breaker, which counts no dropped call. | Put a timeout before the breaker, or let the breaker count slow calls. |
//! | `hedge-never-fires` | A timeout before the hedge ends each call before the next one would start. | Let the delay be shorter than the limit. |
//! | `hedge-around-retry` | The delays of the retry look like a slow call, and each hedge retries as well. | Put the hedge before `retry_with`. |
//! | `hedge-without-budget` | If the server is slow, each call is made twice or more often. | Give the hedge a budget. |
//! | `memo-of-fallback` | The memo keeps the substitute after the server has recovered. | Put the fallback behind the memo. |
//! | `memo-without-timeout` | A call may wait for the loads of others, one after the other, without an end. | Put a timeout behind `memoized`. |
//!
//! A timeout behind a detached memo ends no load. It therefore raises no lint about the decorators
//! before the memo. A limit of [`Duration::MAX`](std::time::Duration::MAX) is none. A retry with
//! any number of attempts (`u32::MAX`) fits into every timeout, because only the time ends it. A
//! gate of your own is [`StepKind::Other`], and raises no lint.

mod chain;
mod lint;
mod longest;
mod picture;
mod rules;
mod step;
mod svg;

pub use chain::Chain;
pub use lint::Lint;
pub use step::{HandleId, Retries, Step, StepKind};
