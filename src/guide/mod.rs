//! Guide: pages that each do one task, from start to end.
//!
//! | page | task |
//! |---|---|
//! | [`axum`] | from an empty crate to an API with limits that is served |

#[cfg(all(feature = "http", feature = "memo", feature = "tower"))]
pub mod axum;
