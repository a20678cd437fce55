//! Keys and values of a tier, as the server has them.

use decor::tier::KeyBytes;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Write;

/// `MessagePack` with the names of fields. Without the names, two fields that changed places would
/// be read as each other.
const FORMAT: u8 = b'1';

/// Length of the part that the scripts write: until when a value is fresh, and its generation.
const HEAD: usize = 36;

/// A key as a part of the names of its keys on the server: what is no letter, digit or mark of a
/// name is escaped as in URLs.
pub(super) fn escaped(key: &KeyBytes) -> String {
    let mut text = String::new();
    for byte in key.as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b':' | b'/' | b'@' => {
                text.push(char::from(*byte));
            }
            // Writing into a text never fails.
            _ => write!(text, "%{byte:02X}").unwrap_or_default(),
        }
    }
    text
}

/// The key with this text; `None` if no key has it.
pub(super) fn unescaped(text: &str) -> Option<KeyBytes> {
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
    KeyBytes::from_bytes(&bytes)
}

/// Encodes a value. `key` is the key in the same encoding, to tell a value of another key.
pub(super) fn encoded<V: Serialize>(key: &[u8], value: &V) -> Option<Vec<u8>> {
    let value = rmp_serde::to_vec_named(value).ok()?;
    let length = u32::try_from(key.len()).ok()?;
    let body = [&length.to_be_bytes()[..], key, &value].concat();
    Some([&[FORMAT][..], &crc32fast::hash(&body).to_be_bytes(), &body].concat())
}

/// Decodes a value with its head; `None` if it is damaged, of another format, or of another key.
pub(super) fn decoded<V: DeserializeOwned>(key: &[u8], stored: &[u8]) -> Option<V> {
    let (format, rest) = stored.get(HEAD..)?.split_first()?;
    let (sum, body) = rest.split_first_chunk()?;
    if *format != FORMAT || u32::from_be_bytes(*sum) != crc32fast::hash(body) {
        return None;
    }
    let (length, rest) = body.split_first_chunk()?;
    let (of, value) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    if of != key {
        return None;
    }
    rmp_serde::from_slice(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Point {
        x: u32,
        y: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Swapped {
        y: u32,
        x: u32,
    }

    fn stored(value: &impl Serialize) -> Vec<u8> {
        [&b"0000000000000000"[..], b"00000000000000000007", &encoded(b"key", value).unwrap()].concat()
    }

    #[test]
    fn fields_are_read_by_their_names() {
        let stored = stored(&Point { x: 42, y: 7 });
        assert_eq!(decoded(b"key", &stored), Some(Swapped { x: 42, y: 7 }));
        assert_eq!(decoded::<Point>(b"other", &stored), None);
    }

    proptest! {
        #[test]
        fn a_damaged_value_is_none(at in 36_usize..60, bit in 0..8_u32) {
            let mut bytes = stored(&(1_u64, "text"));
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= 1_u8 << bit;
            prop_assert_eq!(decoded::<(u64, String)>(b"key", &bytes), None);
        }

        #[test]
        fn a_key_comes_back_from_its_text(key in any::<(u64, String, Vec<u8>)>()) {
            let key = KeyBytes::of(&key);
            prop_assert_eq!(unescaped(&escaped(&key)), Some(key));
        }
    }
}
