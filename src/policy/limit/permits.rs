//! The permits that one call takes from a limiter.

use crate::Error;
use std::fmt;

/// Maximum number of windows of one limiter. Enough for requests and tokens, each per minute and
/// per day.
pub(crate) const MAX_WINDOWS: usize = 4;

/// The permits that a call takes: the same number from every window of the limiter, or an array
/// with one number for each window.
///
/// Integers (`u32`, `u64`, `usize`, and `i32` for literals) and arrays of them convert to
/// `Permits`, so the type rarely needs to be named.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), decor::Error> {
/// use decor::RateLimiter;
/// use std::time::Duration;
///
/// let minute = Duration::from_secs(60);
/// // Requests and tokens per minute.
/// let limiter = RateLimiter::windows([(60, minute), (90_000, minute)]);
/// limiter.acquire_many([1, 1200]).await?;
/// limiter.charge([0, 350]); // what the answer turned out to use
/// assert_eq!(limiter.available_per_window(), [59, 88_450]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Permits {
    counts: [u32; MAX_WINDOWS],
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Uniform,
    PerWindow(usize),
    /// Not a number of permits: negative.
    Invalid(i64),
}

/// The permits of one call for each window. Entries beyond the limiter's windows have no meaning.
pub(crate) type Counts = [u32; MAX_WINDOWS];

/// The error for a request that the limiter could never admit.
#[cold]
pub(super) fn invalid(message: fmt::Arguments<'_>) -> Error {
    Error::InvalidArgument { message: message.to_string() }
}

impl Permits {
    #[inline]
    fn each(count: u32) -> Self {
        Self { counts: [count; MAX_WINDOWS], shape: Shape::Uniform }
    }

    fn negative(count: i32) -> Self {
        Self { counts: [0; MAX_WINDOWS], shape: Shape::Invalid(count.into()) }
    }

    /// The permits for each window; `None` if the request does not fit the limiter. An error would
    /// have to be dropped by the calls that discard it.
    #[inline]
    pub(crate) fn fitting(&self, windows: usize) -> Option<&Counts> {
        match self.shape {
            Shape::Uniform => Some(&self.counts),
            Shape::PerWindow(n) => (n == windows).then_some(&self.counts),
            Shape::Invalid(_) => None,
        }
    }

    /// The permits for each window, or an error if the request does not fit the limiter.
    #[inline]
    pub(crate) fn for_windows(&self, windows: usize) -> Result<&Counts, Error> {
        self.fitting(windows).ok_or_else(|| match self.shape {
            Shape::Invalid(n) => invalid(format_args!("{n} permits, but the number must be 0 to {}", u32::MAX)),
            Shape::PerWindow(n) => invalid(format_args!("permits for {n} windows, but the limiter has {windows}")),
            Shape::Uniform => unreachable!("fits any limiter"),
        })
    }
}

/// No permits.
impl Default for Permits {
    fn default() -> Self {
        Self::each(0)
    }
}

impl From<u32> for Permits {
    #[inline]
    fn from(count: u32) -> Self {
        Self::each(count)
    }
}

/// Converts a length, such as that of a text. A number beyond `u32::MAX` counts as
/// `u32::MAX`.
impl From<usize> for Permits {
    fn from(count: usize) -> Self {
        Self::each(saturated(count))
    }
}

/// Converts a count of an API, such as tokens. A number beyond `u32::MAX` counts as
/// `u32::MAX`.
impl From<u64> for Permits {
    fn from(count: u64) -> Self {
        Self::each(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

/// Converts a literal, which is `i32` by default. A negative number is refused by the limiter.
impl From<i32> for Permits {
    fn from(count: i32) -> Self {
        u32::try_from(count).map_or(Self::negative(count), Self::each)
    }
}

/// Takes one number for each window.
impl<const N: usize> From<[u32; N]> for Permits {
    fn from(counts: [u32; N]) -> Self {
        let mut all = [0; MAX_WINDOWS];
        for (slot, count) in all.iter_mut().zip(counts) {
            *slot = count;
        }
        Self { counts: all, shape: Shape::PerWindow(N) }
    }
}

/// Takes one number for each window: `[1, answer.tokens]`.
impl<const N: usize> From<[u64; N]> for Permits {
    fn from(counts: [u64; N]) -> Self {
        counts.map(|count| u32::try_from(count).unwrap_or(u32::MAX)).into()
    }
}

/// Takes one number for each window: `[1, prompt.len()]`.
impl<const N: usize> From<[usize; N]> for Permits {
    fn from(counts: [usize; N]) -> Self {
        counts.map(saturated).into()
    }
}

/// Takes one literal for each window.
impl<const N: usize> From<[i32; N]> for Permits {
    fn from(counts: [i32; N]) -> Self {
        match counts.into_iter().find(|count| *count < 0) {
            Some(negative) => Self::negative(negative),
            None => counts.map(i32::unsigned_abs).into(),
        }
    }
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shape {
            Shape::Uniform => write!(f, "{}", self.counts[0]),
            Shape::PerWindow(n) => write!(f, "{:?}", &self.counts[..n.min(MAX_WINDOWS)]),
            Shape::Invalid(n) => write!(f, "{n}"),
        }
    }
}
