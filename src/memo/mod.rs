//! The shared memo: values are loaded by one call at a time, and remembered for a while for all.

mod bound;
mod builder;
mod cacheable;
mod call;
mod contact;
mod expiries;
mod failures;
mod flight;
mod get_or_load;
mod handle;
mod index;
mod key;
mod key_source;
mod leader;
mod load;
#[cfg(all(test, shuttle))]
mod model_check;
mod room;
mod settings;
mod state;
mod stats;

pub use builder::MemoBuilder;
pub use cacheable::{Cacheable, Negative};
pub use call::{Begun, GetOrLoad, MemoizedFuture};
pub use failures::{Failures, OwnErrors, ReportedErrors, SharedErrors};
pub use handle::Memo;
pub use key::{KeyPart, MemoKey};
pub use key_source::{FixedKey, KeyFromArgs, KeyFromFn, KeySource};
pub use load::{Detached, DetachedLoad, Inline, Load, LoadMode, Running};
pub use settings::Eviction;
pub use stats::MemoStats;

pub(crate) use call::call_blocking;
pub(crate) use load::{BlockingLoad, RunningBlocking};
pub(crate) use state::Core;

use contact::Contact;
use flight::{Joined, Landing};
use key::Borrowed;
use leader::Leader;
