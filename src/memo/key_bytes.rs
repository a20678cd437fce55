//! A key in bytes that are the same in all processes.

use super::bound::Equivalent;
use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// A key of a memo in bytes, as its `Hash` implementation writes it.
///
/// A borrowed key has the bytes of its owned form, because `Borrow` requires equal hashes. So a
/// `&str` can invalidate the `String` of another process, without a copy and without a further
/// bound on keys. The bytes of the standard types depend neither on the process nor on the version
/// of Rust.
///
/// # Examples
///
/// ```
/// use decor::tier::KeyBytes;
///
/// assert_eq!(KeyBytes::of("ann"), KeyBytes::of(&"ann".to_owned()));
/// assert_ne!(KeyBytes::of(&1_u32), KeyBytes::of(&1_u64));
/// let bytes = KeyBytes::of(&(7_u32, "ann"));
/// assert_eq!(KeyBytes::from_bytes(bytes.as_bytes()), Some(bytes));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBytes(Box<[u8]>);

impl KeyBytes {
    /// Returns the bytes of a key.
    ///
    /// # Examples
    ///
    /// See [`KeyBytes`].
    pub fn of<Q: Hash + ?Sized>(key: &Q) -> Self {
        let mut recorder = Recorder(Vec::new());
        key.hash(&mut recorder);
        Self(recorder.0.into())
    }

    /// Returns the key with these bytes; `None` if no key has them.
    ///
    /// # Examples
    ///
    /// See [`KeyBytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        replay(bytes, &mut Recorder(Vec::new()))?;
        Some(Self(bytes.into()))
    }

    /// The bytes.
    ///
    /// # Examples
    ///
    /// See [`KeyBytes`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyBytes({})", self.0.escape_ascii())
    }
}

/// The calls of a `Hasher`, one after the other: a letter for the method, and its argument.
struct Recorder(Vec<u8>);

/// Writes a method for each type of number: its letter, and the bytes of the number.
macro_rules! numbers {
    ($($method:ident $letter:literal $type:ty as $wide:ty),* $(,)?) => {
        impl Hasher for Recorder {
            fn finish(&self) -> u64 {
                0 // never asked for
            }

            fn write(&mut self, bytes: &[u8]) {
                self.0.push(b's');
                self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                self.0.extend_from_slice(bytes);
            }

            $(#[allow(clippy::cast_lossless)] // not all are casts
            fn $method(&mut self, number: $type) {
                self.0.push($letter);
                self.0.extend_from_slice(&(number as $wide).to_le_bytes());
            })*
        }

        /// Makes the recorded calls again; `None` if the bytes are no record.
        fn replay(bytes: &[u8], hasher: &mut impl Hasher) -> Option<()> {
            let mut rest = bytes;
            while let Some((letter, after)) = rest.split_first() {
                rest = match letter {
                    b's' => {
                        let (length, after) = after.split_first_chunk()?;
                        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
                        let (written, after) = after.split_at_checked(length)?;
                        hasher.write(written);
                        after
                    }
                    $($letter => {
                        let (number, after) = after.split_first_chunk()?;
                        hasher.$method(<$type>::try_from(<$wide>::from_le_bytes(*number)).ok()?);
                        after
                    })*
                    _ => return None,
                };
            }
            Some(())
        }
    };
}

numbers! {
    write_u8 b'a' u8 as u8,
    write_u16 b'b' u16 as u16,
    write_u32 b'c' u32 as u32,
    write_u64 b'd' u64 as u64,
    write_u128 b'e' u128 as u128,
    write_usize b'f' usize as u64,
    write_i8 b'g' i8 as i8,
    write_i16 b'h' i16 as i16,
    write_i32 b'i' i32 as i32,
    write_i64 b'j' i64 as i64,
    write_i128 b'k' i128 as i128,
    write_isize b'l' isize as i64,
}

/// A key of another process, which finds an equal key of this one.
pub(super) struct Recorded<'a>(pub(super) &'a KeyBytes);

impl Hash for Recorded<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // Checked when the bytes were made.
        let _ = replay(&self.0.0, hasher);
    }
}

impl<K: Hash> Equivalent<K> for Recorded<'_> {
    fn equivalent(&self, key: &K) -> bool {
        KeyBytes::of(key) == *self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::cases;
    use proptest::prelude::*;
    use std::hash::BuildHasher;

    #[derive(Debug, Hash)]
    enum Part {
        Text(String),
        Bytes(Vec<u8>),
        Numbers(u8, i16, u32, i64, u128, usize),
        Several(Option<bool>, char, (i8, [u16; 3]), Vec<i32>),
    }

    fn any_part() -> impl Strategy<Value = Part> {
        prop_oneof![
            ".{0,20}".prop_map(Part::Text),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Part::Bytes),
            any::<(u8, i16, u32, i64, u128, usize)>().prop_map(|(a, b, c, d, e, f)| Part::Numbers(a, b, c, d, e, f)),
            any::<(Option<bool>, char, (i8, [u16; 3]), Vec<i32>)>().prop_map(|(a, b, c, d)| Part::Several(a, b, c, d)),
        ]
    }

    proptest! {
        #![proptest_config(cases(2_000))]

        #[test]
        fn a_record_hashes_as_its_key_does(parts in prop::collection::vec(any_part(), 0..4)) {
            let bytes = KeyBytes::of(&parts);
            let hashers = foldhash::fast::RandomState::default();
            prop_assert_eq!(hashers.hash_one(Recorded(&bytes)), hashers.hash_one(&parts));
            prop_assert!(Recorded(&bytes).equivalent(&parts));
            prop_assert_eq!(KeyBytes::from_bytes(bytes.as_bytes()), Some(bytes));
        }

        #[test]
        fn other_bytes_are_no_key_or_that_key(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(key) = KeyBytes::from_bytes(&bytes) {
                prop_assert_eq!(key.as_bytes(), bytes);
            }
        }
    }

    #[test]
    fn borrowed_and_owned_keys_have_the_same_bytes() {
        assert_eq!(KeyBytes::of("ann"), KeyBytes::of(&String::from("ann")));
        assert_eq!(KeyBytes::of(&[1_u8, 2][..]), KeyBytes::of(&vec![1_u8, 2]));
        assert_ne!(KeyBytes::of(&("a", "bc")), KeyBytes::of(&("ab", "c")));
    }
}
