//! The address of a server, as a URL gives it.

use decor::ConfigError;
use percent_encoding::percent_decode_str;
use std::{fmt, path::PathBuf};

const ALLOWED: &str = "redis[s]://[[user]:password@]host[:port][,host[:port]..][/database], \
                       or unix://[[user]:password@]/path[?db=database]";

/// Where a server is, and how a client introduces itself. `Display` and `Debug` show neither the
/// user nor the password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) endpoint: Endpoint,
    /// Further servers of the same cluster.
    pub(crate) others: Vec<Endpoint>,
    /// `None` for the default user.
    pub(crate) user: Option<String>,
    /// `None` if the server asks for none.
    pub(crate) password: Option<String>,
    pub(crate) database: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tcp { host: String, port: u16, is_secure: bool },
    Unix(PathBuf),
}

/// Returns the error of a URL. The URL itself is not shown, because it may hold a password where
/// no parser expects one.
fn invalid(what: &str) -> ConfigError {
    ConfigError::new("url", format_args!("a URL with {what}"), ALLOWED)
}

fn decoded(text: &str, what: &str) -> Result<String, ConfigError> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| invalid(what))
}

fn database(text: &str) -> Result<u32, ConfigError> {
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| invalid("an invalid database")) }
}

impl Address {
    /// The first server.
    pub(crate) fn first(&self) -> Self {
        Self { others: Vec::new(), ..self.clone() }
    }

    pub(crate) fn parse(url: &str) -> Result<Self, ConfigError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("no scheme"))?;
        let (before, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (login, place) = before.rsplit_once('@').map_or((None, before), |(login, place)| (Some(login), place));
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            Some((user, password)) => (decoded(user, "an invalid user")?, decoded(password, "an invalid password")?),
            None => (String::new(), String::new()),
        };
        let (endpoint, others, database) = match scheme {
            "rediss" | "valkeys" if !cfg!(feature = "tls") => return Err(invalid("TLS, and needs the feature `tls`")),
            "redis" | "valkey" | "rediss" | "valkeys" => {
                if query.is_some() {
                    return Err(invalid("a query"));
                }
                let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
                let mut hosts = hosts.split(',').map(|host| Self::tcp(host, matches!(scheme, "rediss" | "valkeys")));
                let first = hosts.next().ok_or_else(|| invalid("no host"))??;
                let others = hosts.collect::<Result<Vec<_>, _>>()?;
                if !others.is_empty() && cfg!(not(feature = "cluster")) {
                    return Err(invalid("several hosts, and needs the feature `cluster`"));
                }
                (first, others, database(path)?)
            }
            "unix" | "redis+unix" | "valkey+unix" => {
                let path = decoded(place, "an invalid path")?;
                if !path.starts_with('/') {
                    return Err(invalid("no absolute path"));
                }
                let db = query.map_or(Ok(""), |query| query.strip_prefix("db=").ok_or_else(|| invalid("a query")))?;
                (Endpoint::Unix(path.into()), Vec::new(), database(db)?)
            }
            _ => return Err(invalid("another scheme")),
        };
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Self { endpoint, others, user: given(user), password: given(password), database })
    }

    fn tcp(host: &str, is_secure: bool) -> Result<Endpoint, ConfigError> {
        let (host, port) = match host.strip_prefix('[') {
            Some(host) => {
                let (host, port) = host.split_once(']').ok_or_else(|| invalid("an invalid host"))?;
                (host, port.strip_prefix(':'))
            }
            None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(6379), str::parse).map_err(|_| invalid("an invalid port"))?;
        let host = decoded(host, "an invalid host")?;
        if host.is_empty() {
            return Err(invalid("no host"));
        }
        Ok(Endpoint::Tcp { host, port, is_secure })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.endpoint {
            Endpoint::Tcp { is_secure: true, .. } => "rediss://",
            Endpoint::Tcp { .. } => "redis://",
            Endpoint::Unix(_) => "unix://",
        })?;
        self.endpoint.fmt(f)?;
        for other in &self.others {
            write!(f, ",{other}")?;
        }
        match (&self.endpoint, self.database) {
            (_, 0) => Ok(()),
            (Endpoint::Tcp { .. }, database) => write!(f, "/{database}"),
            (Endpoint::Unix(_), database) => write!(f, "?db={database}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_a_password() {
        let shown = |url: &str| Address::parse(url).unwrap().to_string();
        assert_eq!(shown("redis://cache"), "redis://cache:6379");
        assert_eq!(shown("valkey://cache:1/7"), "redis://cache:1/7");
        assert_eq!(shown("redis://ann:p%40ss@[::1]:6380/"), "redis://[::1]:6380");
        #[cfg(feature = "tls")]
        assert_eq!(shown("rediss://:secret@cache"), "rediss://cache:6379");
        #[cfg(feature = "cluster")]
        assert_eq!(shown("redis://:secret@a,b:7001,[::1]"), "redis://a:6379,b:7001,[::1]:6379");
        assert_eq!(shown("unix://:secret@/run/redis.sock?db=2"), "unix:///run/redis.sock?db=2");

        let address = Address::parse("redis://ann:p%40s:s@cache").unwrap();
        assert_eq!((address.user.as_deref(), address.password.as_deref()), (Some("ann"), Some("p@s:s")));
        assert!(!format!("{address:?}").contains("ann"));
    }

    #[test]
    fn an_invalid_url_is_refused_without_a_word_of_it() {
        for (url, what) in [
            ("hunter2@cache", "no scheme"),
            ("http://:hunter2@cache", "another scheme"),
            ("redis://:hunter2", "an invalid port"),
            ("redis://:hunter2@", "no host"),
            ("redis://:hunter2@cache/x", "an invalid database"),
            ("redis://:hunter2%ff@cache", "an invalid password"),
            ("redis://cache?password=hunter2", "a query"),
            ("redis://[::1", "an invalid host"),
            ("unix://hunter2", "no absolute path"),
            #[cfg(feature = "cluster")]
            ("redis://:hunter2@a,", "no host"),
            #[cfg(not(feature = "cluster"))]
            ("redis://:hunter2@a,b", "several hosts, and needs the feature `cluster`"),
            #[cfg(not(feature = "tls"))]
            ("rediss://:hunter2@cache", "TLS, and needs the feature `tls`"),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert_eq!(error.to_string(), format!("`url` is a URL with {what}, but must be {ALLOWED}"));
        }
    }
}
