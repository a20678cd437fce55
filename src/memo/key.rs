//! Keys from arguments. Arguments are looked up as they are, and become an owned key only when a
//! value is to be stored.

use super::bound::Equivalent;
use std::{
    ffi::{OsStr, OsString},
    hash::{Hash, Hasher},
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc, // std's, because keys are the user's types, also under the model checker
};

/// A type of values that can be keys of a memo. Implemented for all types that qualify.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a memo: a key is `Eq + Hash + Clone + Send + Sync + 'static`",
    note = "derive what is missing: `#[derive(PartialEq, Eq, Hash, Clone)]`"
)]
pub trait Key: Eq + Hash + Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<K: Eq + Hash + Clone + Send + Sync + 'static> Key for K {}

/// Arguments that form a key `K`, element by element. `(u64,)` is a `u64`, and `(&str, u32)` is a
/// `(String, u32)`.
///
/// Implemented for 1 to 8 arguments that are [`KeyPart`]s. Not implemented for functions without
/// arguments, which would all share one entry.
///
/// # Examples
///
/// ```
/// use decor::MemoKey;
///
/// fn is_a_key<K, Args: MemoKey<K>>(args: Args) -> K { args.to_key() }
///
/// assert_eq!(is_a_key::<u64, _>((42,)), 42);
/// assert_eq!(is_a_key::<(String, u32), _>(("en", 42)), ("en".to_owned(), 42));
/// ```
#[diagnostic::on_unimplemented(
    message = "the arguments `{Self}` are not a key `{K}`",
    note = "each argument becomes an element of the key: of `(u64,)` it is `u64`, of `(&str, u32)` it is `(String, u32)`; each must be `Eq + Hash + Clone`",
    note = "or make a key of them: `.memoized_by(&memo, |_: &&Client, id: &u64| *id)`; where there are none, give one: `.memoized_by(&memo, || \"settings\".to_owned())`"
)]
pub trait MemoKey<K> {
    /// Hashes to the same value as the key.
    fn hash_key<H: Hasher>(&self, state: &mut H);

    /// Returns `true` if this is the same key.
    fn is_key(&self, key: &K) -> bool;

    /// Returns the owned key.
    fn to_key(&self) -> K;
}

/// An argument that is a key `K`: a `K`, a `&K`, or a borrowed form of `K`, such as `&str` for
/// `String`.
///
/// # Examples
///
/// ```
/// use decor::KeyPart;
///
/// fn owned<K>(part: impl KeyPart<K>) -> K { part.to_key() }
///
/// assert_eq!(owned::<String>("en"), "en");
/// assert_eq!(owned::<Vec<u8>>(&[1, 2][..]), [1, 2]);
/// assert_eq!(owned::<u64>(&42), 42);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key `{K}`",
    note = "give a `{K}` or a `&{K}`; where the key is a `String`, `Box<str>` or `Arc<str>`, a `&str` will do, and likewise `&[T]`, `&Path` and `&OsStr`"
)]
pub trait KeyPart<K> {
    /// Hashes to the same value as the key.
    fn hash_key<H: Hasher>(&self, state: &mut H);

    /// Returns `true` if this is the same key.
    fn is_key(&self, key: &K) -> bool;

    /// Returns the owned key.
    fn to_key(&self) -> K;
}

impl<K: Eq + Hash + Clone> KeyPart<K> for K {
    fn hash_key<H: Hasher>(&self, state: &mut H) {
        self.hash(state);
    }

    fn is_key(&self, key: &K) -> bool {
        self == key
    }

    fn to_key(&self) -> K {
        self.clone()
    }
}

#[diagnostic::do_not_recommend]
impl<K: Eq + Hash + Clone> KeyPart<K> for &K {
    fn hash_key<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }

    fn is_key(&self, key: &K) -> bool {
        *self == key
    }

    fn to_key(&self) -> K {
        (*self).clone()
    }
}

