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

pub(crate) use around::{BlockingLayer, Captures, Layer, RepeatLayer, captures_nothing};
pub(crate) use gate::{ByArgs, Each, GateLayer, GateSource, InPlace, Kept, Renewable};
pub(crate) use mapped::{Change, Mapped};
pub(crate) use wait::{BoxedTimer, Timer, wait_blocking};
