//! The features for other crates, which are off by default. Its modules are named after them.
//! Builds faster than `tests/it`.

mod reqwest;
mod serde;
mod streams;
mod tower;
