//! A permit of a limiter for each item of a stream.

use crate::{
    RateLimiter,
    layer::{BoxedTimer, Timer, Wait},
    rate_limiter::{Acquisition, Core, Request, never_refused},
    sync::Arc,
};
use futures::{Stream, stream::FusedStream};
use pin_project::pin_project;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A stream with a permit for each item.
///
/// Made by [`.rate_limited(..)`](crate::StreamExt::rate_limited).
///
/// # Examples
///
/// ```
/// use decor::{RateLimiter, prelude::*, stream::RateLimited};
/// use std::time::Duration;
///
/// let limiter = RateLimiter::new(10, Duration::from_secs(1));
/// let pages: RateLimited<_> = futures::stream::iter(1..=3).rate_limited(&limiter);
/// assert_eq!(format!("{pages:?}"), "RateLimited { holds_item: false, .. }");
/// ```
#[must_use = "streams do nothing unless you poll them"]
#[pin_project]
pub struct RateLimited<S: Stream> {
    #[pin]
    stream: S,
    /// The item that waits for its permit. It stays here if `next()` is dropped.
    item: Option<S::Item>,
    permit: Acquisition<Arc<Core>>,
    timer: BoxedTimer,
}

impl<S: Stream> RateLimited<S> {
    pub(crate) fn new(stream: S, limiter: RateLimiter) -> Self {
        Self { stream, item: None, permit: limiter.request(Request::one()), timer: BoxedTimer::new() }
    }
}

impl<S: Stream> Stream for RateLimited<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if this.item.is_none() {
            match ready!(this.stream.poll_next(cx)) {
                Some(item) => *this.item = Some(item),
                None => return Poll::Ready(None),
            }
        }
        let admitted = ready!(this.permit.poll(&mut Wait::of_task(cx, Timer::Boxed(this.timer))));
        admitted.unwrap_or_else(|error| never_refused(&error));
        this.permit.renew();
        this.timer.disarm();
        Poll::Ready(this.item.take())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (held, (least, most)) = (usize::from(self.item.is_some()), self.stream.size_hint());
        (least.saturating_add(held), most.and_then(|most| most.checked_add(held)))
    }
}

impl<S: FusedStream> FusedStream for RateLimited<S> {
    fn is_terminated(&self) -> bool {
        self.item.is_none() && self.stream.is_terminated()
    }
}

impl<S: Stream> fmt::Debug for RateLimited<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimited").field("holds_item", &self.item.is_some()).finish_non_exhaustive()
    }
}
