//! Limits and memos that processes share through a store, in virtual time. A process is a limiter
//! with a connection of its own to a `FakeStore`, or a memo with a tier that answers by a script.

mod config;
mod dropped;
mod exact;
mod failures;
mod fair;
mod keyed;
mod model;
mod real_time;
mod support;
mod threads;
#[cfg(feature = "memo")]
mod tier;
mod words;
