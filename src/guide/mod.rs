//! Guides: each page is one task, from start to end.
//!
//! | page | task |
//! |---|---|
//! | [`start`] | from an empty crate to a tested function with limits |
//! | [`order`] | find the place of each decorator, and let a test check the places |
//! | [`errors`] | choose an error type, choose the errors to retry, and answer a refused call |
//! | [`testing`] | test delays, limits and failures at exact times, without waiting |
//! | [`clients`] | call an HTTP API with reqwest: errors, limits, retries, requests that must not be sent twice |
//! | [`services`] | serve an API with limits in axum |
//! | [`recipes`] | use decor with sqlx, tonic, the AWS SDK, reqwest-middleware, and a route of axum |
//! | [`config`] | read the limits of a service from a file, and again while the service runs |
//! | [`streams`] | read the tokens of a model, with two limits and a charge for what came |
//! | [`past_one_machine`] | share one limit and one memo between processes, on Redis |
//! | [`observing`] | see spans, metrics, and a dashboard |
//! | [`blocking`] | decorate sync functions, on threads and beside tasks |
//! | [`writing_a_decorator`] | give chains a decorator of your own |
//!
//! The pages can be read in this order. [`start`], [`order`] and [`errors`] come first, and each of
//! the others stands by itself. A service that does all of it begins with these crates:
//!
//! ```sh
//! cargo add --path ../decor --features http,macros,metrics,reqwest,serde,tower
//! cargo add --path ../decor --dev --features test-util
//! cargo add axum toml thiserror tracing-subscriber metrics-exporter-prometheus
//! cargo add serde --features derive
//! cargo add tokio --features macros,net,rt-multi-thread,signal,time
//! cargo add tokio --dev --features test-util
//! ```

#[cfg(feature = "memo")]
pub mod blocking;
pub mod clients;
#[cfg(feature = "serde")]
pub mod config;
#[cfg(feature = "memo")]
pub mod errors;
#[cfg(all(feature = "memo", feature = "metrics"))]
pub mod observing;
#[cfg(feature = "memo")]
pub mod order;
pub mod past_one_machine;
pub mod recipes;
#[cfg(all(feature = "http", feature = "memo", feature = "tower"))]
pub mod services;
#[cfg(feature = "memo")]
pub mod start;
pub mod streams;
pub mod testing;
pub mod writing_a_decorator;