/// Implements [`KeyPart`] for borrowed forms. Each hashes like its owned type, because `Borrow`
/// requires that.
macro_rules! borrowed {
    ($(($($T:ident)?) $Borrowed:ty => $Key:ty;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl$(<$T: Eq + Hash + Clone>)? KeyPart<$Key> for &$Borrowed {
            fn hash_key<H: Hasher>(&self, state: &mut H) {
                (**self).hash(state);
            }

            fn is_key(&self, key: &$Key) -> bool {
                **self == **key
            }

            fn to_key(&self) -> $Key {
                (*self).into()
            }
        }
    )*};
}

borrowed! {
    () str => String;
    () str => Box<str>;
    () str => Arc<str>;
    (T) [T] => Vec<T>;
    (T) [T] => Box<[T]>;
    (T) [T] => Arc<[T]>;
    () Path => PathBuf;
    () Path => Box<Path>;
    () Path => Arc<Path>;
    () OsStr => OsString;
    () OsStr => Box<OsStr>;
    () OsStr => Arc<OsStr>;
}

/// Arguments as the key of a look-up.
pub(crate) struct ArgsAsKey<'a, Args, K>(&'a Args, PhantomData<fn(K)>);

impl<'a, Args: MemoKey<K>, K> ArgsAsKey<'a, Args, K> {
    pub(crate) fn new(args: &'a Args) -> Self {
        Self(args, PhantomData)
    }

    pub(crate) fn to_key(&self) -> K {
        self.0.to_key()
    }
}

impl<Args: MemoKey<K>, K> Hash for ArgsAsKey<'_, Args, K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_key(state);
    }
}

impl<Args: MemoKey<K>, K> Equivalent<K> for ArgsAsKey<'_, Args, K> {
    fn equivalent(&self, key: &K) -> bool {
        self.0.is_key(key)
    }
}

#[diagnostic::do_not_recommend]
impl<Key, A: KeyPart<Key>> MemoKey<Key> for (A,) {
    fn hash_key<H: Hasher>(&self, state: &mut H) {
        self.0.hash_key(state);
    }

    fn is_key(&self, key: &Key) -> bool {
        self.0.is_key(key)
    }

    fn to_key(&self) -> Key {
        self.0.to_key()
    }
}

/// Implements [`MemoKey`] for several arguments. A tuple hashes as its elements do in turn.
macro_rules! key_of_several {
    ($($A:ident $Key:ident $a:ident $key:ident),*) => {
        #[diagnostic::do_not_recommend]
        impl<$($Key, $A: KeyPart<$Key>),*> MemoKey<($($Key,)*)> for ($($A,)*) {
            fn hash_key<S: Hasher>(&self, state: &mut S) {
                let ($($a,)*) = self;
                $($a.hash_key(state);)*
            }

            fn is_key(&self, ($($key,)*): &($($Key,)*)) -> bool {
                let ($($a,)*) = self;
                $($a.is_key($key))&&*
            }

            fn to_key(&self) -> ($($Key,)*) {
                let ($($a,)*) = self;
                ($($a.to_key(),)*)
            }
        }
    };
}
key_of_several!(A KA a ka, B KB b kb);
key_of_several!(A KA a ka, B KB b kb, C KC c kc);
key_of_several!(A KA a ka, B KB b kb, C KC c kc, D KD d kd);
key_of_several!(A KA a ka, B KB b kb, C KC c kc, D KD d kd, E KE e ke);
key_of_several!(A KA a ka, B KB b kb, C KC c kc, D KD d kd, E KE e ke, G KG g kg);
key_of_several!(A KA a ka, B KB b kb, C KC c kc, D KD d kd, E KE e ke, G KG g kg, H KH h kh);
key_of_several!(A KA a ka, B KB b kb, C KC c kc, D KD d kd, E KE e ke, G KG g kg, H KH h kh, I KI i ki);
