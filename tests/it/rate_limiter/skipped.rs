//! Waiters that are not polled after they were woken, and are skipped.

use crate::support::{cases, millis, ms, paused, secs};
use decor::{future::Acquire, prelude::*};
use proptest::prelude::*;
use std::collections::BTreeSet;
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task};

type Waiting<'l> = task::Spawn<Acquire<'l>>;

/// Waiters that have joined the queue, in this order.
fn joined(limiter: &RateLimiter, number: usize) -> Vec<Waiting<'_>> {
    (0..number)
        .map(|_| {
            let mut waiter = task::spawn(limiter.acquire());
            assert_pending!(waiter.poll());
            waiter
        })
        .collect()
}

/// The limit is one permit per 100 ms. Waiters 1 and 2 are late by more than 10 ms, so waiter 3 is
/// admitted first.
#[tokio::test(start_paused = true)]
async fn two_skipped_waiters_are_admitted_in_their_order() {
    for back in [[0, 1], [1, 0]] {
        let limiter = RateLimiter::new(1, ms(100));
        limiter.acquire().await;
        let begun = Instant::now();
        let mut slow = joined(&limiter, 2);
        limiter.acquire().await;
        assert_eq!((limiter.stats().skipped, limiter.waiting()), (2, 0));
        // The third waiter rechecks at 300 ms plus 1 ms for each period, and skips both others
        // 10 ms after that.
        assert_eq!(millis(begun.elapsed()), 314);

        let mut newcomer = task::spawn(limiter.acquire());
        assert_pending!(newcomer.poll());
        for (waiting, waiter) in (2..).zip(back) {
            assert_pending!(slow[waiter].poll());
            assert_eq!(limiter.waiting(), waiting);
        }
        for (turn, waiter) in (1..).zip(slow.iter_mut().chain([&mut newcomer])) {
            waiter.await;
            assert_eq!(millis(begun.elapsed()), 314 + turn * 100, "{back:?}");
        }
        assert_eq!((limiter.stats().admitted, limiter.waiting()), (5, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_may_be_skipped_again_and_keeps_its_place() {
    let limiter = RateLimiter::new(1, ms(100));
    limiter.acquire().await;
    let mut slow = joined(&limiter, 3);
    for round in 1..4 {
        limiter.acquire().await;
        assert_eq!((limiter.stats().skipped, limiter.waiting()), (3 * round, 0));
        for waiter in slow.iter_mut().rev() {
            assert_pending!(waiter.poll());
        }
        assert_eq!(limiter.waiting(), 3);
    }
    let begun = Instant::now();
    for (turn, waiter) in (1..).zip(&mut slow) {
        waiter.await;
        assert_eq!(begun.elapsed(), ms(100) * turn);
    }
}

#[tokio::test(start_paused = true)]
async fn a_skipped_waiter_may_be_dropped_before_or_after_it_is_back() {
    let limiter = RateLimiter::new(1, ms(100));
    limiter.acquire().await;
    let mut slow = joined(&limiter, 4);
    limiter.acquire().await;
    let begun = Instant::now();
    drop(slow.remove(0));
    for waiter in &mut slow {
        assert_pending!(waiter.poll());
    }
    drop(slow.remove(1));
    for (turn, waiter) in (1..).zip(&mut slow) {
        waiter.await;
        assert_eq!(begun.elapsed(), ms(100) * turn);
    }
    let stats = limiter.stats();
    assert_eq!((stats.admitted, stats.cancelled, stats.skipped, stats.waiting), (4, 2, 4, 0));
}

/// The limit is lowered below the number of permits that the head wants, so the head would be
/// refused. The head is never polled.
#[tokio::test(start_paused = true)]
async fn a_head_above_a_lowered_limit_that_is_never_polled_is_skipped() {
    let limiter = RateLimiter::new(5, secs(1));
    limiter.charge(5);
    let mut dead = task::spawn(limiter.acquire_many(5));
    assert_pending!(dead.poll());
    limiter.set_limit(2, secs(1));
    let begun = Instant::now();
    tokio::time::timeout(secs(60), limiter.acquire()).await.expect("the head must be skipped");
    assert_eq!(begun.elapsed(), secs(1));
    assert_eq!(limiter.stats().skipped, 1);
    let refused = assert_ready!(dead.poll()).unwrap_err();
    assert_eq!(refused.to_string(), "invalid argument: 5 permits at once, but the limit is 2 per 1s");
}

#[derive(Debug, Clone)]
struct Crowd {
    paced: bool,
    limit: u32,
    period: u64,
    /// An entry for each waiter, in order: `true` if the waiter is asleep at first.
    asleep: Vec<bool>,
    newcomers: usize,
    /// Seed for the order in which waiters come back, and for the poll order of waiters that are
    /// woken together.
    order: u64,
}

fn any_crowd() -> impl Strategy<Value = Crowd> {
    let asleep = prop::collection::vec(any::<bool>(), 1..9);
    (any::<bool>(), 1_u32..4, 1_u64..60, asleep, 0_usize..4, any::<u64>()).prop_map(
        |(paced, limit, period, asleep, newcomers, order)| Crowd { paced, limit, period, asleep, newcomers, order },
    )
}

/// The limiter's waiters. Each is polled when it is woken, unless it is asleep.
struct Polled<'l> {
    waiters: Vec<Option<Waiting<'l>>>,
    asleep: BTreeSet<usize>,
    admitted: Vec<usize>,
    order: u64,
}

impl Polled<'_> {
    fn draw(&mut self, bound: usize) -> usize {
        self.order = self.order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.order >> 33).unwrap() % bound
    }

    fn poll(&mut self, n: usize) {
        if self.waiters[n].as_mut().is_some_and(|waiter| waiter.poll().is_ready()) {
            self.waiters[n] = None;
            self.admitted.push(n);
        }
    }

    fn serve(&mut self) {
        loop {
            let is_woken = |n: &usize| self.waiters[*n].as_ref().is_some_and(task::Spawn::is_woken);
            let woken: Vec<_> = (0..self.waiters.len()).filter(|n| is_woken(n) && !self.asleep.contains(n)).collect();
            if woken.is_empty() {
                break;
            }
            let next = woken[self.draw(woken.len())];
            self.poll(next);
        }
    }
}

async fn admissions(crowd: &Crowd) -> (Vec<usize>, Vec<usize>) {
    let period = ms(crowd.period);
    let limiter =
        if crowd.paced { RateLimiter::paced(crowd.limit, period) } else { RateLimiter::new(crowd.limit, period) };
    limiter.charge(crowd.limit);
    let number = crowd.asleep.len();
    let waiters: Vec<_> = joined(&limiter, number).into_iter().map(Some).collect();
    let asleep: BTreeSet<_> = (0..number).filter(|n| crowd.asleep[*n]).collect();
    let mut polled = Polled { waiters, asleep, admitted: Vec::new(), order: crowd.order };
    while polled.admitted.len() + polled.asleep.len() < number {
        advance(ms(1)).await;
        polled.serve();
    }
    let awake = std::mem::take(&mut polled.admitted);

    limiter.pause_for(period);
    for _ in 0..crowd.newcomers {
        polled.waiters.extend(joined(&limiter, 1).into_iter().map(Some));
    }
    let mut back: Vec<_> = std::mem::take(&mut polled.asleep).into_iter().collect();
    while !back.is_empty() {
        let next = back.swap_remove(polled.draw(back.len()));
        polled.poll(next);
    }
    while limiter.waiting() > 0 {
        advance(ms(1)).await;
        polled.serve();
    }
    (awake, polled.admitted)
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn waiters_that_come_back_are_admitted_in_order_of_arrival(crowd in any_crowd()) {
        let runtime = paused();
        let (awake, back) = runtime.block_on(admissions(&crowd));
        let number = crowd.asleep.len();
        prop_assert_eq!(awake, (0..number).filter(|n| !crowd.asleep[*n]).collect::<Vec<_>>());
        let newcomers = number..number + crowd.newcomers;
        prop_assert_eq!(back, (0..number).filter(|n| crowd.asleep[*n]).chain(newcomers).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_that_are_never_polled_again_are_skipped_in_time() {
    let limiter = RateLimiter::new(1, secs(1));
    limiter.acquire().await;
    let begun = Instant::now();
    let mut dead: Vec<_> = (0..3).map(|_| task::spawn(limiter.acquire())).collect();
    for waiter in &mut dead {
        assert_pending!(waiter.poll());
    }
    // This waiter's own turn would come after 4 s.
    limiter.acquire().await;
    // The waiter rechecks 1 ms later for each period, and skips all three others at once 10 ms
    // after that.
    assert!(begun.elapsed() <= secs(4) + ms(5 + 10), "{:?}", begun.elapsed());
    assert_eq!(limiter.stats().skipped, 3);

    // Skipped waiters stand at the front again when they are polled.
    let mut newcomer = task::spawn(limiter.acquire());
    assert_pending!(newcomer.poll());
    assert_pending!(dead[2].poll());
    advance(secs(1)).await;
    assert_pending!(newcomer.poll());
    assert_ready!(dead[2].poll());
}

/// A waiter that skips a silent one wakes the next, because the next one's turn is now earlier than
/// it had computed.
#[tokio::test(start_paused = true)]
async fn the_turn_of_a_silent_waiter_is_not_waited_for() {
    let limiter = RateLimiter::new(2, secs(1));
    let begun = Instant::now();
    limiter.acquire().await;
    advance(ms(500)).await;
    limiter.acquire().await;
    let mut dead = task::spawn(limiter.acquire());
    assert_pending!(dead.poll());
    let next = limiter.clone();
    let next = tokio::spawn(async move {
        next.acquire_many(2).await.unwrap();
        begun.elapsed()
    });
    for at in [1000, 1010] {
        tokio::time::sleep_until(begun + ms(at)).await;
        assert!(limiter.try_acquire().is_err());
    }
    // If the silent waiter had taken its permit, this would be 2 s.
    assert_eq!(next.await.unwrap(), ms(1500));
}

/// Makes a waiter that was woken with its permit free. The waiter is never polled again.
async fn called_in_vain(limiter: &RateLimiter) -> task::Spawn<Acquire<'_>> {
    limiter.acquire().await;
    let mut dead = task::spawn(limiter.acquire());
    assert_pending!(dead.poll());
    advance(secs(1)).await;
    assert!(limiter.try_acquire().is_err(), "the waiter was woken only now");
    dead
}

#[tokio::test(start_paused = true)]
async fn silent_waiters_do_not_keep_out_calls_that_only_try() {
    let limiter = RateLimiter::new(1, secs(1));
    let _dead = called_in_vain(&limiter).await;
    advance(ms(9)).await;
    assert!(limiter.try_acquire().is_err());
    advance(ms(1)).await;
    assert_eq!(limiter.try_acquire(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_new_call_does_not_wait_behind_silent_waiters_only() {
    let limiter = RateLimiter::new(1, secs(1));
    let _dead = called_in_vain(&limiter).await;
    advance(ms(10)).await;
    assert_ready!(task::spawn(limiter.acquire()).poll());
    assert_eq!((limiter.stats().admitted, limiter.stats().delayed, limiter.stats().skipped), (2, 0, 1));
}
