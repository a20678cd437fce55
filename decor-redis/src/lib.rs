#![doc = include_str!("../README.md")]

mod address;
mod connection;
mod io_thread;
mod keys;
#[cfg(test)]
mod model;
mod quota;
mod redis;
mod resp;
mod script;
#[cfg(test)]
#[path = "../examples/fleet/server.rs"]
mod server;
mod stats;
mod store;

pub use quota::RedisQuota;
pub use redis::{Redis, RedisBuilder};
pub use stats::RedisStats;
