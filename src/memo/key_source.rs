//! The source of a memoized call's key.

use super::{ArgsAsKey, Key, KeyPart, Memo, MemoKey, Value, Word};
use crate::{call::args::Inspect, clock::Clock};

/// The source of a memoized call's key.
///
/// Implemented by [`KeyFromArgs`], [`KeyFromFn`] and [`FixedKey`].
pub trait KeySource<Args, K: Key>: Word {
    /// Returns the fresh value of the key, or the key if there is none. Looks up borrowed arguments
    /// without making an owned key.
    #[doc(hidden)]
    fn look_up<V: Value>(&self, clock: Clock, args: &Args, memo: &Memo<K, V>) -> Result<V, K>;
}

/// Uses the arguments as the key, for [`.memoized(..)`](crate::FnExt::memoized).
#[derive(Debug, Clone, Copy)]
pub struct KeyFromArgs;

/// Makes the key with a closure, for [`.memoized_by(..)`](crate::FnExt::memoized_by).
#[derive(Debug, Clone, Copy)]
pub struct KeyFromFn<P>(pub(crate) P);

/// Uses a given key, for [`Memo::get_or_load`] and
/// [`.memoized_by(..)`](crate::FutureExt::memoized_by) on a future.
#[derive(Debug, Clone, Copy)]
pub struct FixedKey<Q>((Q,));

impl<Q> FixedKey<Q> {
    pub(crate) fn new(key: Q) -> Self {
        Self((key,))
    }
}

impl Word for KeyFromArgs {
    const WORD: &'static str = ".memoized";
}

impl<P> Word for KeyFromFn<P> {
    const WORD: &'static str = ".memoized_by";
    const REST: &'static str = ", ..";
}

impl<Q> Word for FixedKey<Q> {
    const WORD: &'static str = ".memoized_by";
    const REST: &'static str = ", ..";
}

impl<Args: MemoKey<K>, K: Key> KeySource<Args, K> for KeyFromArgs {
    fn look_up<V: Value>(&self, clock: Clock, args: &Args, memo: &Memo<K, V>) -> Result<V, K> {
        let key = ArgsAsKey::new(args);
        memo.core().look_up(clock, &key).ok_or_else(|| key.to_key())
    }
}

impl<P: Inspect<Args, Output = K>, Args, K: Key> KeySource<Args, K> for KeyFromFn<P> {
    fn look_up<V: Value>(&self, clock: Clock, args: &Args, memo: &Memo<K, V>) -> Result<V, K> {
        let key = self.0.inspect(args);
        memo.core().look_up(clock, &key).ok_or(key)
    }
}

impl<Q: KeyPart<K>, Args, K: Key> KeySource<Args, K> for FixedKey<Q> {
    fn look_up<V: Value>(&self, clock: Clock, _: &Args, memo: &Memo<K, V>) -> Result<V, K> {
        KeyFromArgs.look_up(clock, &self.0, memo)
    }
}
