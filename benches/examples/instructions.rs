//! A sync function that succeeds at once, bare or decorated, so many times: for `benches/instructions.sh`.

use decor::prelude::*;
use std::{env, hint::black_box, process::ExitCode};

#[inline(never)]
fn load(id: u64) -> Result<u64, String> {
    if black_box(id) == u64::MAX { Err("no such id".to_owned()) } else { Ok(id + 1) }
}

fn times<T>(calls: u64, call: impl Fn(u64) -> Result<u64, T>) {
    for id in 0..calls {
        let _ = black_box(call(black_box(id)));
    }
}

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (case, calls) = (args.next().unwrap_or_default(), args.next().and_then(|calls| calls.parse().ok()));
    let policy = RetryPolicy::default();
    match (&*case, calls) {
        ("bare", Some(calls)) => times(calls, load),
        ("retried", Some(calls)) => {
            let retried = load.blocking().retry_with(&policy);
            times(calls, |id| retried.call(id));
        }
        _ => {
            eprintln!("usage: instructions bare|retried CALLS");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
