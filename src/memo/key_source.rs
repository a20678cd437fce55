//! Where the key of a memoized call comes from.

use super::{Borrowed, KeyPart, Memo, MemoKey};
use crate::{call::args::Inspect, clock::Clock};
use std::hash::Hash;

/// Where a memoized call's key comes from.
///
/// Implemented by [`KeyFromArgs`], [`KeyFromFn`] and [`FixedKey`].
pub trait KeySource<Args, K> {
    /// The value of the key, if it is there to be served; or else the key. What can be looked up as
    /// it is, is.
    #[doc(hidden)]
    fn look_up<V>(&self, clock: Clock, args: &Args, memo: &Memo<K, V>) -> Result<V, K>
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static;
}

/// The arguments are the key: [`.memoized(..)`](crate::FnExt::memoized).
///
/// ```
/// use decor::{Memoized, layer::KeyFromArgs, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn square(n: u64) -> Ready<u64> { ready(n * n) }
///
/// let squares = Memo::builder().build();
/// let square: Memoized<fn(u64) -> Ready<u64>, u64, u64, KeyFromArgs> =
///     (square as fn(u64) -> _).memoized(&squares);
/// # drop(square);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct KeyFromArgs;

/// A closure makes the key: [`.memoized_by(..)`](crate::FnExt::memoized_by).
///
/// ```
/// use decor::{Memoized, layer::KeyFromFn, prelude::*};
/// use std::future::{Ready, ready};
///
/// fn square(n: u64) -> Ready<u64> { ready(n * n) }
///
/// let squares = Memo::builder().build();
/// let square: Memoized<fn(u64) -> Ready<u64>, u64, u64, KeyFromFn<fn(&u64) -> u64>> =
///     (square as fn(u64) -> _).memoized_by(&squares, |n: &u64| *n);
/// # drop(square);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct KeyFromFn<P>(pub(crate) P);

/// The key is given: [`Memo::get_or_load`] and [`.memoized_by(..)`](crate::FutureExt::memoized_by)
/// on a future.
///
/// ```
/// use decor::{Memo, future::{Load, MemoizedFuture}, layer::{FixedKey, OwnErrors}};
/// use std::future::{Ready, ready};
///
/// let squares = Memo::builder().build();
/// let load: fn() -> Ready<u64> = || ready(49);
/// type Loading = Load<Ready<u64>, u64, u64, OwnErrors>;
/// type Call = MemoizedFuture<fn() -> Ready<u64>, (), Loading, u64, u64, FixedKey<u64>>;
/// let call: Call = squares.get_or_load(7, load);
/// # drop(call);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FixedKey<Q>((Q,));

impl<Q> FixedKey<Q> {
    pub(crate) fn new(key: Q) -> Self {
        Self((key,))
    }
}

impl<Args: MemoKey<K>, K> KeySource<Args, K> for KeyFromArgs {
    fn look_up<V>(&self, clock: Clock, args: &Args, memo: &Memo<K, V>) -> Result<V, K>
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let key = Borrowed::new(args);
        memo.core().look_up(clock, &key).ok_or_else(|| key.to_key())
    }
}

impl<P: Inspect<Args, Output = K>, Args, K> KeySource<Args, K> for KeyFromFn<P> {
    fn look_up<V>(&self, clock: Clock, args: &Args, memo: &Memo<K, V>) -> Result<V, K>
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let key = self.0.inspect(args);
        memo.core().look_up(clock, &key).ok_or(key)
    }
}

impl<Q: KeyPart<K>, Args, K> KeySource<Args, K> for FixedKey<Q> {
    fn look_up<V>(&self, clock: Clock, _: &Args, memo: &Memo<K, V>) -> Result<V, K>
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        KeyFromArgs.look_up(clock, &self.0, memo)
    }
}
