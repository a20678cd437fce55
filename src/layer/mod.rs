//! How a decorator is written.

mod around;
mod decoration;
mod gate;
mod mapped;
mod outcome;
mod wait;

pub use crate::call::{mode::Function, name::future_name};
pub use around::Around;
pub use decoration::Decoration;
pub use gate::{End, Gate, Gated, GatedFuture};
pub use mapped::MappedFuture;
pub use outcome::Outcome;
pub use wait::Wait;

/// Parts of decorated functions' types, and what the decorators ask of a function. They are public
/// for the compiler's sake: what no public path leads to it calls by the whole private path.
#[doc(hidden)]
pub use {
    crate::{
        call::{
            CloneFunction, Late,
            args::CloneArgs,
            mode::{AsyncHalf, BlockingHalf, Repeatable},
        },
        decorators::{
            boxed::Boxable,
            logged::{Discreet, Logged, Picked, Values},
            rate_limited::{RateLimited, RateLimitedBy, RateLimitedByKey, RateLimitedWithin},
            validated::Validated,
        },
    },
    gate::{ByArgs, CloneGate, Each, GateLayer},
    mapped::Mapped,
};

pub(crate) use around::{BlockingLayer, Captures, Layer, RepeatLayer, captures_nothing};
pub(crate) use gate::{GateSource, InPlace, Kept, Renewable};
pub(crate) use mapped::Change;
pub(crate) use wait::{BoxedTimer, Timer, wait_blocking};
