//! The shared memo. For each key one call at a time loads the value, and all calls share it.

mod asking;
mod bound;
mod builder;
mod cacheable;
mod call;
mod config;
mod contact;
mod doubts;
mod eviction;
mod expiries;
mod failures;
mod flight;
mod get_or_load;
mod handle;
mod index;
mod inspect;
mod invalidate;
mod key;
mod key_bytes;
mod key_source;
mod leader;
mod load;
#[cfg(all(test, shuttle))]
mod model_check;
mod options;
mod promise;
mod queue;
mod room;
mod settings;
mod state;
mod stats;
mod tags;
mod tier;
mod tiered;
mod word;

pub use builder::MemoBuilder;
pub use cacheable::{Cacheable, Negative};
pub use call::MemoizedFuture;
pub use config::MemoConfig;
pub use eviction::Eviction;
pub use handle::Memo;
pub use key::{KeyPart, MemoKey};
pub use key_bytes::KeyBytes;
pub use promise::{Promise, Resolver, promise};
pub use stats::MemoStats;
pub use tier::{Found, Keep, Lease, MemoTier, TierCounts, TieredMemo};

pub(crate) use cacheable::{CarriesLoadFailure, Memoizable, Value};
pub(crate) use call::{Begun, GetOrLoad, call_blocking};
pub(crate) use failures::ErrorSharing;
pub use failures::{IsolatedErrors, ReportedErrors, SharedErrors};
pub(crate) use key::Key;
pub(crate) use key_source::{FixedKey, KeyFromArgs, KeyFromFn, KeySource};
pub use load::Load;
pub(crate) use load::{BlockingLoad, Detached, DetachedLoad, Inline, LoadMode, Running, RunningBlocking};
pub(crate) use options::Options;
pub(crate) use state::Core;
#[cfg(feature = "metrics")]
pub(crate) use stats::Totals;
pub(crate) use word::Word;

use asking::{Asked, Asking};
use contact::Contact;
use flight::{Joined, LoadOutcome};
use key::ArgsAsKey;
use leader::Leader;
