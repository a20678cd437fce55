//! decor beside its peers: the cases, and what measures and shows them.
//!
//! A [`Case`](cases::Case) is one job that several libraries do; each of its [`Pair`](measure::Pair)s sets decor beside one peer. The
//! table of `peers` and the groups of `cargo bench` run the same functions.

pub mod allocations;
pub mod arguments;
pub mod build;
pub mod cases;
pub mod document;
pub mod host;
pub mod json;
pub mod measure;
pub mod statistics;
pub mod svg;
pub mod table;
pub mod target;
