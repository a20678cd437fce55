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
    describe::Chain,
    layer::memo_outcome,
    policy::Delays,
    retry_budget::Withdrawal,
    thread::{sleep, unwind_if_cancelled},
};
use std::time::Duration;

/// The function of a retry, and how it is called. `C` is a borrow of the function: a borrow of the
/// borrow would have to be stored at each call.
struct Function<C, Call, Pause> {
    callable: C,
    call: Call,
    pause_left: Pause,
}

#[inline]
#[track_caller]
fn retry<Args: Clone, T, E, R: RetryHooks<T, E>, C>(
    policy: &RetryPolicy,
    options: &mut R,
    args: Args,
    name: impl Fn() -> Name,
    function: Function<C, impl Fn(&mut C, Args) -> Result<T, E>, impl Fn(&C, &Args) -> Duration>,
) -> Result<T, R::Error> {
    if running() == 1 {
        retry_here(policy, options, args, name, function)
    } else {
        // Within a later attempt of another retry, this retry counts from 1 again.
        Scope::new(1, None).run(move || retry_here(policy, options, args, name, function))
    }
}

/// The first attempt, with all code for a call that succeeds at once. Only this part is compiled
/// into the caller.
#[inline]
#[track_caller]
fn retry_here<Args: Clone, T, E, R: RetryHooks<T, E>, C>(
    policy: &RetryPolicy,
    options: &mut R,
    args: Args,
    name: impl Fn() -> Name,
    mut function: Function<C, impl Fn(&mut C, Args) -> Result<T, E>, impl Fn(&C, &Args) -> Duration>,
) -> Result<T, R::Error> {
    let began = (policy.needs_clock() || R::NEEDS_CLOCK).then(|| Clock::Thread.stamp());
    let (first, others) = if policy.may_follow(1) { (args.clone(), Some(args)) } else { (args, None) };
    let result = (function.call)(&mut function.callable, first);
    let retryable = is_retryable(policy, options, || 1, &result);
    match result {
        Ok(value) if !retryable => {
            options.succeeded();
            Ok(value)
        }
        result => {
            let attempt = Attempt { number: 1, began, clock: Clock::Thread, retryable };
            retry_loop(attempt, result, policy, options, others, name, function)
        }
    }
}

/// Retries after a first attempt that failed, or that ended in an `Ok` to be retried.
#[cold]
#[inline(never)]
#[track_caller]
fn retry_loop<Args: Clone, T, E, R: RetryHooks<T, E>, C>(
    mut attempt: Attempt,
    mut result: Result<T, E>,
    policy: &RetryPolicy,
    options: &mut R,
    mut args: Option<Args>,
    name: impl Fn() -> Name,
    function: Function<C, impl Fn(&mut C, Args) -> Result<T, E>, impl Fn(&C, &Args) -> Duration>,
) -> Result<T, R::Error> {
    let Function { mut callable, call, pause_left } = function;
    let mut delays = None;
    loop {
        let seed = || Delays::new(policy.seed_of_next_call());
        let waits = &mut delays;
        let pause_left = || args.as_ref().map_or(Duration::ZERO, |args| pause_left(&callable, args));
        match decide(policy, options, &attempt, &result, &name, move || waits.get_or_insert_with(seed), &pause_left) {
            AfterAttempt::Return(reason, elapsed) => {
                return result.map_err(|error| R::finish(attempt.number, elapsed, reason, error));
            }
            AfterAttempt::RetryIn(delay, paid) => {
                drop(result);
                pause(delay);
                paid.into_iter().for_each(Withdrawal::spend);
            }
        }
        attempt.number += 1;
        let these = if policy.may_follow(attempt.number) { args.clone() } else { args.take() };
        let these = these.expect("only the last attempt takes the arguments");
        memo_outcome::leave(None); // not needed in the async loop, where each poll does this
        result = Scope::new(attempt.number, policy.keeps_place_since(attempt.began)).run(|| call(&mut callable, these));
        attempt.retryable = is_retryable(policy, options, || attempt.number, &result);
        match result {
            Ok(value) if !attempt.retryable => {
                options.succeeded();
                log_late_success(policy, attempt.number, &name);
                return Ok(value);
            }
            failed => result = failed,
        }
    }
}

#[track_caller]
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
        self.callable.name().or_place(self.describe.place())
    }

    #[inline]
    fn holds_back(&self) -> bool {
        self.callable.holds_back()
    }

    fn add_to(&self, chain: &mut Chain) {
        self.add_steps(chain);
    }

    fn pause_left(&self, args: &Args) -> Duration {
        self.callable.pause_left(args)
    }
}

impl<C, R, Args, T, E> CallableMut<Args> for Retry<C, R>
where
    C: CallableMut<Args, Output = Result<T, E>>,
    R: RetryHooks<T, E>,
    Args: Clone,
{
    #[inline]
    #[allow(clippy::mut_mut)] // see `Function`
    fn call_mut(&mut self, args: Args) -> Self::Output {
        let Self { callable, policy, options, describe } = self;
        let name = callable.name().or_place(describe.place());
        let function = Function {
            callable,
            call: |c: &mut &mut C, args| c.call_mut(args),
            pause_left: |c: &&mut C, args: &_| c.pause_left(args),
        };
        retry(policy, options, args, || name.clone(), function)
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
        let Self { callable, policy, options, describe } = self;
        let name = || callable.name().or_place(describe.place());
        let function = Function {
            callable,
            call: |c: &mut &C, args| c.call_with(args),
            pause_left: |c: &&C, args: &_| c.pause_left(args),
        };
        retry(policy, &mut options.clone(), args, name, function)
    }
}
