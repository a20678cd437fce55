//! The handle of a store.

use crate::{
    address::Address,
    quota::RedisQuota,
    stats::RedisStats,
    store::{Config, Message, Shared, Store},
};
use decor::{ConfigError, shared::StoreError};
use futures::channel::oneshot;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// A Redis or Valkey server, or a cluster, that keeps the limits of many processes. All clones have
/// one connection and one I/O thread.
///
/// Nothing is connected before the first call that needs the server. A server that is down is tried
/// again by itself, after 100 ms, then doubling to 1 s. The handle may be made before the server
/// runs, and outside of a runtime. The I/O thread ends once the last handle and the last limiter
/// are dropped.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), decor::ConfigError> {
/// use decor_redis::Redis;
///
/// let redis = Redis::open("redis://user:secret@127.0.0.1:6379/1")?;
/// assert_eq!(redis.to_string(), "redis://127.0.0.1:6379/1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Redis {
    store: Arc<Store>,
}

impl Redis {
    /// Makes a handle with the default settings. The URL is
    /// `redis://[[user]:password@]host[:port][/database]`, or
    /// `unix://[[user]:password@]/path[?db=database]`. Characters of the user and the password may
    /// be encoded as in `%40`. `valkey://` is the same as `redis://`. With the feature `tls`,
    /// `rediss://` speaks TLS. With the feature `cluster`, the server may belong to a cluster, and
    /// several hosts may be given, as in `redis://a:6379,b:6379`.
    ///
    /// # Errors
    ///
    /// If the URL is invalid. The error has no part of the URL, because a password may be anywhere
    /// in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor_redis::Redis;
    ///
    /// assert!(Redis::open("redis://127.0.0.1").is_ok());
    ///
    /// let error = Redis::open("redis://:secret@").unwrap_err();
    /// assert!(error.to_string().starts_with("`url` is a URL with no host, but must be redis"));
    /// ```
    pub fn open(url: impl Into<String>) -> Result<Self, ConfigError> {
        Self::builder(url).try_build()
    }

    /// Returns a builder, for settings other than the URL.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor_redis::Redis;
    /// use std::time::Duration;
    ///
    /// let redis = Redis::builder("redis://127.0.0.1")
    ///     .prefix("staging")
    ///     .timeout(Duration::from_millis(50))
    ///     .build();
    /// assert_eq!(format!("{redis:?}"), "Redis(redis://127.0.0.1:6379)");
    /// ```
    pub fn builder(url: impl Into<String>) -> RedisBuilder {
        RedisBuilder {
            url: url.into(),
            prefix: "decor".into(),
            timeout: Duration::from_millis(100),
            #[cfg(feature = "tls")]
            roots: None,
        }
    }

    /// Returns the limit of this name, for
    /// [`RateLimiterBuilder::shared`](decor::RateLimiterBuilder::shared). All processes that use
    /// the same server, prefix and name share the limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), decor::ConfigError> {
    /// use decor::shared::SharedQuota;
    /// use decor_redis::Redis;
    ///
    /// let github = Redis::open("redis://127.0.0.1")?.quota("github");
    /// assert_eq!(github.name(), "github");
    /// # Ok(())
    /// # }
    /// ```
    pub fn quota(&self, name: impl AsRef<str>) -> RedisQuota {
        RedisQuota::new(self.store.clone(), name.as_ref())
    }

    /// Returns the second tier of a memo, for
    /// [`MemoBuilder::tier`](decor::MemoBuilder::tier). All processes that use the same server,
    /// prefix, name and version share its values.
    ///
    /// # Examples
    ///
    /// See [`RedisTier`](crate::RedisTier).
    pub fn tier(&self, name: impl AsRef<str>) -> crate::RedisTier {
        crate::RedisTier::new(self.store.clone(), name.as_ref())
    }

