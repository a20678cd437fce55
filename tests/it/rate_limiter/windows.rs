//! Windows of an exact limiter: all hold in real time, and a clock that goes back adds no permits.

use crate::support::{ms, paused, secs};
use decor::{Error, prelude::*};
use tokio::time::advance;

#[test]
#[cfg_attr(miri, ignore = "does not finish under Miri")]
fn many_threads_in_real_time_never_exceed_the_limit_of_a_window() {
    const LIMIT: usize = 50;
    const TASKS: usize = 50;
    const EACH: usize = 1_000;
    let period = ms(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let limiter = RateLimiter::new(u32::try_from(LIMIT).unwrap(), period);
    let begun = std::time::Instant::now();
    let tasks = (0..TASKS).map(|_| {
        let limiter = limiter.clone();
        runtime.spawn(async move {
            let mut admitted = Vec::with_capacity(EACH);
            for _ in 0..EACH {
                limiter.acquire().await;
                admitted.push(begun.elapsed());
            }
            admitted
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut admitted: Vec<_> = tasks.into_iter().flat_map(|task| runtime.block_on(task).unwrap()).collect();
    admitted.sort_unstable();

    // An admission is recorded when it was made, or later. Up to any moment, at most `limit`
    // admissions are recorded for each window that has begun. A window that exceeds its limit would
    // shift all later admissions to earlier times.
    let broken = (0_u32..).zip(admitted.chunks(LIMIT)).filter(|(windows, chunk)| chunk[0] < period * *windows);
    assert_eq!(broken.count(), 0);
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.cancelled, stats.waiting), (50_000, 0, 0));
}

/// The clocks of one test binary may differ: a paused runtime may be hours ahead of the next one.
#[test]
fn for_a_clock_that_goes_back_time_stands_still() {
    let limiter = paused().block_on(async {
        let limiter = RateLimiter::new(1, secs(1));
        advance(secs(3_600)).await;
        limiter.try_acquire().unwrap();
        limiter
    });
    paused().block_on(async {
        assert_eq!(limiter.try_acquire(), Err(Error::RateLimited { retry_after: secs(1) }), "time must stand still");
        advance(secs(3_602)).await;
        assert_eq!(limiter.try_acquire(), Ok(()), "time must go on from there");
    });
}
