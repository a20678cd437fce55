//! Guides.

pub mod clients;
pub mod recipes;
pub mod streams;
