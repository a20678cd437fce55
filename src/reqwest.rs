//! The errors of reqwest that are worth another attempt.

use crate::{Transient, http};
use ::reqwest::Error;
use std::{error::Error as StdError, io, iter};

/// Decides by the status of the response, if the error has one: see
/// [`decor::http::is_transient`](crate::http::is_transient). Otherwise decides by the cause.
///
/// | failure | transient |
/// |---|---|
/// | a timeout of the client, the time to connect included | yes |
/// | the name of a host that is not found | yes |
/// | a connection that is refused, reset, or closed before the response is complete | yes |
/// | a URL or a header that is not valid, or `https` without a TLS backend | no |
/// | a redirect loop, or too many redirects | no |
/// | a TLS handshake with a server that does not speak TLS, or without a valid certificate | no |
/// | a response that is not HTTP, or a body that does not decode | no |
///
/// A cause is transient if it is an [`io::Error`] that is [`Transient`] or an unexpected end of
/// file, or an error of hyper for a message that is incomplete, canceled or closed.
/// `reqwest::Error::is_connect` alone would be wrong, because it is true for a missing TLS backend
/// as well. A resolver does not tell a wrong name from a name server that is down, so a wrong name
/// is tried again.
///
/// # Transient does not mean safe to repeat
///
/// A connection can break after the server has done the work. Put a retry around a `GET`, or around
/// a request with an idempotency key that the server knows. Around other requests, retry only
/// failures from before the request was sent, such as a refused connection: `.when(..)` in place of
/// `.transient()`.
///
/// # The error loses `Retry-After`, and keeps the URL
///
/// `error_for_status` drops the headers, so `retry_after` is always `None`.
/// [`StatusError::check`](crate::http::StatusError::check) keeps the hint.
///
/// The text of the error contains the URL, and with it an API key in the query.
/// [`logged`](crate::FnExt::logged), [`logging_errors`](crate::Retry::logging_errors) and a memo's
/// `LoadFailed` show the text. Remove the URL first in the chain, with
/// `.map_err(reqwest::Error::without_url)`.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// use decor::Transient;
/// use std::net::TcpListener;
///
/// let client = reqwest::Client::builder().no_proxy().build().unwrap();
/// let nothing_listens = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
/// let url = format!("http://{nothing_listens}/?key=secret");
///
/// let refused = client.get(url).send().await.unwrap_err();
/// assert!(refused.is_transient());
/// assert!(refused.to_string().contains("secret"));
/// assert_eq!(refused.without_url().to_string(), "error sending request");
///
/// let no_url = client.get("api.example/users").send().await.unwrap_err();
/// assert!(!no_url.is_transient());
/// # Ok(())
/// # }
/// ```
///
/// [`decor::guide::clients`](crate::guide::clients) has a whole client.
impl Transient for Error {
    fn is_transient(&self) -> bool {
        if let Some(status) = self.status() {
            return http::is_transient(status);
        }
        let is_mistake = self.is_builder() || self.is_redirect();
        !is_mistake && (self.is_timeout() || self.is_dns() || causes(self).any(is_broken_connection))
    }
}

fn is_broken_connection(cause: &(dyn StdError + 'static)) -> bool {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return error.is_transient() || error.kind() == io::ErrorKind::UnexpectedEof;
    }
    let error = cause.downcast_ref::<hyper::Error>();
    error.is_some_and(|error| error.is_incomplete_message() || error.is_canceled() || error.is_closed())
}

/// Returns the causes of an error, the nearest first.
fn causes(error: &Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    iter::successors(error.source(), |cause| cause_of(*cause))
}

fn cause_of<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>() {
        // Its `source` would skip the error that it holds.
        Some(error) => error.get_ref().map(|held| held as _),
        None => error.source(),
    }
}
