//! Features that are off by default, in the programs that people have. Builds faster than
//! `tests/it`.

mod metrics;
mod traced;
