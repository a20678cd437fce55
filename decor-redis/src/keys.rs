//! The names of keys.

use std::fmt;

/// Number of slots of a cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// The slot of a key in a cluster: the CRC16 (XMODEM) of the key's hash tag, which is the text
/// between its first `{` and the next `}`, or of the whole key if there is no such text.
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let length = rest.iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &rest[..length])
    });
    let sum = tag.unwrap_or(key).iter().fold(0_u16, |sum, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| (sum << 1) ^ (0x1021 * (sum >> 15)))
    });
    sum % SLOTS
}

/// The keys of one limit. All have one hash tag, so one slot of a cluster.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// `{prefix:name}`.
    tag: String,
    slot: u16,
}

impl Keys {
    pub(crate) fn new(prefix: &str, name: &str) -> Self {
        let tag = format!("{{{prefix}:{name}}}");
        let slot = slot_of(tag.as_bytes());
        Self { tag, slot }
    }

    /// The slot of a cluster.
    pub(crate) fn slot(&self) -> u16 {
        self.slot
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

    #[test]
    fn slots_are_those_of_the_specification() {
        // 0x31C3 is the check value of the CRC.
        assert_eq!(slot_of(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"foo{123456789}bar{x}"), 0x31C3);
        assert_eq!(slot_of(b"foo{}{123456789}"), slot_of(b"foo{}{123456789}".as_slice()));
        assert_ne!(slot_of(b"foo{}{123456789}"), 0x31C3);
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_eq!(Keys::new("decor", "github").slot(), slot_of(b"decor:github"));
    }
}
