//! Guides: each page is one task, from start to end.
//!
//! | page | task |
//! |---|---|
//! | [`clients`] | call an HTTP API with reqwest: errors, limits, retries, requests that must not be sent twice |
//! | [`recipes`] | use decor with sqlx, tonic, the AWS SDK, reqwest-middleware, and a route of axum |
//! | [`streams`] | read the tokens of a model, with two limits and a charge for what came |

pub mod clients;
pub mod recipes;
pub mod streams;
