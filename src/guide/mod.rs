//! Guides: each page is one task, from start to end.
//!
//! | page | task |
//! |---|---|
//! | [`clients`] | call an HTTP API with reqwest: errors, limits, retries, and requests that must not be sent twice |
//! | [`recipes`] | say which errors of sqlx, tonic and the AWS SDK are worth another attempt; put decorators into reqwest-middleware and behind a route of axum |
//! | [`streams`] | read the tokens of a model, with limits for the first token and the gaps, and pay for what came |

pub mod clients;
pub mod recipes;
pub mod streams;
