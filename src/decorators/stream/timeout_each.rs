//! A time limit for each item of a stream.

use crate::{
    Error, Fallible, Name,
    clock::{Clock, Instant},
    layer::{BoxedTimer, Timer, Wait},
};
use futures::{Stream, stream::FusedStream};
use pin_project::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The label of a limit for the first item.
const FIRST: &str = "first item";

/// A stream with a time limit for each item.
///
/// Made by [`.timeout_each(..)`](crate::StreamExt::timeout_each).
///
/// # Examples
///
/// See [`StreamExt`](crate::StreamExt#examples).
#[must_use = "streams do nothing unless you poll them"]
#[pin_project]
pub struct TimeoutEach<S> {
    /// `None` after the end of the stream, or after a limit that has passed.
    #[pin]
    stream: Option<S>,
    name: Name,
    /// Limit of the first item; `None` if it has the limit of all others.
    first: Option<Duration>,
    /// Limit of each other item.
    each: Duration,
    /// `true` before the first item.
    is_first: bool,
    wait: ItemWait,
    timer: BoxedTimer,
}

/// The wait of the consumer for the next item.
#[derive(Debug, Clone, Copy)]
enum ItemWait {
    NotBegun,
    Until(Instant),
    /// The clock cannot represent the end of the limit.
    Forever,
}

impl<S> TimeoutEach<S> {
    pub(crate) fn new(stream: S, each: Duration) -> Self {
        Self {
            stream: Some(stream),
            name: Name::from("stream"),
            first: None,
            each,
            is_first: true,
            wait: ItemWait::NotBegun,
            timer: BoxedTimer::new(),
        }
    }

    /// Sets another limit for the first item. A model often thinks for long before the first token,
    /// and then sends one every few milliseconds.
    ///
    /// The error has the label `first item`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use futures::StreamExt;
    /// use std::time::Duration;
    ///
    /// let silent = futures::stream::pending::<Result<String, Error>>();
    /// let mut tokens =
    ///     silent.timeout_each(Duration::from_millis(500)).first(Duration::from_secs(20));
    /// let error = tokens.next().await.unwrap().unwrap_err();
    /// assert_eq!(error.to_string(), "stream timed out after 20s (first item)");
    /// # }
    /// ```
    pub fn first(mut self, limit: Duration) -> Self {
        self.first = Some(limit);
        self
    }

    /// Sets the name of the stream in its error (default `stream`).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use futures::StreamExt;
    /// use std::time::Duration;
    ///
    /// let silent = futures::stream::pending::<Result<String, Error>>();
    /// let mut tokens = silent.timeout_each(Duration::from_millis(500)).named("tokens");
    /// let error = tokens.next().await.unwrap().unwrap_err();
    /// assert_eq!(error.to_string(), "tokens timed out after 500ms");
    /// # }
    /// ```
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Returns the limit of the next item, and its label.
    fn limit(&self) -> (Duration, Option<&'static str>) {
        match self.first {
            Some(first) if self.is_first => (first, Some(FIRST)),
            _ => (self.each, None),
        }
    }
}

impl<S> Stream for TimeoutEach<S>
where
    S: Stream,
    S::Item: Fallible,
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let (limit, label) = self.limit();
        let mut this = self.as_mut().project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if let Poll::Ready(item) = stream.poll_next(cx) {
            // The timer stays armed: the next wait only moves it.
            (*this.is_first, *this.wait) = (false, ItemWait::NotBegun);
            if item.is_none() {
                this.timer.disarm();
                this.stream.set(None);
            }
            return Poll::Ready(item);
        }
        if let ItemWait::NotBegun = this.wait {
            *this.wait = Clock::Task.now().checked_add(limit).map_or(ItemWait::Forever, ItemWait::Until);
        }
        let ItemWait::Until(end) = *this.wait else { return Poll::Pending };
        ready!(Wait::of_task(cx, Timer::Boxed(this.timer)).until(end));
        this.timer.disarm();
        this.stream.set(None);
        let error = Error::TimedOut { name: this.name.clone(), after: limit, label };
        Poll::Ready(Some(S::Item::from_policy(error)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A limit that passes ends the stream early, with one item for the error.
        let most = |stream: &S| stream.size_hint().1.and_then(|most| most.checked_add(1));
        (0, self.stream.as_ref().map_or(Some(0), most))
    }
}

impl<S> FusedStream for TimeoutEach<S>
where
    S: Stream,
    S::Item: Fallible,
{
    fn is_terminated(&self) -> bool {
        self.stream.is_none()
    }
}

impl<S> fmt::Debug for TimeoutEach<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, first, each, .. } = self;
        let mut shown = f.debug_struct("TimeoutEach");
        shown.field("name", name).field("each", each).field("first", first).finish_non_exhaustive()
    }
}
