//! The failures of reqwest, and the retry that reads them.
//!
//! A server that misbehaves produces each failure over a real socket. A test waits for events, and
//! never for a duration.

mod connecting;
mod server;

use connecting::{BoxError, Handshake, NoNames, Silence};
use decor::{Failure, GiveUpReason, Transient, http::StatusError, prelude::*};
use futures::FutureExt as _;
use hyper::client::conn::http1::SendRequest;
use reqwest::{Client, Error, redirect::Policy};
use server::Server;
use std::{
    error::Error as StdError,
    future::{Future, pending, ready},
    io::{self, ErrorKind},
    iter,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpSocket,
    sync::Notify,
    time::{Instant, pause},
};

const SECS: fn(u64) -> Duration = Duration::from_secs;

/// A proxy of the environment must not get requests for loopback addresses.
fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// Fetches the whole body.
async fn get(client: &Client, url: &str) -> reqwest::Result<String> {
    client.get(url).send().await?.error_for_status()?.text().await
}

async fn failure(client: &Client, url: &str) -> Error {
    get(client, url).await.expect_err("the server misbehaves")
}

fn causes(error: &Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    iter::successors(error.source(), |&cause| cause.source())
}

fn cause<E: StdError + 'static>(error: &Error) -> Option<&E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn io_kind(error: &Error) -> Option<ErrorKind> {
    cause::<io::Error>(error).map(io::Error::kind)
}

fn is_incomplete(error: &Error) -> bool {
    cause::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message)
}

/// Without its URL, the error is as transient as before. reqwest never has a hint.
#[track_caller]
fn assert_transient(error: Error, expected: bool) {
    let shown = format!("{error:?}");
    assert_eq!(error.is_transient(), expected, "{shown}");
    assert_eq!(Transient::retry_after(&error), None);
    assert_eq!(error.without_url().is_transient(), expected, "{shown}");
}

mod table {
    use super::*;

