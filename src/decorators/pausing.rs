//! Pauses of a limiter for all calls, after a throttled one.

use super::rate_limited::{OfKey, ShownLimiter};
use crate::{
    KeyedLimiter, RateLimiter, ResultLike,
    call::args::Inspect,
    describe::StepKind,
    layer::{Captures, Decoration, End, Gate, GateSource, Renewable, captures_nothing, repeats_in_place},
};
use std::{fmt, hash::Hash, time::Duration};

/// The gate of [`.pausing(..)`](crate::FnExt::pausing) and its variants by result and by key.
/// Pauses a limiter at the end of a call that was told to wait.
#[derive(Debug, Clone)]
pub struct Pausing<H, L = RateLimiter> {
    limiter: L,
    hint: H,
}

impl<H, L> Pausing<H, L> {
    pub(crate) fn new(limiter: L, hint: H) -> Self {
        Self { limiter, hint }
    }
}

/// The closure that returns the length of a pause.
pub trait PauseHint {
    /// End of the method's name in the text of a chain: `_result` or nothing.
    const SUFFIX: &str;
}

/// Reads the length of a pause from an output.
pub trait PauseHintOf<T>: PauseHint {
    /// Returns the length of the pause; `None` if the output asks for none.
    fn pause(&mut self, output: &T) -> Option<Duration>;
}

/// A closure that takes the error.
#[derive(Debug, Clone)]
pub struct ByError<P>(pub(crate) P);

impl<P> PauseHint for ByError<P> {
    const SUFFIX: &str = "";
}

impl<T: ResultLike, P: FnMut(&T::Err) -> Option<Duration>> PauseHintOf<T> for ByError<P> {
    fn pause(&mut self, output: &T) -> Option<Duration> {
        output.as_result().err().and_then(&mut self.0)
    }
}

/// A closure that takes the whole output.
#[derive(Debug, Clone)]
pub struct ByResult<P>(pub(crate) P);

impl<P> PauseHint for ByResult<P> {
    const SUFFIX: &str = "_result";
}

impl<T, P: FnMut(&T) -> Option<Duration>> PauseHintOf<T> for ByResult<P> {
    fn pause(&mut self, output: &T) -> Option<Duration> {
        (self.0)(output)
    }
}

/// A limiter that a call can pause.
pub trait Pause {
    /// Pauses the limiter. For a key, looks its limiter up first, or makes it.
    fn pause_for(&self, pause: Duration);
}

impl Pause for RateLimiter {
    fn pause_for(&self, pause: Duration) {
        RateLimiter::pause_for(self, pause);
    }
}

/// The limiter of one key, which is looked up at the time of a pause.
#[derive(Debug)]
pub struct Keyed<K> {
    limiter: KeyedLimiter<K>,
    key: K,
}

impl<K> Keyed<K> {
    pub(crate) fn new(limiter: &KeyedLimiter<K>, key: K) -> Self {
        Self { limiter: limiter.clone(), key }
    }
}

impl<K: Eq + Hash + Clone> Pause for Keyed<K> {
    fn pause_for(&self, pause: Duration) {
        self.limiter.for_key(&self.key).pause_for(pause);
    }
}

#[diagnostic::do_not_recommend]
impl<T, H: PauseHintOf<T>, L: Pause> Gate<T> for Pausing<H, L> {
    fn end(&mut self, end: End<'_, T>) {
        if let Some(pause) = end.output().and_then(|output| self.hint.pause(output)) {
            self.limiter.pause_for(pause);
        }
    }
}

impl<H: PauseHint, L: ShownLimiter> Decoration for Pausing<H, L> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".pausing{}{}({}{}, ..)", H::SUFFIX, L::BY_KEY, self.limiter.limits(), L::CLOSURE)
    }

    fn kind(&self) -> StepKind {
        StepKind::Immediate
    }
}

impl<H> Renewable for Pausing<H> {
    #[inline]
    fn release(&mut self) {}

    fn pause_left(&self) -> Duration {
        self.limiter.pause_left()
    }
}

captures_nothing!(Pausing<H>, H);

impl<H: PauseHint, Args> GateSource<Args> for Pausing<H> {
    type Gate = Self;

    fn gate(self, (): ()) -> Self {
        self
    }

    repeats_in_place!(Args);

    fn pause_left(&self, _: &Args) -> Duration {
        self.limiter.pause_left()
    }
}

impl<H, K, Q, Args> Captures<Args> for Pausing<H, OfKey<K, Q>>
where
    Q: Inspect<Args, Output = K>,
{
    type Captured = K;

    fn capture(&self, args: &Args) -> K {
        self.limiter.key.inspect(args)
    }
}

impl<H, K, Q, Args> GateSource<Args> for Pausing<H, OfKey<K, Q>>
where
    H: PauseHint,
    K: Eq + Hash + Clone,
    Q: Inspect<Args, Output = K>,
{
    type Gate = Pausing<H, Keyed<K>>;
    type Repeated = Pausing<H, KeyedByArgs<K, Q, Args>>;
    type Kept = Args;

    fn gate(self, key: K) -> Self::Gate {
        Pausing { limiter: Keyed { limiter: self.limiter.limiter, key }, hint: self.hint }
    }

    fn keep(&self, args: &Args) -> Args
    where
        Args: Clone,
    {
        args.clone()
    }

    fn repeated(self, args: Args) -> Self::Repeated {
        let Self { limiter: OfKey { limiter, key }, hint } = self;
        Pausing { limiter: KeyedByArgs { limiter, key, args, inspect: Q::inspect, current: None }, hint }
    }

    fn pause_left(&self, args: &Args) -> Duration {
        let OfKey { limiter, key } = &self.limiter;
        limiter.for_key(&key.inspect(args)).pause_left()
    }
}

/// The limiter of a key that each attempt takes from the arguments.
///
/// All attempts share the hint, because its closure may have a state.
#[derive(Debug)]
pub struct KeyedByArgs<K, Q, Args> {
    limiter: KeyedLimiter<K>,
    key: Q,
    args: Args,
    inspect: fn(&Q, &Args) -> K,
    /// The key of this attempt; `None` between attempts.
    current: Option<K>,
}

impl<K: Eq + Hash + Clone, Q, Args> Pause for KeyedByArgs<K, Q, Args> {
    fn pause_for(&self, pause: Duration) {
        if let Some(key) = &self.current {
            self.limiter.for_key(key).pause_for(pause);
        }
    }
}

impl<H, K: Eq + Hash + Clone, Q, Args> Renewable for Pausing<H, KeyedByArgs<K, Q, Args>> {
    fn release(&mut self) {
        self.limiter.current = None;
    }

    /// The attempt that paused the limiter has released its key, so the key is made again.
    fn pause_left(&self) -> Duration {
        let KeyedByArgs { limiter, key, args, inspect, .. } = &self.limiter;
        limiter.for_key(&inspect(key, args)).pause_left()
    }

    fn prepare(&mut self) {
        let KeyedByArgs { key, args, inspect, current, .. } = &mut self.limiter;
        *current = Some(inspect(key, args));
    }
}
