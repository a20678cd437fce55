//! Bounding how long a blocking call may take.

use super::call::{Callable, CallableMut, CallableOnce};
use crate::{Error, Fallible, call::Describe, clock::Clock, name::Name, thread::RemoteCall};
use std::{fmt, time::Duration};

/// A blocking function whose calls run on a thread of their own, and are left when their time is over.
///
/// Made by [`.timeout(..)`](super::FnExt::timeout).
///
/// ```
/// use decor::prelude::*;
/// use std::time::Duration;
///
/// let half = (|n: u32| Ok::<_, decor::Error>(n / 2)).blocking().named("half").timeout(Duration::from_secs(2));
/// assert!(format!("{half:?}").ends_with(r#".blocking().named("half").timeout(2s)"#));
/// assert_eq!(half.call(42), Ok(21));
/// ```
#[derive(Clone)]
#[must_use = "a decorated function does nothing until it is called"]
pub struct Timeout<C> {
    callable: C,
    limit: Duration,
    describe: Describe<C>,
}

impl<C> Timeout<C> {
    pub(super) fn new<Args>(callable: C, limit: Duration) -> Self
    where
        C: CallableOnce<Args>,
    {
        Self { callable, limit, describe: Describe::by(C::describe) }
    }
}

impl<C, Args> CallableOnce<Args> for Timeout<C>
where
    C: CallableOnce<Args, Output: Fallible + Send + 'static> + Send + 'static,
    Args: Send + 'static,
{
    type Output = C::Output;

    fn call_once(self, args: Args) -> C::Output {
        let Self { callable, limit, .. } = self;
        if limit == Duration::MAX {
            return callable.call_once(args);
        }
        let label = callable.label();
        let end = Clock::Thread.now().checked_add(limit);
        let output =
            if limit.is_zero() { None } else { RemoteCall::begin(move || callable.call_once(args)).wait_until(end) };
        output.unwrap_or_else(|| C::Output::from_policy(Error::TimedOut { name: label.get(), after: limit }))
    }

    fn label(&self) -> Name {
        self.callable.label()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<C, Args> CallableMut<Args> for Timeout<C>
where
    Self: CallableOnce<Args> + Clone,
{
    fn call_mut(&mut self, args: Args) -> Self::Output {
        self.clone().call_once(args)
    }
}

impl<C, Args> Callable<Args> for Timeout<C>
where
    Self: CallableOnce<Args> + Clone,
{
    fn call_with(&self, args: Args) -> Self::Output {
        self.clone().call_once(args)
    }
}

impl<C> fmt::Debug for Timeout<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe.write(&self.callable, f)?;
        write!(f, ".timeout({:?})", self.limit)
    }
}