    /// The socket keeps its port, so that no other test listens there.
    #[tokio::test]
    async fn refused() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = failure(&client(), &format!("http://{}/", socket.local_addr().unwrap())).await;
        assert_eq!((io_kind(&error), error.is_connect()), (Some(ErrorKind::ConnectionRefused), true));
        assert_transient(error, true);
    }

    #[tokio::test]
    async fn reset() {
        let server = Server::start(async |stream| stream.set_zero_linger().unwrap()).await;
        let error = failure(&client(), &server.url).await;
        assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionReset));
        assert_transient(error, true);
    }

    #[tokio::test]
    async fn closed_without_an_answer() {
        let server = Server::start(async |_| {}).await;
        let error = failure(&client(), &server.url).await;
        assert!(is_incomplete(&error), "{error:?}");
        assert_transient(error, true);
    }

    #[tokio::test]
    async fn closed_in_the_head() {
        let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Le").await;
        let error = failure(&client(), &server.url).await;
        assert!(is_incomplete(&error), "{error:?}");
        assert_transient(error, true);
    }

    #[tokio::test]
    async fn closed_in_the_body() {
        let server = Server::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel").await;
        let error = failure(&client(), &server.url).await;
        assert_eq!(io_kind(&error), Some(ErrorKind::UnexpectedEof));
        assert_transient(error, true);
    }

    #[tokio::test]
    async fn truncated() {
        let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
        let error = failure(&client(), &server.url).await;
        assert_eq!(io_kind(&error), Some(ErrorKind::UnexpectedEof));
        assert_transient(error, true);
    }

    #[tokio::test]
    async fn reset_in_the_body() {
        let head_was_read = Arc::new(Notify::new());
        let server = Server::start({
            let head_was_read = head_was_read.clone();
            move |mut stream| {
                let head_was_read = head_was_read.clone();
                async move {
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await.unwrap();
                    head_was_read.notified().await;
                    stream.set_zero_linger().unwrap();
                }
            }
        })
        .await;
        let response = client().get(&server.url).send().await.unwrap();
        head_was_read.notify_one();
        let error = response.text().await.unwrap_err();
        assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionReset));
        assert_transient(error, true);
    }

    /// The clock is paused once the server has the request, and then advances to the limit.
    #[tokio::test]
    async fn slow_to_answer() {
        let server = Server::start(async |stream| {
            pause();
            pending::<()>().await;
            drop(stream);
        })
        .await;
        let client = Client::builder().no_proxy().timeout(SECS(3_600)).build().unwrap();
        let error = failure(&client, &server.url).await;
        assert!(error.is_timeout() && !error.is_connect(), "{error:?}");
        assert_transient(error, true);
    }

    #[tokio::test]
    async fn slow_in_the_body() {
        let server = Server::start(async |mut stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await.unwrap();
            pending::<()>().await;
        })
        .await;
        let client = Client::builder().no_proxy().timeout(SECS(3_600)).build().unwrap();
        let response = client.get(&server.url).send().await.unwrap();
        pause();
        let error = response.text().await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert_transient(error, true);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_to_connect() {
        let hanging = Handshake::new(|| Box::pin(pending()));
        let client = Client::builder().no_proxy().connect_timeout(SECS(5)).connector_layer(hanging).build().unwrap();
        let server = Server::start(async |_| {}).await;
        let begun = Instant::now();
        let error = failure(&client, &server.url).await;
        assert!(error.is_timeout() && error.is_connect(), "{error:?}");
        assert_eq!(begun.elapsed(), SECS(5));
        assert_transient(error, true);
    }

    #[tokio::test]
    async fn a_server_of_another_protocol() {
        let server = Server::answering("SSH-2.0-OpenSSH_9.9\r\n").await;
        let error = failure(&client(), &server.url).await;
        assert!(cause::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse), "{error:?}");
        assert_transient(error, false);
    }

    /// `is_connect` is true here, and another attempt would find no TLS backend either.
    #[tokio::test]
    async fn https_without_a_tls_backend() {
        let server = Server::start(async |_| {}).await;
        let error = failure(&client(), &server.url.replace("http:", "https:")).await;
        assert!(error.is_connect(), "{error:?}");
        assert_eq!(server.requests(), 0);
        assert_transient(error, false);
    }

    #[tokio::test]
    async fn a_redirect_loop() {
        let server =
            Server::answering("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
        let error = failure(&client(), &server.url).await;
        assert!(error.is_redirect(), "{error:?}");
        assert_eq!(server.requests(), 11, "the first, and reqwest's 10 redirects");
        assert_transient(error, false);

        // A policy of the program decides, whatever its reason is.
        let refuse = Policy::custom(|attempt| attempt.error(io::Error::from(ErrorKind::ConnectionReset)));
        let client = Client::builder().no_proxy().redirect(refuse).build().unwrap();
        let error = failure(&client, &server.url).await;
        assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionReset));
        assert_transient(error, false);
    }

    #[tokio::test]
    async fn a_url_that_is_none() {
        for url in ["api.example/users", "ftp://api.example/", "http://", "http://[::1/"] {
            let error = failure(&client(), url).await;
            assert!(error.is_builder(), "{url}: {error:?}");
            assert_transient(error, false);
        }
    }

    /// A label of 64 characters is too long for any name server, so the resolver asks none.
    #[tokio::test]
    async fn a_name_that_is_not_found() {
        let error = failure(&client(), &format!("http://{}.invalid/", "a".repeat(64))).await;
        assert!(error.is_dns(), "{error:?}");
        assert_transient(error, true);

        let client = Client::builder().no_proxy().dns_resolver(NoNames).build().unwrap();
        let error = failure(&client, "http://api.example/").await;
        assert!(error.is_dns(), "{error:?}");
        assert_transient(error, true);
    }

    #[tokio::test]
    async fn a_body_that_is_no_json() {
        let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n<html").await;
        let response = client().get(&server.url).send().await.unwrap();
        let error = response.json::<Vec<u8>>().await.unwrap_err();
        assert!(error.is_decode(), "{error:?}");
        assert_transient(error, false);
    }

    #[tokio::test]
    async fn a_status() {
        let transient = [408, 425, 429, 500, 502, 503, 504, 529];
        for code in [400, 401, 403, 404, 408, 409, 425, 429, 451, 500, 501, 502, 503, 504, 505, 529] {
            let answer =
                format!("HTTP/1.1 {code} -\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let server = Server::answering(answer).await;
            let error = failure(&client(), &server.url).await;
            assert_eq!(error.status().map(|status| status.as_u16()), Some(code));
            assert_transient(error, transient.contains(&code));
        }
    }
}

