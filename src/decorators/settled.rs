//! Permits that a call has used, in place of those that were reserved for it.

use crate::{
    Around, Error, Permits, ResultLike,
    call::{Late, called, mode::Function},
    clock::Clock,
    describe::StepKind,
    layer::{Captures, Decoration, End, FromArgs, Gate, GateLayer, GateSource, GatedFuture, Renewable, Wait},
};
use std::{fmt, task::Poll};

/// A gate that takes permits of a limiter before the call, to be settled after it.
#[diagnostic::on_unimplemented(
    message = "`.settled(..)` follows a decorator that takes permits of a limiter, and `{Self}` takes none",
    note = "as in `.rate_limited_by(&limiter, |prompt: &String| estimate(prompt)).settled(|answer| answer.tokens)`"
)]
pub trait Reserving {
    /// Counts these permits in place of those that the gate took.
    ///
    /// # Errors
    ///
    /// If the permits are for another number of windows.
    fn settle(&self, clock: Clock, used: &Permits) -> Result<(), Error>;
}

impl<S, Args, G: Reserving> Reserving for FromArgs<S, Args, G> {
    fn settle(&self, clock: Clock, used: &Permits) -> Result<(), Error> {
        self.gate().settle(clock, used)
    }
}

/// Reads the used permits from the output of a call.
pub trait Usage<T> {
    /// Returns the permits that were used; `None` if the output does not contain them.
    fn used(&mut self, output: &T) -> Option<Permits>;
}

/// The closure of [`.settled(..)`](Around::settled), which takes the `Ok` value.
#[derive(Debug, Clone)]
pub struct ByValue<U>(U);

impl<T: ResultLike, U: FnMut(&T::Ok) -> P, P: Into<Permits>> Usage<T> for ByValue<U> {
    fn used(&mut self, output: &T) -> Option<Permits> {
        let value = output.as_result().ok()?;
        Some((self.0)(value).into())
    }
}

/// The closure of [`.settled_result(..)`](Around::settled_result), which takes the `Result`.
#[derive(Debug, Clone)]
pub struct ByResult<U>(U);

impl<T, E, U: FnMut(&Result<T, E>) -> Option<P>, P: Into<Permits>> Usage<Result<T, E>> for ByResult<U> {
    fn used(&mut self, output: &Result<T, E>) -> Option<Permits> {
        (self.0)(output).map(Into::into)
    }
}

/// The gate of a call with a reservation that is settled at its end.
#[derive(Debug, Clone)]
pub struct Settling<G, U> {
    gate: G,
    used: U,
    /// `true` once the function has been called.
    called: bool,
}

#[diagnostic::do_not_recommend]
impl<T, G: Gate<T> + Reserving, U: Usage<T>> Gate<T> for Settling<G, U> {
    #[inline]
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        self.gate.enter(wait)
    }

    #[inline]
    fn drive<P>(&mut self, call: impl FnOnce() -> P) -> P {
        called::watch(&mut self.called, call)
    }

    fn end(&mut self, end: End<'_, T>) {
        let used =
            if self.called { end.output().and_then(|output| self.used.used(output)) } else { Some(Permits::default()) };
        if let Some(Err(error)) = used.map(|used| self.gate.settle(end.clock(), &used)) {
            panic!("a call cannot be settled: {error}");
        }
    }
}

impl<G: Renewable, U> Renewable for Settling<G, U> {
    fn release(&mut self) {
        self.gate.release();
    }

    fn prepare(&mut self) {
        self.gate.prepare();
        self.called = false;
    }
}

/// The decoration of a limiter with [`.settled(..)`](Around::settled) or
/// [`.settled_result(..)`](Around::settled_result).
#[derive(Debug, Clone)]
pub struct Settled<S, U> {
    reserved: S,
    used: U,
    shown_as: &'static str,
}

impl<S: Decoration, U> Decoration for Settled<S, U> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reserved.describe(f)?;
        f.write_str(self.shown_as)
    }

    fn kind(&self) -> StepKind {
        self.reserved.kind()
    }
}

impl<Args, S: Captures<Args>, U> Captures<Args> for Settled<S, U> {
    type Captured = S::Captured;

    #[inline]
    fn capture(&self, args: &Args) -> S::Captured {
        self.reserved.capture(args)
    }
}

impl<Args, S: GateSource<Args>, U> GateSource<Args> for Settled<S, U> {
    type Gate = Settling<S::Gate, U>;
    type Repeated = Settling<S::Repeated, U>;
    type Kept = S::Kept;

