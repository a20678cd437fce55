//! Decorators of streams: exact times, cancelled waits, and the types that they keep.

use crate::support::{ms, secs};
use decor::{
    Error,
    prelude::*,
    stream::{RateLimited, TimeoutEach},
};
use futures::{
    FutureExt as _, Stream, StreamExt as _,
    stream::{self, FusedStream, Iter},
};
use std::{
    future::pending,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};
use tokio_test::{assert_pending, task};

type Item = Result<u32, Error>;

/// Yields 1, 2, .. after these delays, and then hangs.
fn after<const N: usize>(delays: [u64; N]) -> Pin<Box<impl Stream<Item = Item>>> {
    let delays = stream::iter(delays.into_iter().map(ms).zip(1..));
    let items = delays.then(async |(delay, n)| {
        if !delay.is_zero() {
            sleep(delay).await;
        }
        Ok(n)
    });
    Box::pin(items.chain(stream::pending()))
}

fn timed_out(name: &'static str, after: Duration, label: Option<&'static str>) -> Item {
    Err(Error::TimedOut { name: name.into(), after, label })
}

/// Sets its flag when it is dropped.
struct DropFlag(Arc<AtomicBool>);

impl Drop for DropFlag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

mod timeouts {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_item_has_the_whole_limit() {
        let begun = Instant::now();
        let mut items = after([900, 900, 900]).timeout_each(secs(1));
        for n in 1..=3 {
            assert_eq!(items.next().await, Some(Ok(n)));
            assert_eq!(begun.elapsed(), ms(900 * u64::from(n)));
        }
        assert_eq!(items.next().await, Some(timed_out("stream", secs(1), None)));
        assert_eq!(begun.elapsed(), ms(3_700));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_item_has_its_own_limit() {
        let begun = Instant::now();
        let mut items = after([19_000]).timeout_each(secs(1)).first(secs(20)).named("tokens");
        assert_eq!(items.next().await, Some(Ok(1)));
        assert_eq!(items.next().await, Some(timed_out("tokens", secs(1), None)));
        assert_eq!(begun.elapsed(), secs(20));

        let mut items = after([21_000]).timeout_each(secs(1)).first(secs(20)).named("tokens");
        assert_eq!(items.next().await, Some(timed_out("tokens", secs(20), Some("first item"))));
        assert_eq!(begun.elapsed(), secs(40));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_limit_may_be_the_shorter_one() {
        let mut items = after([0, 5_000]).timeout_each(secs(10)).first(secs(1));
        assert_eq!(items.next().await, Some(Ok(1)));
        assert_eq!(items.next().await, Some(Ok(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_work_of_the_consumer_does_not_count() {
        let mut items = after([900, 900]).timeout_each(secs(1));
        for n in 1..=2 {
            sleep(secs(3_600)).await;
            let begun = Instant::now();
            assert_eq!(items.next().await, Some(Ok(n)));
            // The stream is not polled during the work, so its own delay begins here.
            assert_eq!(begun.elapsed(), ms(900));
        }
        sleep(secs(3_600)).await;
        let begun = Instant::now();
        assert_eq!(items.next().await, Some(timed_out("stream", secs(1), None)));
        assert_eq!(begun.elapsed(), secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_item_that_is_ready_wins_over_a_limit_that_has_passed() {
        let mut items = after([900]).timeout_each(secs(1));
        assert!(items.next().now_or_never().is_none());
        tokio::time::advance(secs(5)).await;
        assert_eq!(items.next().await, Some(Ok(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_runs_on_if_next_is_dropped() {
        let begun = Instant::now();
        let mut items = after([5_000]).timeout_each(secs(1));
        for _ in 0..3 {
            assert!(timeout(ms(300), items.next()).await.is_err());
        }
        assert_eq!(items.next().await, Some(timed_out("stream", secs(1), None)));
        assert_eq!(begun.elapsed(), secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_passes_drops_the_stream_and_ends() {
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = DropFlag(dropped.clone());
        let silent = stream::poll_fn(move |_| {
            let _ = &flag;
            Poll::<Option<Item>>::Pending
        });
        let mut items = silent.timeout_each(secs(1));
        assert!(!items.is_terminated());
        assert_eq!(items.next().await, Some(timed_out("stream", secs(1), None)));
        assert!(dropped.load(Ordering::Relaxed), "dropped before the error is seen");
        assert!(items.is_terminated());
        assert_eq!((items.next().await, items.next().await), (None, None));
        assert_eq!(items.size_hint(), (0, Some(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_the_stream_itself_passes_and_the_stream_goes_on() {
        let error = || Error::InvalidArgument { message: "bad".into() };
        let mut items = stream::iter([Err(error()), Ok(2)]).timeout_each(secs(1));
        assert_eq!(items.next().await, Some(Err(error())));
        assert_eq!(items.next().await, Some(Ok(2)));
        assert_eq!(items.next().await, None);
        assert!(items.is_terminated());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_stream_is_final_though_the_stream_begins_anew() {
        let mut polls = 0;
        let odd = stream::poll_fn(move |_| {
            polls += 1;
            Poll::Ready((polls % 2 == 1).then_some(Item::Ok(polls)))
        });
        let items = odd.timeout_each(secs(1));
        assert_eq!(items.chain(stream::empty()).collect::<Vec<_>>().await, [Ok(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_zero_allows_only_what_is_ready() {
        let begun = Instant::now();
        let mut items = after([0, 0, 1]).timeout_each(Duration::ZERO);
        assert_eq!((items.next().await, items.next().await), (Some(Ok(1)), Some(Ok(2))));
        assert_eq!(items.next().await, Some(timed_out("stream", Duration::ZERO, None)));
        assert_eq!(begun.elapsed(), Duration::ZERO);

        // A timer would wait for the next millisecond.
        tokio::time::advance(Duration::from_micros(300)).await;
        let begun = Instant::now();
        let mut items = after([1]).timeout_each(Duration::ZERO);
        assert_eq!(items.next().await, Some(timed_out("stream", Duration::ZERO, None)));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_ended_wakes_no_task() {
        let ends = after([500]).take(1);
        let mut items = task::spawn(ends.timeout_each(secs(1)));
        assert_pending!(items.poll_next());
        tokio::time::advance(ms(500)).await;
        assert_eq!(items.poll_next(), Poll::Ready(Some(Ok(1))));
        assert_eq!(items.poll_next(), Poll::Ready(None));
        tokio::time::advance(secs(5)).await;
        assert!(!items.is_woken());
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_limit_never_passes() {
        let mut items = after([1_000_000_000, 1]).timeout_each(Duration::MAX).first(Duration::MAX);
        assert_eq!((items.next().await, items.next().await), (Some(Ok(1)), Some(Ok(2))));
        assert!(timeout(secs(1_000_000_000), items.next()).await.is_err());
    }

    #[test]
    fn a_stream_without_a_wait_needs_no_runtime() {
        let mut items = task::spawn(stream::iter([Item::Ok(1)]).timeout_each(secs(1)));
        assert_eq!(items.poll_next(), Poll::Ready(Some(Ok(1))));
        assert_eq!(items.poll_next(), Poll::Ready(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_uses_up_the_budget_of_its_task_times_out() {
        let busy = stream::poll_fn(|cx| {
            while let Poll::Ready(step) = tokio::task::coop::poll_proceed(cx) {
                step.made_progress();
            }
            Poll::<Option<Item>>::Pending
        });
        let mut items = busy.timeout_each(secs(1));
        assert!(items.next().now_or_never().is_none());
        tokio::time::advance(secs(1)).await;
        assert_eq!(items.next().now_or_never(), Some(Some(timed_out("stream", secs(1), None))));
    }

    #[test]
    fn the_types_are_kept() {
        fn unpin<T: Unpin>(_: &T) {}
        fn send<T: Send + Sync>(_: &T) {}
        let items = stream::iter([Item::Ok(1)]).timeout_each(secs(1)).first(secs(2));
        unpin(&items);
        send(&items);
        assert_eq!(items.size_hint(), (0, Some(2)));
        assert_eq!(format!("{items:?}"), "TimeoutEach { name: \"stream\", each: 1s, first: Some(2s), .. }");
        let _: TimeoutEach<Iter<std::array::IntoIter<Item, 1>>> = items;
    }
}

mod limits {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn items_take_a_permit_each() {
        let limiter = RateLimiter::new(2, secs(1));
        let begun = Instant::now();
        let items = stream::iter(1..=5).rate_limited(&limiter).map(|n| (n, begun.elapsed()));
        let expected = [(1, ms(0)), (2, ms(0)), (3, secs(1)), (4, secs(1)), (5, secs(2))];
        assert_eq!(items.collect::<Vec<_>>().await, expected);
        assert_eq!(limiter.stats().admitted, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_does_not_age_while_the_stream_is_pending() {
        let limiter = RateLimiter::new(1, secs(1));
        let mut items = after([5_000, 0]).rate_limited(&limiter);
        let begun = Instant::now();
        assert!(items.next().now_or_never().is_none());
        assert_eq!(limiter.available(), 1, "no permit before the item");
        assert_eq!(items.next().await, Some(Ok(1)));
        assert_eq!(begun.elapsed(), secs(5));
        assert_eq!(items.next().await, Some(Ok(2)));
        assert_eq!(begun.elapsed(), secs(6), "a second after the permit of the first item");
    }

    #[test]
    fn a_stream_without_a_wait_needs_no_runtime() {
        let mut ids = task::spawn(stream::iter([1]).rate_limited(&RateLimiter::new(1, secs(1))));
        assert_eq!(ids.poll_next(), Poll::Ready(Some(1)));
        assert_eq!(ids.poll_next(), Poll::Ready(None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_stream_takes_no_permit() {
        let limiter = RateLimiter::new(3, secs(1));
        assert_eq!(stream::iter(1..=2).rate_limited(&limiter).collect::<Vec<_>>().await, [1, 2]);
        assert_eq!(limiter.available(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_next_keeps_the_item_and_its_place() {
        let limiter = RateLimiter::new(1, secs(1));
        limiter.acquire().await;
        let polls = Arc::new(AtomicU32::new(0));
        let counter = polls.clone();
        let ids = stream::poll_fn(move |_| Poll::Ready(Some(counter.fetch_add(1, Ordering::Relaxed))));
        let mut ids = ids.rate_limited(&limiter);
        let begun = Instant::now();
        assert!(timeout(ms(300), ids.next()).await.is_err());
        assert_eq!(limiter.waiting(), 1);
        let late = tokio::spawn({
            let limiter = limiter.clone();
            async move {
                limiter.acquire().await;
                begun.elapsed()
            }
        });
        tokio::task::yield_now().await;
        assert_eq!(limiter.waiting(), 2);
        assert_eq!(ids.next().await, Some(0));
        assert_eq!(begun.elapsed(), secs(1));
        assert_eq!(polls.load(Ordering::Relaxed), 1, "not polled while an item waits");
        assert_eq!(late.await.unwrap(), secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_stream_leaves_the_queue() {
        let limiter = RateLimiter::new(1, secs(1));
        limiter.acquire().await;
        let mut ids = stream::iter(1..).rate_limited(&limiter);
        assert!(ids.next().now_or_never().is_none());
        assert_eq!(limiter.waiting(), 1);
        drop(ids);
        assert_eq!(limiter.waiting(), 0);
        assert_eq!((limiter.stats().admitted, limiter.stats().cancelled), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_comes_early_leaves_no_timer_behind() {
        let limiter = RateLimiter::new(1, secs(10));
        limiter.acquire().await;
        let mut ids = task::spawn(stream::iter(1..).rate_limited(&limiter));
        assert_pending!(ids.poll_next());
        limiter.refund(1);
        assert!(ids.is_woken());
        assert_eq!(ids.poll_next(), Poll::Ready(Some(1)));
        tokio::time::advance(secs(10)).await;
        assert!(!ids.is_woken());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_with_an_item_that_waits_has_not_ended() {
        let limiter = RateLimiter::new(1, secs(1));
        limiter.acquire().await;
        let mut last = task::spawn(stream::once(std::future::ready(1)).rate_limited(&limiter));
        assert_pending!(last.poll_next());
        assert!(!last.is_terminated());
        tokio::time::advance(secs(1)).await;
        assert_eq!(last.poll_next(), Poll::Ready(Some(1)));
        assert!(last.is_terminated());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_limiter_leaves_an_item_pending() {
        let limiter = RateLimiter::new(1, secs(1));
        let mut ids = task::spawn(stream::iter(1..).rate_limited(&limiter));
        assert_eq!(ids.poll_next(), Poll::Ready(Some(1)));
        limiter.close();
        assert_pending!(ids.poll_next());
    }

    #[test]
    fn the_types_are_kept() {
        fn unpin<T: Unpin>(_: &T) {}
        fn send<T: Send + Sync>(_: &T) {}
        let limiter = RateLimiter::new(1, secs(1));
        let mut ids = task::spawn(stream::iter([1, 2]).fuse().rate_limited(&limiter));
        unpin(&*ids);
        send(&*ids);
        assert_eq!(ids.size_hint(), (2, Some(2)));
        paused(|| {
            assert_eq!(ids.poll_next(), Poll::Ready(Some(1)));
            assert_pending!(ids.poll_next());
        });
        assert_eq!(ids.size_hint(), (1, Some(1)), "the item that waits counts");
        assert!(!ids.is_terminated());
        assert_eq!(format!("{:?}", *ids), "RateLimited { holds_item: true, .. }");
        let _: RateLimited<Iter<std::array::IntoIter<u8, 1>>> = stream::iter([1_u8]).rate_limited(&limiter);
    }

    fn paused(test: impl FnOnce()) {
        crate::support::paused().block_on(async { test() });
    }
}

/// The order of the two decorators decides if the wait for a permit counts.
#[tokio::test(start_paused = true)]
async fn a_time_limit_before_the_permits_does_not_count_their_waits() {
    let begun = Instant::now();
    let limiter = RateLimiter::new(1, secs(10));
    let mut items = after([0, 0]).timeout_each(secs(1)).rate_limited(&limiter);
    assert_eq!((items.next().await, items.next().await), (Some(Ok(1)), Some(Ok(2))));
    assert_eq!(begun.elapsed(), secs(10));

    let begun = Instant::now();
    let limiter = RateLimiter::new(1, secs(10));
    let mut items = after([0, 0]).rate_limited(&limiter).timeout_each(secs(1));
    assert_eq!(items.next().await, Some(Ok(1)));
    assert_eq!(items.next().await, Some(timed_out("stream", secs(1), None)));
    assert_eq!((begun.elapsed(), limiter.waiting()), (secs(1), 0));
}

/// All traits with methods on streams at once: no call is ambiguous.
#[tokio::test(start_paused = true)]
async fn the_prelude_goes_with_the_stream_traits_of_futures() {
    let limiter = RateLimiter::new(10, secs(1));
    let items = stream::iter([Item::Ok(1), Ok(2)])
        .rate_limited(&limiter)
        .timeout_each(secs(1))
        .map(|item| item.map(|n| n * 10))
        .filter(|item| std::future::ready(item.is_ok()));
    assert_eq!(pin!(items).next().await, Some(Ok(10)));
    let never = pending::<Item>().into_stream().timeout_each(ms(5));
    assert_eq!(pin!(never).next().await, Some(timed_out("stream", ms(5), None)));
}

/// Pages of an API: a decorated function is the step of `try_unfold`.
#[tokio::test(start_paused = true)]
async fn a_decorated_function_is_a_step_of_try_unfold() {
    let calls = Arc::new(AtomicU32::new(0));
    let get_page = {
        let calls = calls.clone();
        move |page: u32| {
            let first = calls.fetch_add(1, Ordering::Relaxed) == 0;
            async move { if first { Err("busy".to_owned()) } else { Ok((vec![page * 10, page * 10 + 1], page < 3)) } }
        }
    };
    let get_page = get_page.retry_with(RetryPolicy::fixed(secs(1))).timeout(secs(10));
    let begun = Instant::now();
    let pages = stream::try_unfold(Some(1), async |page| {
        let Some(page) = page else { return Ok::<_, String>(None) };
        let (items, has_more) = get_page.call(page).await?;
        Ok(Some((items, has_more.then_some(page + 1))))
    });
    let pages = pages.collect::<Vec<_>>().await;
    assert_eq!(pages, [Ok(vec![10, 11]), Ok(vec![20, 21]), Ok(vec![30, 31])]);
    assert_eq!((begun.elapsed(), calls.load(Ordering::Relaxed)), (secs(1), 4));
}
