//! decor beside its peers: the cases, their measurement, and the table.
//!
//! A [`Case`](cases::Case) is a job that several libraries do. Each of its
//! [`Pair`](measure::Pair)s compares decor with a peer. The table of `peers` and the groups of
//! `cargo bench` run the same functions.

pub mod allocations;
pub mod arguments;
pub mod build;
pub mod cases;
pub mod document;
pub mod host;
pub mod json;
pub mod measure;
pub mod scaling;
pub mod statistics;
pub mod svg;
pub mod table;
pub mod target;
