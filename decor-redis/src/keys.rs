//! The names of keys.

use std::fmt;

/// The keys of one limit. All have one hash tag, so one slot of a cluster.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// `{prefix:name}`.
    tag: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str, name: &str) -> Self {
        Self { tag: format!("{{{prefix}:{name}}}") }
    }

    pub(crate) fn hash(&self) -> String {
        format!("{}:s", self.tag)
    }

    /// The sorted set of a window. The period is in microseconds.
    pub(crate) fn window(&self, window: usize, period: i64) -> String {
        format!("{}:w{window}:{period}", self.tag)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_the_documentation_says() {
        let keys = Keys::new("decor", "github");
        assert_eq!(keys.hash(), "{decor:github}:s");
        assert_eq!(keys.window(0, 1_000_000), "{decor:github}:w0:1000000");
    }
}
