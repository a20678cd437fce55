//! Guide: pages that each do one task, from start to end.
//!
//! | page | task |
//! |---|---|
//! | [`config`] | the limits of a service in a file, which is read again while the service runs |

#[cfg(feature = "serde")]
pub mod config;
