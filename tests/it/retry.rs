//! `retry_with`: how often, when, told to whom, and what is never done.

use std::{
    cell::Cell,
    future::{Ready, ready},
};

mod attempt;
mod attempts;
mod hints;
mod logs;
mod model;
mod pauses;
mod place;
mod policy;
mod predicates;
mod repeated;
mod seeds;

fn counted(calls: &Cell<u32>) -> impl Fn() -> Ready<Result<(), &'static str>> {
    || {
        calls.set(calls.get() + 1);
        ready(Err("busy"))
    }
}
