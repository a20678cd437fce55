//! Decorators of streams.

use crate::{
    Fallible, RateLimiter,
    decorators::stream::{rate_limited::RateLimited, timeout_each::TimeoutEach},
};
use futures::Stream;
use std::time::Duration;

/// The decorators of streams: a permit or a time limit for each item.
///
/// A stream that is `Unpin` stays `Unpin`, so `.next()` works on it as before.
///
/// # Other crates' methods
///
/// The methods do not clash with those of `futures::StreamExt` and `tokio_stream::StreamExt`. The
/// [prelude](crate::prelude) brings this trait into scope without its name.
///
/// # Examples
///
/// Tokens of a model, with a limit for the first token and one for each further token:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// use decor::{Error, prelude::*};
/// use futures::{Stream, StreamExt, stream};
/// use std::time::Duration;
///
/// // Sends a token each 100 ms, and hangs after the third.
/// fn complete(_prompt: &str) -> impl Stream<Item = Result<String, Error>> + Unpin {
///     Box::pin(stream::unfold(1, async |n| {
///         if n > 3 { std::future::pending::<()>().await; }
///         tokio::time::sleep(Duration::from_millis(100)).await;
///         Some((Ok(format!("token {n}")), n + 1))
///     }))
/// }
///
/// let mut tokens = complete("What is a decorator?")
///     .timeout_each(Duration::from_secs(2))
///     .first(Duration::from_secs(20))
///     .named("tokens");
/// let mut answer = vec![];
/// let error = loop {
///     match tokens.next().await.unwrap() {
///         Ok(token) => answer.push(token),
///         Err(error) => break error,
///     }
/// };
/// assert_eq!(answer, ["token 1", "token 2", "token 3"]); // what has come is not lost
/// assert_eq!(error.to_string(), "tokens timed out after 2s");
/// # }
/// ```
pub trait StreamExt: Stream + Sized {
    /// Takes a permit of a shared limiter for each item, and waits for it.
    ///
    /// The item comes first, then its permit. A permit that was taken before would age while the
    /// stream is pending. The stream is not polled while an item waits for its permit.
    ///
    /// Stands behind [`timeout_each`](Self::timeout_each), so that the wait for a permit does not
    /// count as a silence of the stream.
    ///
    /// # Cancel safety
    ///
    /// If `next()` is dropped, the stream keeps the item and its place in the limiter's queue. If
    /// the stream is dropped, the item leaves the queue without a permit.
    ///
    /// # Errors
    ///
    /// None. An item stays pending for good if the limiter is [closed](RateLimiter::close), because
    /// an item of any type has no error to return.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use futures::StreamExt;
    /// use std::time::Duration;
    ///
    /// let limiter = RateLimiter::paced(10, Duration::from_secs(1));
    /// let begun = tokio::time::Instant::now();
    /// let ids = futures::stream::iter(1..=5).rate_limited(&limiter);
    /// assert_eq!(ids.collect::<Vec<_>>().await, [1, 2, 3, 4, 5]);
    /// assert_eq!(begun.elapsed(), Duration::from_millis(400));
    /// # }
    /// ```
    fn rate_limited(self, limiter: &RateLimiter) -> RateLimited<Self> {
        RateLimited::new(self, limiter.clone())
    }

    /// Bounds the wait for each item.
    ///
    /// The time runs only while the consumer waits: it begins when a poll finds no item, and ends
    /// with the item. Work of the consumer between two items does not count. When the limit passes,
    /// the stream yields one [`Error::TimedOut`](crate::Error::TimedOut), drops the decorated
    /// stream, and ends. [`.first(..)`](TimeoutEach::first) sets another limit for the first item.
    ///
    /// Stands directly behind the source of the items. Behind [`rate_limited`](Self::rate_limited)
    /// the limit would hold for the waits for permits too, and an item that waits would be lost.
    ///
    /// To bound the whole stream, decorate the function that consumes it with
    /// [`.timeout(..)`](crate::FnExt::timeout).
    ///
    /// # Cancel safety
    ///
    /// If `next()` is dropped, the time of the item runs on. In a `select!` loop, the limit
    /// therefore holds across turns.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut) with the stream's [name](TimeoutEach::named). An
    /// item of another type than `Result` becomes one by `.map(Ok::<_, decor::Error>)`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use futures::{StreamExt, stream};
    /// use std::time::Duration;
    ///
    /// let one = stream::iter([Ok::<u8, Error>(1)]).chain(stream::pending());
    /// let mut items = one.timeout_each(Duration::from_secs(2));
    /// assert_eq!(items.next().await, Some(Ok(1)));
    /// assert!(matches!(items.next().await, Some(Err(Error::TimedOut { .. }))));
    /// assert_eq!(items.next().await, None);
    /// # }
    /// ```
    fn timeout_each(self, limit: Duration) -> TimeoutEach<Self>
    where
        Self::Item: Fallible,
    {
        TimeoutEach::new(self, limit)
    }
}

impl<S: Stream> StreamExt for S {}
