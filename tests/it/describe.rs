//! Descriptions of chains: steps, pictures and lints.

mod good;
mod lints;
mod picture;
mod steps;
