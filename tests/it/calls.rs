//! Decorators of single calls: `timed`, `logged`, `timeout`, `fallback`, `validated` and
//! `deprecated`.

mod fallback;
mod into_fn;
mod logged;
mod timed;
mod timeout;
mod validated;
