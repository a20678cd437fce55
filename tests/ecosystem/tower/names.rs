//! The prelude beside the extension traits of tower, futures, tokio-stream and axum: no name is
//! ambiguous.

/// With `futures::StreamExt`.
mod with_futures {
    use crate::tower::{ms, secs};
    #[allow(unused_imports)] // the names alone could make a call ambiguous
    use axum::{
        RequestExt as _, RequestPartsExt as _, ServiceExt as _, handler::Handler as _, response::IntoResponse as _,
    };
    use decor::{Error, prelude::*};
    use futures::{FutureExt as _, StreamExt, TryFutureExt as _, TryStreamExt as _, stream};
    use std::future::ready;
    #[allow(unused_imports)]
    use tower::{Layer as _, MakeService as _, Service as _, ServiceExt};

    async fn fetch(id: u64) -> Result<u64, Error> {
        Ok(id)
    }

    #[tokio::test(start_paused = true)]
    async fn functions() {
        let (limiter, concurrency) = (RateLimiter::new(10, secs(1)), ConcurrencyLimiter::new(10));
        let breaker = CircuitBreaker::consecutive(5);
        let chain = fetch
            .map_err(|error| error)
            .timeout(ms(10))
            .guarded_by(&breaker)
            .concurrency_limited(&concurrency)
            .rate_limited(&limiter)
            .retry_with(RetryPolicy::default())
            .transient()
            .named("fetch")
            .logged()
            .timed("fetch")
            .lifted()
            .timeout(secs(10))
            .boxed();
        assert_eq!(chain.call(7).await, Ok(7));
        assert_eq!(fetch.fallible().call(7).await, Ok(Ok(7)));
        let again = fetch.into_fn();
        assert_eq!(again(7).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn futures_and_streams() {
        let limiter = RateLimiter::new(10, secs(1));
        let call = fetch(7).timeout(ms(10)).rate_limited(&limiter).timed("fetch").lifted();
        assert_eq!(call.map_err(|error| error.to_string()).map(|result| result.unwrap()).boxed().await, 7);
        assert_eq!(ready(7).fallible().timeout(ms(5)).await, Ok(7));
        let items = stream::iter([Ok::<u64, Error>(1), Ok(2)]).rate_limited(&limiter).timeout_each(secs(1));
        assert_eq!(items.map(|item| item.map(|n| n * 10)).try_collect::<Vec<_>>().await, Ok(vec![10, 20]));
    }

    #[tokio::test(start_paused = true)]
    async fn services() {
        let limiter = RateLimiter::new(10, secs(1));
        let layer = decor::tower::layer(move |inner| inner.rate_limited(&limiter).timeout(secs(1)));
        let mut service = layer.layer(tower::service_fn(fetch));
        assert_eq!(service.ready().await.unwrap().call(7).await, Ok(7));
        let mapped = service.clone().map_err(|error: Error| error.to_string()).map_response(|id| id + 1);
        assert_eq!(mapped.oneshot(7).await, Ok(8));
        assert_eq!(ServiceExt::<u64>::boxed_clone(service.clone()).oneshot(7).await, Ok(7));
        assert_eq!(ServiceExt::<u64>::boxed(service).oneshot(7).await, Ok(7));
    }
}

/// With `tokio_stream::StreamExt`, which has a `timeout` of its own.
mod with_tokio_stream {
    use crate::tower::secs;
    use decor::{Error, prelude::*};
    use tokio_stream::StreamExt;
    use tower::ServiceExt;

    #[tokio::test(start_paused = true)]
    async fn streams_and_functions() {
        let limiter = RateLimiter::new(10, secs(1));
        let items = tokio_stream::iter([Ok::<u64, Error>(1), Ok(2)])
            .rate_limited(&limiter)
            .timeout_each(secs(1))
            .timeout(secs(5))
            .map(|item| item.unwrap().unwrap());
        assert_eq!(items.collect::<Vec<_>>().await, [1, 2]);
        let fetch = (async |id: u64| Ok::<_, Error>(id)).rate_limited(&limiter).timeout(secs(1));
        assert_eq!(fetch.call(7).await, Ok(7));
        let service = decor::tower::service(fetch);
        assert_eq!(service.map_response(|id: u64| id + 1).oneshot(7).await, Ok(8));
    }
}
