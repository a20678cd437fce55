//! Keys from arguments. All forms of a key are equal, and different from every other key.
//!
//! The tests use a memo, in which a call of one function finds the value that a call of another
//! function stored.

#![allow(clippy::many_single_char_names)] // arguments, by their place

use crate::support::cases;
use decor::{CallableOnce, FnExt, KeyPart, Memo, MemoKey};
use futures::FutureExt;
use proptest::prelude::*;
use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    future::{Future, Ready, ready},
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A function of any arguments.
struct Answer(usize);

impl<Args> CallableOnce<Args> for Answer {
    type Output = usize;
    type Future = Ready<usize>;

    fn call_once(self, _: Args) -> Ready<usize> {
        ready(self.0)
    }
}

/// Arguments, or one of them, that must not be made into an owned key if the key is stored already.
struct Watched<Q> {
    key: Q,
    is_new: bool,
}

macro_rules! watched {
    ($Key:ident) => {
        impl<K, Q: $Key<K>> $Key<K> for Watched<Q> {
            fn hash_key<H: Hasher>(&self, state: &mut H) {
                self.key.hash_key(state);
            }

            fn is_key(&self, key: &K) -> bool {
                self.key.is_key(key)
            }

            fn to_key(&self) -> K {
                assert!(self.is_new, "a stored key was not found by its borrowed form");
                self.key.to_key()
            }
        }
    };
}
watched!(MemoKey);
watched!(KeyPart);

/// Looks up a form of a key, and returns the memo's answer. With `Some` answer to load, the key is
/// new. With `None`, the key must be stored already.
type Form<'a, K> = Box<dyn Fn(&Memo<K, usize>, Option<usize>) -> usize + 'a>;

fn now<F: Future>(call: F) -> F::Output {
    call.now_or_never().expect("there is nothing to wait for")
}

/// The form with the arguments of a call.
fn args<'a, K: Key, Args: MemoKey<K> + Clone + 'a>(args: Args) -> Form<'a, K> {
    Box::new(move |memo, load| {
        let args = Watched { key: args.clone(), is_new: load.is_some() };
        now(FnExt::<Watched<Args>, _>::memoized(Answer(load.unwrap_or_default()), memo).call_once(args))
    })
}

/// The form with a key that is given for a future.
fn given<'a, K: Key, Q: KeyPart<K> + Clone + 'a>(key: Q) -> Form<'a, K> {
    Box::new(move |memo, load| {
        let key = Watched { key: key.clone(), is_new: load.is_some() };
        now(memo.get_or_load(key, || ready(load.unwrap_or_default())))
    })
}

/// The form with the key itself.
fn by_hand<'a, K: Key>(key: K) -> Form<'a, K> {
    Box::new(move |memo, load| {
        memo.get(&key).unwrap_or_else(|| {
            let answer = load.expect("the key is stored");
            memo.insert(key.clone(), answer);
            answer
        })
    })
}

trait Key: Eq + Hash + Clone + Send + Sync + 'static {}
impl<K: Eq + Hash + Clone + Send + Sync + 'static> Key for K {}

