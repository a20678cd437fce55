//! The one place that names locks, atomics and shared pointers, so that a model checker can stand in for them.

pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
