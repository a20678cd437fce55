#![doc = include_str!("../README.md")]
#![doc = include_str!("../docs/fleet.svg")]

mod address;
#[cfg(feature = "cluster")]
mod cluster;
mod connection;
mod io_thread;
mod keys;
#[cfg(feature = "metrics")]
mod metrics;
mod quota;
mod redis;
mod resp;
mod script;
mod stats;
mod store;
#[cfg(test)]
mod tests;
mod tier;
#[cfg(feature = "tls")]
mod tls;

pub use quota::RedisQuota;
pub use redis::{Redis, RedisBuilder};
pub use stats::RedisStats;
pub use tier::RedisTier;