    /// Asks the server for a sign of life, at most for the [timeout](RedisBuilder::timeout). While
    /// the server is known to be down, fails at once with the last error. In a cluster, the server
    /// is one that is down, or any.
    ///
    /// # Cancel safety
    ///
    /// A ping that is dropped has no effect.
    ///
    /// # Errors
    ///
    /// [`StoreError`], which says which server it was, and what the server answered.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), decor::ConfigError> {
    /// use decor_redis::Redis;
    ///
    /// let nothing_there = Redis::open("redis://127.0.0.1:1")?;
    /// let error = nothing_there.ping().await.unwrap_err();
    /// assert!(error.to_string().starts_with("redis://127.0.0.1:1: "));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ping(&self) -> Result<(), StoreError> {
        let (pong, answer) = oneshot::channel();
        self.store.shared.send(Message::Ping(pong));
        answer.await.unwrap_or_else(|_| Err(StoreError::new(format!("{self}: the I/O thread has ended"))))
    }

    /// Returns `true` unless the server, or a master of the cluster, is down. Before the first
    /// request it is `true`.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), decor::ConfigError> {
    /// assert!(decor_redis::Redis::open("redis://127.0.0.1")?.is_up());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_up(&self) -> bool {
        self.store.shared.is_up()
    }

    /// Returns the counts since the handle was made, over all clones and limits.
    ///
    /// # Examples
    ///
    /// See [`RedisStats`].
    pub fn stats(&self) -> RedisStats {
        self.store.shared.counters.read(self.is_up())
    }
}

/// The address, without user and password.
impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.shared.config.address.fmt(f)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({self})")
    }
}

/// Builder of a [`Redis`]: see [`Redis::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RedisBuilder {
    url: String,
    prefix: String,
    timeout: Duration,
    /// In PEM form. `None` for those of the system.
    #[cfg(feature = "tls")]
    roots: Option<Vec<u8>>,
}

impl RedisBuilder {
    /// Sets the text with which all keys begin, within their hash tag; `decor` by default. Two
    /// programs with the same names of limits need different prefixes.
    ///
    /// # Examples
    ///
    /// See [`Redis::builder`].
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the longest time for a request, connecting included; 100 ms by default. Once it has
    /// passed, the connection is dropped and the server counts as down. The build fails if the
    /// timeout is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor_redis::Redis;
    /// use std::time::Duration;
    ///
    /// let builder = Redis::builder("redis://127.0.0.1").timeout(Duration::ZERO);
    /// let error = builder.try_build().unwrap_err();
    /// assert_eq!(error.to_string(), "`timeout` is 0ns, but must be longer than zero");
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the certificates that the server's has to descend from, in PEM form. The default are
    /// those of the system. Has an effect on `rediss://` only.
    ///
    /// # Examples
    ///
    /// ```
    /// use decor_redis::Redis;
    ///
    /// let builder = Redis::builder("rediss://cache.internal").root_certificates("no certificate");
    /// let error = builder.try_build().unwrap_err();
    /// assert_eq!(error.value(), "without a certificate");
    /// ```
    #[cfg(feature = "tls")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Makes the handle.
    ///
    /// # Panics
    ///
    /// If [`try_build`](Self::try_build) would return an error.
    ///
    /// # Examples
    ///
    /// See [`Redis::builder`].
    #[track_caller]
    pub fn build(self) -> Redis {
        match self.try_build() {
            Ok(redis) => redis,
            Err(error) => panic!("{error}"),
        }
    }

    /// Makes the handle from settings that are not literals.
    ///
    /// # Errors
    ///
    /// If the URL is invalid, or the timeout is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(decor_redis::Redis::builder("http://127.0.0.1").try_build().is_err());
    /// ```
    pub fn try_build(self) -> Result<Redis, ConfigError> {
        let Self { url, prefix, timeout, .. } = self;
        if timeout.is_zero() {
            return Err(ConfigError::new("timeout", format_args!("{timeout:?}"), "longer than zero"));
        }
        let address = Address::parse(&url)?;
        #[cfg(feature = "tls")]
        let tls = match address.endpoint {
            crate::address::Endpoint::Tcp { is_secure: true, .. } => Some(crate::tls::config(self.roots.as_deref())?),
            _ => None,
        };
        let shared = Shared::new(Config {
            address,
            prefix,
            timeout,
            #[cfg(feature = "tls")]
            tls,
        });
        Ok(Redis { store: Arc::new(Store { shared: Arc::new(shared), begun: Instant::now() }) })
    }
}

/// Without the URL, which may have a password.
impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, timeout, .. } = self;
        f.debug_struct("RedisBuilder").field("prefix", prefix).field("timeout", timeout).finish_non_exhaustive()
    }
}