    #[inline]
    fn gate(self, captured: S::Captured) -> Self::Gate {
        Settling { gate: self.reserved.gate(captured), used: self.used, called: false }
    }

    #[inline]
    fn keep(&self, args: &Args) -> S::Kept
    where
        Args: Clone,
    {
        self.reserved.keep(args)
    }

    #[inline]
    fn repeated(self, kept: S::Kept) -> Self::Repeated {
        Settling { gate: self.reserved.repeated(kept), used: self.used, called: false }
    }
}

/// Settling of reserved permits.
impl<C, S> Around<Late<C>, GateLayer<S>> {
    /// Settles the reservation of the limiter that `.settled(..)` follows: counts the permits that
    /// the value reports as used, in place of those that were taken before the call.
    ///
    /// The closure takes the `Ok` value, and returns a number for every window, or an array with
    /// one for each. The difference is settled for each window when the call ends. If the call used
    /// less, the rest is given back as if it had never been taken, and calls that wait for it are
    /// admitted. If the call used more, the excess is counted at the end of the call. An excess may
    /// overdraw the limit. No call is then admitted until enough permits are free again.
    ///
    /// | the call | its reservation |
    /// |---|---|
    /// | waits for its permits and is dropped, or is refused by the limiter | nothing was taken |
    /// | ends without a call of the function | is given back |
    /// | returns an `Ok` | becomes what the closure returns |
    /// | returns an `Err` | stays: the server may have counted it. See [`settled_result`](Self::settled_result) |
    /// | is cancelled or panics after the function was called | stays |
    ///
    /// The function is not called if a decorator before the limiter (a gate, another limiter,
    /// `validated`) refuses the call, or still holds it back when the call is dropped. Two calls
    /// count as calls of the function in any case:
    ///
    /// - a call that reaches a memo before the limiter;
    /// - before a retry, a call of a boxed function.
    ///
    /// A single number counts for every window, requests included. The closure is cloned for each
    /// call. If the value borrows from the arguments, use a named function in its place.
    ///
    /// # Place in a chain
    ///
    /// Follows [`rate_limited_by`](crate::FnExt::rate_limited_by), or
    /// [`.permits(..)`](Self::permits) after another decorator with a limiter. Stands before
    /// `retry_with`: each attempt then reserves and settles permits of its own.
    ///
    /// # What is given back
    ///
    /// Permits are given back at the time at which they were taken. The used permits therefore keep
    /// to an exact window at any time. A reservation that is older than the window's period has
    /// left the window, and nothing is given back. If the period was shortened and lengthened again
    /// meanwhile, permits that had left the window do not return.
    ///
    /// A paced limiter moves its schedule back for reservations up to a period old, but no further
    /// than to the present. The pace then holds on average: as many permits as were given back may
    /// pass in addition. If the pace changed during the call, the permits are given back at the new
    /// pace.
    ///
    /// Settling takes time in proportion to the calls that were admitted since the call began.
    ///
    /// # Panics
    ///
    /// At the end of a call, if the closure returns an array with another length than there are
    /// windows, or a negative number.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// struct Answer { tokens_used: u32 }
    /// async fn complete(prompt: String) -> Result<Answer, Error> {
    ///     Ok(Answer { tokens_used: 350 })
    /// }
    ///
    /// let minute = Duration::from_secs(60);
    /// let limiter = RateLimiter::windows([(60, minute), (90_000, minute)]);
    /// let complete = complete
    ///     .rate_limited_by(&limiter, |prompt: &String| [1, prompt.len() / 4 + 1000])
    ///     .settled(|answer| [1, answer.tokens_used]);
    ///
    /// complete.call("Say hello in French.".into()).await.unwrap();
    /// assert_eq!(limiter.available_per_window(), [59, 89_650]);
    /// assert_eq!(limiter.stats().refunded, [0, 655, 0, 0]);
    /// # }
    /// ```
    pub fn settled<Args, Half, U, P>(self, used: U) -> Around<Late<C>, GateLayer<Settled<S, ByValue<U>>>>
    where
        C: Function<Args, Half, Output: ResultLike>,
        S: GateSource<Args, Gate: Reserving>,
        U: FnMut(&<C::Output as ResultLike>::Ok) -> P,
        P: Into<Permits>,
    {
        self.with_layer(|GateLayer(reserved)| {
            GateLayer(Settled { reserved, used: ByValue(used), shown_as: ".settled(..)" })
        })
    }