/// Failures that need another client, or more luck than a test has. The client connects to a real
/// server, and then gets the error of a handshake.
mod by_cause {
    use super::*;

    async fn after_connecting<Fut, E>(error: impl Fn() -> Fut + Send + Sync + 'static) -> Error
    where
        Fut: Future<Output = E> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let handshake = Handshake::new(move || Box::pin(error().map(Into::into)));
        let client = Client::builder().no_proxy().connector_layer(handshake).build().unwrap();
        let server = Server::start(async |_| {}).await;
        let error = failure(&client, &server.url).await;
        assert!(error.is_connect(), "{error:?}");
        error
    }

    #[derive(Debug, thiserror::Error)]
    #[error("received corrupt message of type InvalidContentType")]
    struct NotTls;

    /// These errors have the shape of those of the two TLS backends: see DESIGN.md.
    #[tokio::test]
    async fn tls_to_a_plain_port() {
        let rustls = || ready(io::Error::other(io::Error::new(ErrorKind::InvalidData, NotTls)));
        assert_transient(after_connecting(rustls).await, false);
        assert_transient(after_connecting(|| ready(NotTls)).await, false);
    }

    #[tokio::test]
    async fn each_kind_of_an_io_error() {
        let kinds = [
            (ErrorKind::ConnectionRefused, true),
            (ErrorKind::ConnectionReset, true),
            (ErrorKind::ConnectionAborted, true),
            (ErrorKind::NotConnected, true),
            (ErrorKind::BrokenPipe, true),
            (ErrorKind::HostUnreachable, true),
            (ErrorKind::NetworkUnreachable, true),
            (ErrorKind::NetworkDown, true),
            (ErrorKind::TimedOut, true),
            (ErrorKind::Interrupted, true),
            (ErrorKind::WouldBlock, true),
            (ErrorKind::ResourceBusy, true),
            (ErrorKind::UnexpectedEof, true),
            (ErrorKind::InvalidData, false),
            (ErrorKind::InvalidInput, false),
            (ErrorKind::PermissionDenied, false),
            (ErrorKind::AddrNotAvailable, false),
            (ErrorKind::Unsupported, false),
            (ErrorKind::OutOfMemory, false),
            (ErrorKind::Other, false),
        ];
        for (kind, expected) in kinds {
            assert_transient(after_connecting(move || ready(io::Error::from(kind))).await, expected);
            let held = move || ready(io::Error::other(io::Error::from(kind)));
            assert_transient(after_connecting(held).await, expected);
        }
        assert_transient(after_connecting(|| ready("no")).await, false);
    }

    /// Sends a request on a connection of hyper that has ended before.
    async fn sender() -> SendRequest<String> {
        let (sender, connection) = hyper::client::conn::http1::handshake(Silence).await.unwrap();
        drop(connection);
        sender
    }

    async fn canceled() -> hyper::Error {
        let error = sender().await.send_request(hyper::Request::new(String::new())).await.unwrap_err();
        assert!(error.is_canceled() && !error.is_closed(), "{error:?}");
        error
    }

    async fn closed() -> hyper::Error {
        let error = sender().await.ready().await.unwrap_err();
        assert!(error.is_closed() && !error.is_canceled(), "{error:?}");
        error
    }

    #[tokio::test]
    async fn a_message_that_is_canceled_or_closed() {
        assert_transient(after_connecting(canceled).await, true);
        assert_transient(after_connecting(closed).await, true);
    }

