//! The routes, and the chains around them.

use crate::{
    settings::Handles,
    store::{Item, Store},
    upstream::{Client, Upstream, UpstreamError},
};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use decor::{Error, prelude::*, tower::http_layer, with_context};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::{convert::Infallible, sync::Arc, time::Duration};

/// Number of frames of an export.
const FRAMES: usize = 512;
const FRAME: usize = 64 * 1024;

#[derive(Clone)]
struct Api {
    handles: Handles,
    item: BoxedFn<(u64,), Result<Option<Item>, Error>>,
    weather: BoxedFn<(String,), Result<String, UpstreamError>>,
}

pub(crate) fn router(handles: &Handles, store: &Store, upstream: &Upstream) -> anyhow::Result<Router> {
    let item = with_context(store.clone(), Store::load)
        .timeout(Duration::from_secs(1)) // limit of each load
        .memoized(&handles.items)
        .timeout(Duration::from_secs(2)) // limit of each caller
        .boxed();
    let weather = Client::new(upstream)?.guarded(&handles.weather);

    let exports = handles.exports.clone();
    let few = http_layer(move |next| next.try_concurrency_limited(&exports)); // 503, until the body ends
    let per_key = handles.per_key.clone();
    let limited = http_layer(move |next| {
        next.timeout(Duration::from_secs(5)) // 504
            .try_rate_limited_by_key(&per_key, api_key) // 429
    });
    Ok(Router::new()
        .route("/items/{id}", get(get_item))
        .route("/weather/{city}", get(get_weather))
        .route("/export", get(export).layer(few))
        .layer(limited)
        .route("/stats", get(stats)) // behind the layer, so without limits
        .with_state(Api { handles: handles.clone(), item, weather }))
}

/// Callers without a key share one limit.
fn api_key(request: &Request) -> Arc<str> {
    request.headers().get("x-api-key").and_then(|key| key.to_str().ok()).unwrap_or("none").into()
}

async fn get_item(State(api): State<Api>, Path(id): Path<u64>) -> Result<(StatusCode, Json<Option<Item>>), Response> {
    let item = api.item.call(id).await?; // 504, or 503 if the load of another call has failed
    let status = if item.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok((status, Json(item)))
}

async fn get_weather(State(api): State<Api>, Path(city): Path<String>) -> Result<String, UpstreamError> {
    api.weather.call(city).await
}

/// A body that is larger than the buffers of a connection, so that it ends only when it is read.
async fn export() -> Body {
    let frames = stream::repeat(Bytes::from_static(&[b'.'; FRAME])).take(FRAMES);
    Body::from_stream(frames.map(Ok::<_, Infallible>))
}

async fn stats(State(api): State<Api>) -> Json<Value> {
    let Handles { per_key, exports, items, weather } = &api.handles;
    Json(json!({
        "per_key": per_key.stats(),
        "keys": per_key.len(),
        "exports": exports.stats(),
        "items": items.stats(),
        "weather": weather.stats(),
    }))
}
