//! Guide: pages that each do one task, from start to end.
//!
//! | page | task |
//! |---|---|
//! | [`observing`] | spans, metrics and the page that Prometheus reads |

#[cfg(all(feature = "memo", feature = "metrics"))]
pub mod observing;
