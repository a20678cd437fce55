//! Decorators of single calls: `timed`, `logged`, `timeout`, `validated` and `deprecated`.

mod into_fn;
mod logged;
mod timed;
mod timeout;
mod validated;
