//! Guide: pages that each do one task, from start to end.
//!
//! | page | task |
//! |---|---|
//! | [`axum`] | from an empty crate to an API with limits that is served |
//! | [`config`] | the limits of a service in a file, which is read again while the service runs |

#[cfg(all(feature = "http", feature = "memo", feature = "tower"))]
pub mod axum;
#[cfg(feature = "serde")]
pub mod config;
