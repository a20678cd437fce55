//! Limits that processes share through a store, in virtual time. A process is a limiter with a
//! connection of its own to a `FakeStore`.

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
mod words;
