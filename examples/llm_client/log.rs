//! Sends the log lines to stderr, so that stdout has only the answers.

use std::{io, io::IsTerminal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, fmt::format::debug_fn};

pub(crate) fn to_stderr() {
    // decor's fields repeat the words of its messages for machines. A terminal needs only the
    // words.
    let words_only = debug_fn(|out, field, value| match field.name() {
        "message" | "n" => write!(out, "{value:?}"),
        _ => Ok(()),
    });
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy())
        .fmt_fields(words_only)
        .without_time()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}
