//! Repeats a call that has nothing to wait for, so that `benches/instructions.sh` can count its
//! instructions.

use decor::prelude::*;
use std::{
    env,
    future::{Future, Ready, pending, ready},
    hint::black_box,
    pin::pin,
    process::ExitCode,
    task::{Context, Waker},
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);

#[inline(never)]
fn load(id: u64) -> Result<u64, String> {
    if black_box(id) == u64::MAX { Err("no such id".to_owned()) } else { Ok(id + 1) }
}

fn fetch(id: u64) -> Ready<Result<u64, String>> {
    ready(load(id))
}

fn times<T>(calls: u64, mut call: impl FnMut(u64) -> T) {
    for id in 0..calls {
        black_box(call(black_box(id)));
    }
}

fn polled<F: Future>(calls: u64, call: impl Fn(u64) -> F) {
    let mut context = Context::from_waker(Waker::noop());
    times(calls, |id| pin!(call(id)).poll(&mut context).is_ready());
}

fn memo() -> Memo<u64, u64> {
    let memo = Memo::ttl(3600 * SECOND);
    memo.insert(7, 49);
    memo
}

/// Makes nine hits, and a store into a full memo, which spares these nine values and evicts one.
#[inline(never)]
fn evicting(calls: u64) {
    let memo = Memo::builder().capacity(100).ttl(3600 * SECOND).build();
    let spared = |n: u64| 9 * (n % 10)..9 * (n % 10) + 9;
    for n in 0..10 {
        spared(n).for_each(|id| memo.insert(id, id));
        memo.insert(90 + n, n);
    }
    times(calls, |n| {
        spared(n).for_each(|id| assert_eq!(memo.get(&id), Some(id)));
        memo.insert(100 + n, n);
    });
    assert_eq!(memo.stats().evictions, calls);
}

fn run(case: &str, calls: u64) -> Option<()> {
    let policy = RetryPolicy::default();
    match case {
        "bare" => times(calls, load),
        "retried" => {
            let retried = load.blocking().retry_with(&policy);
            times(calls, |id| retried.call(id));
        }
        "async bare" => polled(calls, fetch),
        "async retried" => {
            let retried = fetch.retry_with(&policy);
            polled(calls, |id| retried.call(id));
        }
        "async logged" => {
            let logged = fetch.logged();
            polled(calls, |id| logged.call(id));
        }
        "async timed" => {
            let timed = fetch.timed_with(decor::Timing::new("fetch").record_to(|_| ()));
            polled(calls, |id| timed.call(id));
        }
        "exact" => {
            let limiter = RateLimiter::new(1000, Duration::from_micros(100));
            times(calls, |_| limiter.try_acquire());
        }
        "async limited" => {
            let limited = fetch.rate_limited(&RateLimiter::new(1000, Duration::from_micros(100)));
            polled(calls, |id| limited.call(id));
        }
        "memo get" => {
            let memo = memo();
            times(calls, |_| memo.get(&7));
        }
        "async memo" => {
            let memoized = fetch.memoized(&memo());
            polled(calls, |_| memoized.call(7));
        }
        "async joined" => {
            let hang = |_: u64| pending::<Result<u64, String>>();
            let memoized = hang.memoized(&memo());
            let mut leader = pin!(memoized.call(8));
            let _ = leader.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            polled(calls, |_| memoized.call(8));
        }
        "async chain" => {
            let chain = fetch
                .rate_limited(&RateLimiter::new(1000, Duration::from_micros(100)))
                .retry_with(&policy)
                .timeout(SECOND)
                .logged()
                .timed("fetch");
            polled(calls, |id| chain.call(id));
        }
        "paced" => {
            let limiter = RateLimiter::builder().paced(1_000_000_000, SECOND).burst(1_000_000_000).build();
            times(calls, |_| limiter.try_acquire());
        }
        "memo evicting" => evicting(calls),
        _ => return None,
    }
    Some(())
}

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (case, calls) = (args.next().unwrap_or_default(), args.next().and_then(|calls| calls.parse().ok()));
    if calls.and_then(|calls| run(&case, calls)).is_none() {
        eprintln!("usage: instructions CASE CALLS");
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}
