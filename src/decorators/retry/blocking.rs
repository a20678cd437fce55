//! The loop of a blocking retry: call, ask the policy, sleep, call again.

use super::{
    Retry,
    decide::{AfterAttempt, Attempt, decide, is_retryable, log_late_success},
    options::RetryHooks,
};
use crate::{
    Name, RetryPolicy,
    attempt::{Scope, attempt as running},
    call::blocking::{Callable, CallableMut, CallableOnce},
    clock::Clock,
    layer::memo_outcome,
    policy::Delays,
    thread::{sleep, unwind_if_cancelled},
};
use std::{fmt, time::Duration};

#[inline]
fn retry<Args: Clone, T, E, R: RetryHooks<T, E>>(
    policy: &RetryPolicy,
    rules: &mut R,
    args: Args,
    name: impl Fn() -> Name,
    call: impl FnMut(Args) -> Result<T, E>,
) -> Result<T, R::Error> {
    if running() == 1 {
        retry_here(policy, rules, args, name, call)
    } else {
        // Within a later attempt of another retry, this retry counts from 1 again.
        Scope::new(1, None).run(move || retry_here(policy, rules, args, name, call))
    }
}

/// The first attempt, with all code for a call that succeeds at once. Only this part is compiled
/// into the caller.
#[inline]
fn retry_here<Args: Clone, T, E, R: RetryHooks<T, E>>(
    policy: &RetryPolicy,
    rules: &mut R,
    args: Args,
    name: impl Fn() -> Name,
    mut call: impl FnMut(Args) -> Result<T, E>,
) -> Result<T, R::Error> {
    let began = (policy.needs_clock() || R::NEEDS_CLOCK).then(|| Clock::Thread.now());
    let (first, others) = if policy.may_follow(1) { (args.clone(), Some(args)) } else { (args, None) };
    let result = call(first);
    let retryable = is_retryable(policy, rules, || 1, &result);
    match result {
        Ok(value) if !retryable => Ok(value),
        result => {
            let attempt = Attempt { number: 1, began, clock: Clock::Thread, retryable };
            retry_loop(attempt, result, policy, rules, others, name, call)
        }
    }
}

/// Retries after a first attempt that failed, or that ended in an `Ok` to be retried.
#[cold]
#[inline(never)]
fn retry_loop<Args: Clone, T, E, R: RetryHooks<T, E>>(
    mut attempt: Attempt,
    mut result: Result<T, E>,
    policy: &RetryPolicy,
    rules: &mut R,
    mut args: Option<Args>,
    name: impl Fn() -> Name,
    mut call: impl FnMut(Args) -> Result<T, E>,
) -> Result<T, R::Error> {
    let mut delays = None;
    loop {
        let seed = || Delays::new(policy.seed_of_next_call());
        let waits = &mut delays;
        match decide(policy, rules, &attempt, &result, &name, move || waits.get_or_insert_with(seed)) {
            AfterAttempt::Return(reason, elapsed) => {
                return result.map_err(|error| R::finish(attempt.number, elapsed, reason, error));
            }
            AfterAttempt::RetryIn(delay) => {
                drop(result);
                pause(delay);
            }
        }
        attempt.number += 1;
        let these = if policy.may_follow(attempt.number) { args.clone() } else { args.take() };
        let these = these.expect("only the last attempt takes the arguments");
        memo_outcome::leave(None); // not needed in the async loop, where each poll does this
        result = Scope::new(attempt.number, policy.keeps_place_since(attempt.began)).run(|| call(these));
        attempt.retryable = is_retryable(policy, rules, || attempt.number, &result);
        match result {
            Ok(value) if !attempt.retryable => {
                log_late_success(policy, attempt.number, &name);
                return Ok(value);
            }
            failed => result = failed,
        }
    }
}

fn pause(delay: Duration) {
    if delay.is_zero() {
        unwind_if_cancelled();
    } else {
        sleep(delay);
    }
}

impl<C, R, Args, T, E> CallableOnce<Args> for Retry<C, R>
where
    C: CallableMut<Args, Output = Result<T, E>>,
    R: RetryHooks<T, E>,
    Args: Clone,
{
    type Output = Result<T, R::Error>;

    #[inline]
    fn call_once(mut self, args: Args) -> Self::Output {
        self.call_mut(args)
    }

    fn name(&self) -> Name {
        self.callable.name()
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.callable.holds_back()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<C, R, Args, T, E> CallableMut<Args> for Retry<C, R>
where
    C: CallableMut<Args, Output = Result<T, E>>,
    R: RetryHooks<T, E>,
    Args: Clone,
{
    #[inline]
    fn call_mut(&mut self, args: Args) -> Self::Output {
        let Self { callable, policy, rules, .. } = self;
        let name = callable.name();
        retry(policy, rules, args, || name.clone(), |args| callable.call_mut(args))
    }
}

impl<C, R, Args, T, E> Callable<Args> for Retry<C, R>
where
    C: Callable<Args, Output = Result<T, E>>,
    R: RetryHooks<T, E> + Clone,
    Args: Clone,
{
    #[inline]
    fn call_with(&self, args: Args) -> Self::Output {
        let Self { callable, policy, rules, .. } = self;
        retry(policy, &mut rules.clone(), args, || callable.name(), |args| callable.call_with(args))
    }
}
