//! Decorators of single calls: `timed`, `logged`, `timeout`, `validated` and `deprecated`.

mod logged;
mod timed;
mod timeout;
mod validated;
