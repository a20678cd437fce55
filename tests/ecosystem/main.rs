//! The features for other crates, which are off by default. Its modules are named after them.

mod reqwest;
mod streams;
