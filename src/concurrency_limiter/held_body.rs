//! Bodies that hold the permits of their response.

use super::permit::ConcurrencyPermit;
use crate::sync::{Arc, Mutex, lock};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A body that holds [permits](ConcurrencyPermit) until it ends.
///
/// Made by [`ConcurrencyPermit::until_end_of`], and by
#[cfg_attr(feature = "tower", doc = "[`decor::tower::http_layer`](crate::tower::http_layer)")]
#[cfg_attr(not(feature = "tower"), doc = "`decor::tower::http_layer`")]
/// for the permits of its chain. The permits go back with the last frame of the body. If the body
/// is dropped earlier, because the client has gone, the permits go back as those of a
/// [cancelled](ConcurrencyPermit::cancel) call.
///
/// # Examples
///
/// See [`ConcurrencyPermit::until_end_of`].
#[pin_project]
pub struct HeldBody<B> {
    #[pin]
    body: B,
    held: Held,
}

/// The permits of a response, which its body and the gates of its call share.
#[derive(Debug, Default)]
pub(super) struct Permits(pub(super) Mutex<Vec<ConcurrencyPermit>>);

#[derive(Debug)]
struct Held {
    /// `None` if the body holds no permits.
    permits: Option<Arc<Permits>>,
    /// `true` once the body has no more frames.
    has_ended: bool,
}

impl ConcurrencyPermit {
    /// Holds the permit until the body of a response has ended, and returns the body.
    ///
    /// A call of an HTTP service ends with the head of its response. Its body may take longer, and
    /// use more. Takes every `http_body::Body`.
    ///
    /// # Examples
    ///
    /// A middleware of axum's `from_fn`:
    ///
    /// ```
    /// use axum::{Router, body::Body, extract::{Request, State}, response::Response};
    /// use axum::{middleware::{Next, from_fn_with_state}, routing::get};
    /// use decor::prelude::*;
    ///
    /// async fn limited(
    ///     State(limiter): State<ConcurrencyLimiter>,
    ///     request: Request,
    ///     next: Next,
    /// ) -> Result<Response, Response> {
    ///     let permit = limiter.try_acquire()?; // 503
    ///     Ok(next.run(request).await.map(|body| Body::new(permit.until_end_of(body))))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use axum::body::to_bytes;
    /// use tower::ServiceExt;
    ///
    /// let limiter = ConcurrencyLimiter::new(1);
    /// let app: Router = Router::new()
    ///     .route("/", get(async || "hello"))
    ///     .layer(from_fn_with_state(limiter.clone(), limited));
    /// let get = || app.clone().oneshot(Request::new(Body::empty()));
    ///
    /// let response = get().await.unwrap();
    /// assert_eq!(limiter.in_use(), 1); // the body was not read yet
    /// assert_eq!(get().await.unwrap().status(), 503);
    /// assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "hello");
    /// assert_eq!(limiter.in_use(), 0);
    /// # }
    /// ```
    pub fn until_end_of<B: Body>(self, body: B) -> HeldBody<B> {
        HeldBody::new(body, Some(Arc::new(Permits(Mutex::new(vec![self])))))
    }
}

impl<B> HeldBody<B> {
    pub(super) fn new(body: B, permits: Option<Arc<Permits>>) -> Self
    where
        B: Body,
    {
        let has_ended = body.is_end_stream();
        Self { body, held: Held { permits, has_ended } }
    }

    pub(crate) fn without_permits(body: B) -> Self {
        Self { body, held: Held { permits: None, has_ended: false } }
    }
}

impl Held {
    /// Gives the permits back, because the body has no more frames.
    fn end(&mut self) {
        self.has_ended = true;
        self.permits = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let unread = self.permits.as_ref().filter(|_| !self.has_ended);
        let permits = unread.map(|permits| mem::take(&mut *lock(&permits.0)));
        permits.into_iter().flatten().for_each(ConcurrencyPermit::cancel);
    }
}

impl<B: Body> Body for HeldBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        let is_last = match frame {
            Some(Ok(_)) => this.body.is_end_stream(),
            Some(Err(_)) => false,
            None => true,
        };
        if is_last {
            this.held.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that holds no permits, such as that of a refusal.
///
/// # Examples
///
/// ```
/// let refusal = decor::HeldBody::<axum::body::Body>::from("rate limited".to_owned());
/// assert_eq!(http_body::Body::size_hint(&refusal).exact(), Some(12));
/// ```
impl<B: From<String>> From<String> for HeldBody<B> {
    fn from(text: String) -> Self {
        Self::without_permits(text.into())
    }
}

impl<B: fmt::Debug> fmt::Debug for HeldBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permits = self.held.permits.as_ref().map_or(0, |permits| lock(&permits.0).len());
        f.debug_struct("HeldBody").field("body", &self.body).field("permits", &permits).finish()
    }
}
