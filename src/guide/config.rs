//! Settings from a file, which is read again while the service runs.
//!
//! This page begins with a file, makes handles of it, shows the answers to a wrong file, and ends
//! with a service that takes over a new file without losing its state. It needs the feature
//! `serde`, and a crate for the format of the file:
//!
//! ```toml
//! [dependencies]
//! decor = { path = "../decor", features = ["serde"] } # a clone: decor is not on crates.io yet
//! serde = { version = "1", features = ["derive"] }
//! toml = "1"
//! ```
//!
//! # A file
//!
//! Each handle has a table. The fields of [`RateLimiterConfig`](crate::RateLimiterConfig),
//! [`CircuitBreakerConfig`](crate::CircuitBreakerConfig) and the other configs are the settings,
//! and their documentation says what is allowed. A setting that is left out has its default, except
//! the `limit` of a rate limiter. A table that is left out is an error of serde, unless the
//! program's field has `#[serde(default)]`.
//!
//! ```toml
//! [retry]
//! delay = "250ms"
//! jitter = "full"
//! max_attempts = 4
//!
//! [api]
//! limit = ["10 per 1s", "300 per 1m"]
//! max_waiting = 100
//!
//! [per_user]
//! limit = "5 per 1m"
//! max_keys = 10_000
//!
//! [places]
//! range = "4..=100"
//!
//! [breaker]
//! window = { rate = 0.5, period = "30s" }
//! open_for = "10s"
//! ```
//!
//! A duration has a unit, because `delay = 250` could mean anything. A limit is a text, such as
//! `"60 per 1m"`. The text that a limiter displays, such as `60 per 60s`, is a limit too.
//!
//! # Handles
//!
//! The program has a struct with a field for each table. `deny_unknown_fields` refuses a misspelled
//! table, as decor refuses a misspelled setting. The struct keeps the configs, and not the handles,
//! so that a file can be read without an effect.
//!
//! ```
//! use decor::prelude::*;
//! use decor::{CircuitBreakerConfig, ConcurrencyConfig, ConfigError, RateLimiterConfig};
//! use serde::Deserialize;
//! use std::time::Duration;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     retry: RetryPolicy,
//!     api: RateLimiterConfig,
//!     per_user: RateLimiterConfig,
//!     places: ConcurrencyConfig,
//!     breaker: CircuitBreakerConfig,
//! }
//!
//! struct Limits {
//!     api: RateLimiter,
//!     per_user: KeyedLimiter<String>,
//!     places: ConcurrencyLimiter,
//!     breaker: CircuitBreaker,
//! }
//!
//! impl TryFrom<&Settings> for Limits {
//!     type Error = ConfigError;
//!
//!     fn try_from(settings: &Settings) -> Result<Self, ConfigError> {
//!         Ok(Self {
//!             api: RateLimiter::try_from(&settings.api)?,
//!             per_user: KeyedLimiter::try_from(&settings.per_user)?,
//!             places: ConcurrencyLimiter::try_from(&settings.places)?,
//!             breaker: CircuitBreaker::try_from(&settings.breaker)?,
//!         })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let file = r#"
//! #     [retry]
//! #     delay = "250ms"
//! #     jitter = "full"
//! #     max_attempts = 4
//! #     [api]
//! #     limit = ["10 per 1s", "300 per 1m"]
//! #     max_waiting = 100
//! #     [per_user]
//! #     limit = "5 per 1m"
//! #     max_keys = 10_000
//! #     [places]
//! #     range = "4..=100"
//! #     [breaker]
//! #     window = { rate = 0.5, period = "30s" }
//! #     open_for = "10s"
//! # "#;
//! let settings: Settings = toml::from_str(file)?; // `std::fs::read_to_string("limits.toml")?`
//! let limits = Limits::try_from(&settings)?;
//!
//! # async fn fetch(id: u64) -> Result<String, decor::Error> { Ok(format!("user {id}")) }
//! let fetch = fetch
//!     .timeout(Duration::from_secs(2)) // limit of each attempt
//!     .backing_off(&limits.places, Transient::is_transient) // lowers the adaptive limit
//!     .guarded_by(&limits.breaker)
//!     .transient()
//!     .rate_limited(&limits.api)
//!     .concurrency_limited(&limits.places)
//!     .retry_with(&settings.retry)
//!     .transient()
//!     .timeout(Duration::from_secs(10)); // limit of each caller
//!
//! limits.per_user.for_key("alice").try_acquire()?;
//! assert_eq!(fetch.call(42).await?, "user 42");
//! assert_eq!(limits.api.to_string(), "10 per 1s, 300 per 60s");
//! # Ok(())
//! # }
//! ```
//!
//! If the server hangs, every caller has its error after 10 s at the latest.
//!
//! A handle with more than settings is made by its builder, and the builder by the config: a
//! [`Memo`](crate::Memo) with a weigher by `MemoBuilder::try_from(&config)`, a breaker with a
//! callback by `CircuitBreakerBuilder::try_from(&config)`, and a limit that processes
//! [share](super::past_one_machine) by `RateLimiterBuilder::try_from(&config)`.
//!
//! # A wrong file
//!
//! decor checks each setting while it is read. The error of `toml` therefore shows the line. The
//! text is that of a [`ConfigError`](crate::ConfigError): the setting, its value, and what is
//! allowed.
//!
//! ```
//! # #[derive(Debug, serde::Deserialize)]
//! # struct Settings { retry: decor::RetryPolicy }
//! let error = toml::from_str::<Settings>("[retry]\ndelay = 250\n").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     r#"TOML parse error at line 2, column 9
//!   |
//! 2 | delay = 250
//!   |         ^^^
//! `delay` is 250, but must be a duration with a unit, such as "250ms"
//! "#
//! );
//! ```
//!
//! `serde_path_to_error` names the table as well, for files in which several tables have the same
//! settings:
//!
//! ```
//! # #[derive(Debug, serde::Deserialize)]
//! # struct Settings { retry: decor::RetryPolicy }
//! let file = toml::Deserializer::parse("[retry]\nmax_attempts = 0\n")?;
//! let error = serde_path_to_error::deserialize::<_, Settings>(file).unwrap_err();
//! assert_eq!(error.path().to_string(), "retry.max_attempts");
//! assert_eq!(error.inner().message(), "`max_attempts` is 0, but must be at least 1");
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
//! # A new file
//!
//! Every handle has a `reload`, which takes over a config and keeps the state: permits that were
//! taken stay taken, an open circuit stays open, a memo keeps its values. Calls that wait keep
//! their order, and are admitted at once if the new limit allows it. `reload` of each handle says
//! what is kept, and what cannot change, such as the number of a limiter's windows.
//!
//! A config that is refused changes nothing. With several handles, the old settings go back if one
//! of the handles refuses its config:
//!
//! ```
//! use decor::prelude::*;
//! use decor::{ConfigError, RateLimiterConfig};
//! # use std::error::Error;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     api: RateLimiterConfig,
//!     per_user: RateLimiterConfig,
//! }
//!
//! struct Limits {
//!     settings: Settings, // as they are now
//!     api: RateLimiter,
//!     per_user: KeyedLimiter<String>,
//! }
//!
//! impl Limits {
//!     /// The task that waits for SIGHUP calls this method, and logs the error.
//!     fn reload(&mut self, file: &str) -> Result<(), Box<dyn Error>> {
//!         let new: Settings = toml::from_str(file)?;
//!         if let Err(error) = self.take_over(&new) {
//!             self.take_over(&self.settings)?;
//!             return Err(error.into());
//!         }
//!         self.settings = new;
//!         Ok(())
//!     }
//!
//!     fn take_over(&self, settings: &Settings) -> Result<(), ConfigError> {
//!         self.api.reload(&settings.api)?;
//!         self.per_user.reload(&settings.per_user)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! let file = |api: &str| {
//!     format!("[api]\nlimit = {api}\n[per_user]\nlimit = '5 per 1m'\n")
//! };
//! let settings: Settings = toml::from_str(&file("'60 per 1m'"))?;
//! let (api, per_user) = ((&settings.api).try_into()?, (&settings.per_user).try_into()?);
//! let mut limits = Limits { settings, api, per_user };
//!
//! limits.api.try_acquire()?;
//! limits.reload(&file("'100 per 1m'"))?;
//! assert_eq!(limits.api.available(), 99); // the permit that was taken counts
//!
//! let refused = limits.reload(&file("['10 per 1s', '100 per 1m']")).unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "`limit` is a list of 2, but must be as many as there are windows: a new window would not \
//!      know of earlier calls",
//! );
//! assert_eq!(limits.api.to_string(), "100 per 60s");
//! # Ok(())
//! # }
//! ```
//!
//! A [`RetryPolicy`](crate::RetryPolicy) is data, and a chain has a copy. For another policy, make
//! the chain anew: the handles are the same, so the state stays.
//!
//! # Statistics
//!
//! All statistics are written by serde as well. Durations are numbers of seconds.
//!
//! ```
//! let limiter = decor::RateLimiter::new(10, std::time::Duration::from_secs(1));
//! limiter.try_acquire()?;
//! let json = serde_json::to_value(limiter.stats())?;
//! assert_eq!((&json["admitted"], &json["total_wait_seconds"]), (&1.into(), &0.0.into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Fields of your own
//!
//! A field of a struct of yours reads a duration with
//! `#[serde(with = "decor::serde::duration")]`, and an optional one with
//! `#[serde(default, with = "decor::serde::option")]`: see [`duration`](crate::serde::duration) and
//! [`option`](crate::serde::option).
