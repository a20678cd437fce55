//! Guides.

pub mod clients;
pub mod streams;
pub mod recipes;
