//! The part of `instructions.rs` for decorators without a listener. It is a program of its own,
//! because each case of a program changes what the compiler inlines into the others.

use decor::prelude::*;
use std::{
    env,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    process::ExitCode,
    task::{Context, Waker},
};

#[inline(never)]
fn load(id: u64) -> Result<u64, String> {
    if black_box(id) == u64::MAX { Err("no such id".to_owned()) } else { Ok(id + 1) }
}

fn fetch(id: u64) -> Ready<Result<u64, String>> {
    ready(load(id))
}

fn polled<F: Future>(calls: u64, call: impl Fn(u64) -> F) {
    let mut context = Context::from_waker(Waker::noop());
    for id in 0..calls {
        black_box(pin!(call(black_box(id))).poll(&mut context).is_ready());
    }
}

fn run(case: &str, calls: u64) -> Option<()> {
    match case {
        // Without a subscriber. One that wants no spans costs the same.
        "async traced" => {
            let traced = fetch.traced("fetch");
            polled(calls, |id| traced.call(id));
        }
        // Without a recorder.
        "async metered" => {
            let metered = fetch.metered("fetch");
            polled(calls, |id| metered.call(id));
        }
        _ => return None,
    }
    Some(())
}

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (case, calls) = (args.next().unwrap_or_default(), args.next().and_then(|calls| calls.parse().ok()));
    if calls.and_then(|calls| run(&case, calls)).is_none() {
        eprintln!("usage: unobserved CASE CALLS");
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}