    /// `io::Error::source` skips the error that it holds.
    #[tokio::test]
    async fn an_error_of_hyper_within_an_io_error() {
        assert_transient(after_connecting(|| canceled().map(io::Error::other)).await, true);
    }
}

mod chains {
    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

    /// Resets as many connections as told, and then answers.
    async fn flaky(mut resets: u32) -> Server {
        Server::start(move |mut stream| {
            let is_reset = resets > 0;
            resets = resets.saturating_sub(1);
            async move {
                if is_reset {
                    stream.set_zero_linger().unwrap();
                } else {
                    stream.write_all(OK.as_bytes()).await.unwrap();
                }
            }
        })
        .await
    }

    #[tokio::test]
    async fn a_retry_repeats_what_is_transient() {
        let (client, at_once) = (client(), RetryPolicy::fixed(Duration::ZERO));
        let get = async |url: &str| get(&client, url).await;
        let get = get.lifted().retry_with(&at_once).transient().explained();

        let server = flaky(2).await;
        assert_eq!(get.call(&server.url).await.unwrap(), "ok");
        assert_eq!(server.requests(), 3);

        let server = flaky(3).await;
        let error = get.call(&server.url).await.unwrap_err();
        assert_eq!((error.reason(), server.requests()), (GiveUpReason::Exhausted, 3));

        let server = Server::answering("HTTP/1.1 404 -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        let error = get.call(&server.url).await.unwrap_err();
        assert_eq!((error.reason(), server.requests()), (GiveUpReason::NotRetryable, 1));
    }

    /// The paused clock advances only to timers, and only the delay of the retry is one. No
    /// connection is kept, because reqwest has a timer for idle connections.
    #[tokio::test(start_paused = true)]
    async fn error_for_status_loses_the_hint_and_a_status_error_keeps_it() {
        async fn throttled_once() -> Server {
            let mut is_first = true;
            Server::start(move |mut stream| {
                let throttled = "HTTP/1.1 429 -\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let answer = if is_first { throttled } else { OK };
                is_first = false;
                async move { stream.write_all(answer.as_bytes()).await.unwrap() }
            })
            .await
        }
        #[derive(Debug, thiserror::Error)]
        enum ApiError {
            #[error(transparent)]
            Status(#[from] StatusError),
            #[error(transparent)]
            Http(#[from] Error),
        }
        impl Transient for ApiError {
            fn is_transient(&self) -> bool {
                match self {
                    Self::Status(error) => error.is_transient(),
                    Self::Http(error) => error.is_transient(),
                }
            }
            fn retry_after(&self) -> Option<Duration> {
                match self {
                    Self::Status(error) => error.retry_after(),
                    Self::Http(error) => Transient::retry_after(error),
                }
            }
        }

        let (client, policy) = (client(), RetryPolicy::fixed(SECS(1)));
        for (keeps_hint, expected) in [(false, SECS(1)), (true, SECS(7))] {
            let server = throttled_once().await;
            let get = async |url: &str| {
                let response = client.get(url).send().await?;
                if keeps_hint {
                    StatusError::check(response.status(), response.headers())?;
                }
                Ok::<_, ApiError>(response.error_for_status()?.text().await?)
            };
            let begun = Instant::now();
            assert_eq!(get.retry_with(&policy).transient().call(&server.url).await.unwrap(), "ok");
            assert_eq!((begun.elapsed(), server.requests()), (expected, 2));
        }
    }

    #[tokio::test]
    async fn without_url_hides_the_key_and_a_failure_shows_no_more() {
        let (client, server) = (client(), Server::answering("").await);
        let get = async |url: &str| get(&client, url).await;
        let shown = get.lifted().call(&server.url).await.unwrap_err();
        assert!(shown.to_string().contains("secret"));

        let hidden = get.map_err(Error::without_url).lifted().call(&server.url).await.unwrap_err();
        let Failure::Call(error) = &hidden else { panic!("{hidden}") };
        let causes = causes(error).map(ToString::to_string).collect::<String>();
        assert!(!format!("{hidden} {hidden:?} {causes}").contains("secret"), "{hidden:?}");
        assert!(hidden.is_transient());
    }
}