#[track_caller]
fn assert_one_key<K: Key>(forms: &[Form<'_, K>]) {
    for (s, stores) in forms.iter().enumerate() {
        for (f, finds) in forms.iter().enumerate() {
            let memo = Memo::builder().build();
            assert_eq!(
                (stores(&memo, Some(1)), finds(&memo, None)),
                (1, 1),
                "form {f} must find the value that form {s} stored"
            );
            assert_eq!(memo.stats().entries, 1);
        }
    }
}

#[track_caller]
fn assert_different_keys<K: Key>(keys: &[Form<'_, K>]) {
    let memo = Memo::builder().build();
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(key(&memo, Some(n)), n, "key {n} is new");
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(key(&memo, None), n, "key {n} is stored");
    }
}

#[test]
fn one_argument_is_the_key_owned_or_borrowed() {
    for name in ["", "ab", "\u{e4}\u{f6}"] {
        let owned = name.to_owned();
        assert_one_key::<String>(&[
            by_hand(owned.clone()),
            args((owned.clone(),)),
            args((&owned,)),
            args((name,)),
            given(owned.clone()),
            given(&owned),
            given(name),
        ]);
    }
    assert_different_keys::<String>(&[args(("a",)), args(("b".to_owned(),)), given("")]);
}

#[test]
fn several_arguments_are_the_key_owned_borrowed_or_mixed() {
    let ab: (String, String) = ("a".into(), "b".into());
    assert_one_key::<(String, String)>(&[
        by_hand(ab.clone()),
        args((ab.clone(),)), // one argument that is a tuple
        args((&ab,)),
        args((ab.0.clone(), ab.1.clone())),
        args(("a", ab.1.clone())),
        args((&ab.0, "b")),
        given(&ab),
    ]);
}

/// Adjacent arguments of each type, which could merge into each other.
type Texts = (String, Box<str>, Arc<str>, Vec<u8>, Box<[u8]>, Arc<[u8]>, u32, u32);
type TextsLent<'a> = (&'a str, &'a str, &'a str, &'a [u8], &'a [u8], &'a [u8], u32, u32);

type Paths = (PathBuf, Box<Path>, Arc<Path>, OsString, Box<OsStr>, Arc<OsStr>, Vec<String>, &'static str);
type PathsLent<'a> = (&'a Path, &'a Path, &'a Path, &'a OsStr, &'a OsStr, &'a OsStr, &'a [String], &'static str);

/// All arguments owned, by reference, and borrowed.
fn forms_of_texts<'a>(texts: &'a Texts) -> [Form<'a, Texts>; 4] {
    let (a, b, c, d, e, f, g, h) = texts;
    let lent: TextsLent<'a> = (a, b, c, d, e, f, *g, *h);
    [by_hand(texts.clone()), args(texts.clone()), args((a, b, c, d, e, f, g, h)), args(lent)]
}

fn forms_of_paths<'a>(paths: &'a Paths) -> [Form<'a, Paths>; 4] {
    let (a, b, c, d, e, f, g, h) = paths;
    let lent: PathsLent<'a> = (a, b, c, d, e, f, g, h);
    [by_hand(paths.clone()), args(paths.clone()), args((a, b, c, d, e, f, g, h)), args(lent)]
}

#[test]
fn borrowed_arguments_find_values_stored_with_owned_ones() {
    for (text, bytes) in [("", &[][..]), ("ab", &[1, 2]), ("\u{e4}\0", &[0, 0xff])] {
        let texts = (text.into(), text.into(), text.into(), bytes.into(), bytes.into(), bytes.into(), 1, 2);
        assert_one_key(&forms_of_texts(&texts));
        let (path, os, names) = (Path::new(text), OsStr::new(text), vec![text.to_owned(); 2]);
        let paths = (path.into(), path.into(), path.into(), os.into(), os.into(), os.into(), names, "x");
        assert_one_key(&forms_of_paths(&paths));
    }
}

#[test]
fn a_path_is_the_same_however_it_is_written() {
    let paths = ["a/b", "a//b", "a/./b/"].map(|path| {
        let (path, os) = (Path::new(path), OsStr::new("x"));
        (path.into(), path.into(), path.into(), os.into(), os.into(), os.into(), vec![], "x")
    });
    assert_one_key(&paths.each_ref().map(forms_of_paths).into_iter().flatten().collect::<Vec<_>>());
}

#[test]
fn adjacent_arguments_do_not_merge_into_one_key() {
    let texts = |texts: [&str; 3], bytes: [&[u8]; 3], [g, h]: [u32; 2]| -> Texts {
        let ([a, b, c], [d, e, f]) = (texts, bytes);
        (a.into(), b.into(), c.into(), d.into(), e.into(), f.into(), g, h)
    };
    let (words, bytes): ([&str; 3], [&[u8]; 3]) = (["ab", "c", ""], [&[1, 2], &[3], &[]]);
    let different = [
        texts(words, bytes, [1, 2]),
        texts(words, bytes, [2, 1]),
        texts(words, bytes, [12, 0]),
        texts(["a", "bc", ""], bytes, [1, 2]),
        texts(["", "ab", "c"], bytes, [1, 2]),
        texts(["abc", "", ""], bytes, [1, 2]),
        texts(words, [&[1], &[2, 3], &[]], [1, 2]),
        texts(words, [&[], &[1, 2], &[3]], [1, 2]),
    ];
    for form in 0..4 {
        let keys = different.each_ref().map(|texts| forms_of_texts(texts).into_iter().nth(form).unwrap());
        assert_different_keys(&keys);
    }
}

