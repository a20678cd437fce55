//! Guides: each page is one task, from start to end.
//!
//! | page | task |
//! |---|---|
//! | [`axum`] | from an empty crate to an API with limits that is served |
//! | [`clients`] | call an HTTP API with reqwest: errors, limits, retries, requests that must not be sent twice |
//! | [`config`] | the limits of a service in a file, which is read again while the service runs |
//! | [`recipes`] | use decor with sqlx, tonic, the AWS SDK, reqwest-middleware, and a route of axum |
//! | [`streams`] | read the tokens of a model, with two limits and a charge for what came |

#[cfg(all(feature = "http", feature = "memo", feature = "tower"))]
pub mod axum;
pub mod clients;
#[cfg(feature = "serde")]
pub mod config;
pub mod recipes;
pub mod streams;
