//! Another service, which can be made to fail, and its client.

use axum::{
    Router,
    extract::Path,
    http::{Response as HttpResponse, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use decor::{Error, http::StatusError, prelude::*};
use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::net::TcpListener;

#[derive(Debug, Clone, Default)]
pub(crate) struct Upstream {
    url: Arc<str>,
    requests: Arc<AtomicU32>,
    is_failing: Arc<AtomicBool>,
}

impl Upstream {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let upstream = Self { url: format!("http://{}", listener.local_addr()?).into(), ..Self::default() };
        let Self { requests, is_failing, .. } = upstream.clone();
        let weather = async move |Path(city): Path<String>| {
            requests.fetch_add(1, Relaxed);
            if is_failing.load(Relaxed) { Err(StatusCode::BAD_GATEWAY) } else { Ok(format!("sunny in {city}")) }
        };
        let app = Router::new().route("/{city}", get(weather));
        tokio::spawn(async { axum::serve(listener, app).await });
        Ok(upstream)
    }

    pub(crate) fn set_failing(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Relaxed);
    }

    /// Number of requests that have come.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Relaxed)
    }
}

/// A client of the upstream.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: Arc<str>,
}

impl Client {
    pub(crate) fn new(upstream: &Upstream) -> anyhow::Result<Self> {
        Ok(Self { http: reqwest::Client::builder().build()?, url: Arc::clone(&upstream.url) })
    }

    async fn get(self, city: String) -> Result<String, UpstreamError> {
        let response = self.http.get(format!("{}/{city}", self.url)).send().await?;
        StatusError::check(response.status(), response.headers())?;
        Ok(response.text().await?)
    }

    /// The request behind a breaker. While the circuit is open, no request is sent.
    pub(crate) fn guarded(self, breaker: &CircuitBreaker) -> BoxedFn<(String,), Result<String, UpstreamError>> {
        decor::with_context(self, Self::get)
            .named("weather")
            .timeout(Duration::from_secs(2))
            .guarded_by(breaker)
            .transient() // a 404 is no failure of the upstream
            .boxed()
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("no answer")]
    Request(#[from] reqwest::Error),
    #[error(transparent)]
    Status(#[from] StatusError),
    #[error(transparent)]
    Policy(#[from] Error),
}

impl Transient for UpstreamError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Request(_) => true,
            Self::Status(error) => error.is_transient(),
            Self::Policy(error) => error.is_transient(),
        }
    }
}

/// A refusal of the breaker is a 503 with `Retry-After`, a failure of the upstream a 502.
impl IntoResponse for UpstreamError {
    fn into_response(self) -> Response {
        match self {
            Self::Policy(error) => HttpResponse::from(error),
            Self::Status(StatusError { status: StatusCode::NOT_FOUND, .. }) => StatusCode::NOT_FOUND.into_response(),
            Self::Request(_) | Self::Status(_) => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}