/// `(String, String, ..)` for each number of arguments.
macro_rules! arities {
    ($($arity:literal: $($word:ident)*;)*) => {$({
        type Words = ($(arities!(@$word String),)*);
        const WORDS: [&str; $arity] = [$(stringify!($word)),*];
        let owned = |[$($word),*]: [&'static str; $arity]| args::<Words, _>(($($word.to_owned(),)*));
        let lent = |[$($word),*]: [&'static str; $arity]| args::<Words, _>(($($word,)*));
        assert_one_key(&[owned(WORDS), lent(WORDS)]);

        // The arguments unchanged, with each one changed in turn, and in another order.
        let mut others = vec![WORDS];
        for changed in 0..$arity {
            others.push(WORDS);
            others.last_mut().unwrap()[changed] = "z";
        }
        for by in 1..$arity {
            others.push(WORDS);
            others.last_mut().unwrap().rotate_left(by);
        }
        assert_different_keys(&others.iter().map(|words| lent(*words)).collect::<Vec<_>>());
        assert_different_keys(&others.iter().map(|words| owned(*words)).collect::<Vec<_>>());
    })*};
    (@$word:ident $Key:ty) => { $Key };
}

#[test]
fn each_of_up_to_8_arguments_counts_and_their_order_does() {
    arities! {
        2: a b;
        3: a b c;
        4: a b c d;
        5: a b c d e;
        6: a b c d e f;
        7: a b c d e f g;
        8: a b c d e f g h;
    }
}

/// A key with the same hash as all other keys.
#[derive(Clone, PartialEq, Eq)]
struct Crowded(u8);

impl Hash for Crowded {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[test]
fn keys_with_equal_hashes_have_values_of_their_own() {
    type Key = (Crowded, Crowded, Vec<Crowded>);

    let keys = [[1, 1, 1], [1, 1, 2], [1, 2, 1], [2, 1, 1], [2, 2, 2]].map(|key| key.map(Crowded));
    assert_different_keys::<Key>(&keys.each_ref().map(|[a, b, c]| args((a, b, std::slice::from_ref(c)))));
    assert_different_keys::<Key>(&keys.map(|[a, b, c]| args((a, b, vec![c]))));
}

type Triple = (String, u32, Vec<u8>);

/// Few different keys, so that many are equal, with arguments that could merge into each other.
fn any_key() -> impl Strategy<Value = Triple> {
    let text = prop::collection::vec(prop_oneof![Just('a'), Just('b'), Just('\u{ff}'), Just('\0')], 0..3);
    let bytes = prop::collection::vec(prop_oneof![Just(0_u8), Just(b'a'), Just(0xff)], 0..3);
    (text.prop_map(String::from_iter), prop_oneof![0..2_u32, Just(0xff)], bytes)
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn a_borrowed_look_up_agrees_with_a_map(calls in prop::collection::vec((any_key(), 0..6_usize), 1..24)) {
        let memo: Memo<Triple, usize> = Memo::builder().build();
        let mut model = HashMap::new();
        for (n, (key, form)) in calls.iter().enumerate() {
            let (text, number, bytes) = key;
            let form = match form {
                0 => args((text.as_str(), *number, bytes.as_slice())),
                1 => args((text, number, bytes)),
                2 => args((text.clone(), *number, bytes.as_slice())),
                3 => args(key.clone()),
                4 => by_hand(key.clone()),
                _ => {
                    memo.invalidate(key);
                    model.remove(key);
                    continue;
                }
            };
            let load = (!model.contains_key(key)).then_some(n);
            prop_assert_eq!(form(&memo, load), *model.entry(key.clone()).or_insert(n), "{:?}", key);
        }
        prop_assert_eq!(memo.stats().entries, u64::try_from(model.len()).unwrap());
        let loaded = calls.iter().map(|(key, _)| key).collect::<HashSet<_>>();
        for key in loaded {
            prop_assert_eq!(memo.get(key), model.get(key).copied(), "{:?}", key);
        }
    }
}