    /// [`settled`](Self::settled), by a closure that takes the whole `Result`, for errors that
    /// report the used permits.
    ///
    /// If the closure returns `None`, the reservation stays.
    ///
    /// # Panics
    ///
    /// When [`settled`](Self::settled) does.
    ///
    /// # Examples
    ///
    /// A request that the server rejected has used no permits:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// enum ApiError {
    ///     #[error("throttled")]
    ///     Throttled,
    ///     #[error(transparent)]
    ///     Policy(#[from] Error),
    /// }
    /// async fn complete(prompt: String) -> Result<u32, ApiError> { Err(ApiError::Throttled) }
    ///
    /// let limiter = RateLimiter::new(1000, Duration::from_secs(60));
    /// let complete = complete
    ///     .rate_limited_by(&limiter, |_: &String| 400)
    ///     .settled_result(|result| match result {
    ///         Ok(tokens) => Some(*tokens),
    ///         Err(ApiError::Throttled) => Some(0),
    ///         Err(_) => None,
    ///     });
    /// complete.call("Say hello in French.".into()).await.unwrap_err();
    /// assert_eq!(limiter.available(), 1000);
    /// # }
    /// ```
    pub fn settled_result<Args, Half, U, P>(self, used: U) -> Around<Late<C>, GateLayer<Settled<S, ByResult<U>>>>
    where
        C: Function<Args, Half, Output: ResultLike>,
        S: GateSource<Args, Gate: Reserving>,
        U: FnMut(&Result<<C::Output as ResultLike>::Ok, <C::Output as ResultLike>::Err>) -> Option<P>,
        P: Into<Permits>,
    {
        self.with_layer(|GateLayer(reserved)| {
            GateLayer(Settled { reserved, used: ByResult(used), shown_as: ".settled_result(..)" })
        })
    }
}

/// Settling of reserved permits.
impl<F, G: Gate<T> + Reserving + Clone, T> GatedFuture<F, G, T> {
    /// Settles the reservation of the limiter that `.settled(..)` follows: see
    /// [`Around::settled`](crate::Around::settled).
    ///
    /// Follows [`rate_limited_by`](crate::FutureExt::rate_limited_by), or another decorator of
    /// futures that takes permits. A future counts as called when it is first polled, even if a
    /// decorator before the limiter holds it back.
    ///
    /// # Panics
    ///
    /// When [`Around::settled`](crate::Around::settled) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::{Error, prelude::*};
    /// use std::time::Duration;
    ///
    /// async fn complete(prompt: &str) -> Result<u32, Error> { Ok(350) }
    ///
    /// let limiter = RateLimiter::new(1000, Duration::from_secs(60));
    /// complete("Hello").rate_limited_by(&limiter, 400).settled(|tokens| *tokens).await.unwrap();
    /// assert_eq!(limiter.available(), 650);
    /// # }
    /// ```
    pub fn settled<U, P>(self, used: U) -> GatedFuture<F, Settling<G, ByValue<U>>, T>
    where
        T: ResultLike,
        U: FnMut(&T::Ok) -> P,
        P: Into<Permits>,
    {
        self.with_gate(|gate| Settling { gate: gate.clone(), used: ByValue(used), called: true })
    }
}

/// Settling of reserved permits.
impl<F, G: Gate<Result<T, E>> + Reserving + Clone, T, E> GatedFuture<F, G, Result<T, E>> {
    /// [`settled`](Self::settled), by a closure that takes the whole `Result`: see
    /// [`Around::settled_result`](crate::Around::settled_result).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use decor::prelude::*;
    /// use std::{future::ready, time::Duration};
    ///
    /// let limiter = RateLimiter::new(1000, Duration::from_secs(60));
    /// let refused = ready(Err::<u32, _>("too long".to_owned()));
    /// let settled = refused
    ///     .rate_limited_by(&limiter, 400)
    ///     .settled_result(|result| Some(*result.as_ref().unwrap_or(&0)));
    /// settled.await.unwrap_err();
    /// assert_eq!(limiter.available(), 1000);
    /// # }
    /// ```
    pub fn settled_result<U, P>(self, used: U) -> GatedFuture<F, Settling<G, ByResult<U>>, Result<T, E>>
    where
        U: FnMut(&Result<T, E>) -> Option<P>,
        P: Into<Permits>,
    {
        self.with_gate(|gate| Settling { gate: gate.clone(), used: ByResult(used), called: true })
    }
}
