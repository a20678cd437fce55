//! `retry_with`: number and times of attempts, hooks, and attempts that are never made.

use std::{
    cell::Cell,
    future::{Ready, ready},
};

mod attempt;
mod attempts;
mod budget;
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
