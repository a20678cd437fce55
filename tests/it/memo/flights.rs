//! Single flight. Covers leaders, waiters, and the waiter that takes over an abandoned load.

use crate::support::{listen, ms, secs};
use decor::{Error, Failure, Memo, prelude::*};
use futures::{FutureExt as _, future::join_all};
use std::{
    future::{Future, pending, poll_fn, ready},
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
};
use tokio::{
    task::JoinSet,
    time::{Instant, advance, sleep},
};
use tokio_test::{assert_pending, assert_ready, assert_ready_eq, task};

/// Counts calls, and the most that ran at a time.
#[derive(Debug, Default, Clone)]
struct Calls(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

/// A call under way, until it is dropped.
struct UnderWay(Arc<Counts>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, SeqCst);
    }
}

impl Calls {
    /// Begins a call, and returns its number from 1.
    fn begin(&self) -> (usize, UnderWay) {
        self.0.most.fetch_max(self.0.under_way.fetch_add(1, SeqCst) + 1, SeqCst);
        (self.0.begun.fetch_add(1, SeqCst) + 1, UnderWay(Arc::clone(&self.0)))
    }

    fn begun(&self) -> usize {
        self.0.begun.load(SeqCst)
    }

    fn most_at_a_time(&self) -> usize {
        self.0.most.load(SeqCst)
    }
}

const CALLERS: usize = 1_000;

fn polled_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs the calls in tasks of their own.
async fn all<F>(call: impl Fn() -> F) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS {
        tasks.spawn(call());
    }
    tasks.join_all().await
}

async fn check_one_load_for_a_thousand_callers() {
    let (memo, calls) = (Memo::ttl(secs(300)), Calls::default());
    let slow = |n: u64| {
        let call = calls.begin();
        async move {
            sleep(ms(100)).await;
            let (number, _under_way) = call;
            n * 10 + number as u64
        }
    };
    let slow = slow.memoized(&memo);
    let begun = Instant::now();
    assert_eq!(join_all((0..CALLERS).map(|_| slow.call(7))).await, [71; CALLERS], "on a cold key");
    assert_eq!(begun.elapsed(), ms(100));
    advance(secs(300)).await;
    assert_eq!(join_all((0..CALLERS).map(|_| slow.call(7))).await, [72; CALLERS], "on an expired one");
    let stats = memo.stats();
    assert_eq!((stats.hits, stats.misses, stats.coalesced, stats.loads), (0, 2, 2 * (CALLERS as u64 - 1), 2));
    assert_eq!((calls.begun(), calls.most_at_a_time(), stats.expirations), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_of_a_cold_or_expired_key_share_one_load() {
    check_one_load_for_a_thousand_callers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_on_four_threads_share_one_load() {
    for round in 0..20_u64 {
        let (memo, calls) = (Memo::ttl(secs(300)), Calls::default());
        let answers = all(|| {
            let calls = calls.clone();
            memo.get_or_load(round, move || {
                let call = calls.begin();
                async move {
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                    call.0
                }
            })
        })
        .await;
        assert_eq!(answers, [1; CALLERS]);
        let stats = memo.stats();
        assert_eq!((calls.begun(), stats.loads, stats.misses), (1, 1, 1));
        assert_eq!(stats.hits + stats.coalesced, CALLERS as u64 - 1);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_dropped_leader_one_waiter_takes_over() {
    let (memo, calls) = (Memo::ttl(secs(300)), Calls::default());
    let call = || {
        let calls = calls.clone();
        task::spawn(memo.get_or_load(7, move || async move {
            let (number, _under_way) = calls.begin();
            sleep(secs(1)).await;
            number
        }))
    };
    let mut leader = call();
    assert_pending!(leader.poll());
    let mut waiters: Vec<_> = (1..CALLERS).map(|_| call()).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    advance(ms(500)).await;
    drop(leader);
    assert!(
        waiters.iter().all(task::Spawn::is_woken),
        "all waiters are woken, because one alone might never be polled again"
    );
    for waiter in waiters.iter_mut().rev() {
        assert_pending!(waiter.poll());
    }
    assert_eq!(calls.begun(), 2);
    advance(secs(1)).await;
    // The waiter that was polled first leads now.
    assert!(waiters[0..CALLERS - 2].iter().all(|waiter| !waiter.is_woken()));
    assert_ready_eq!(waiters.last_mut().unwrap().poll(), 2);
    for waiter in &mut waiters[..CALLERS - 2] {
        assert_ready_eq!(waiter.poll(), 2);
    }
    assert_eq!((calls.begun(), calls.most_at_a_time()), (2, 1));
    let stats = memo.stats();
    assert_eq!((stats.misses, stats.coalesced, stats.loads, stats.loads_abandoned), (1, CALLERS as u64 - 1, 2, 1));
}

/// The first two waiters are never polled again, and the third takes over.
#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_never_polled_again_blocks_no_other() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leader = task::spawn(memo.get_or_load(7, pending::<u8>));
    assert_pending!(leader.poll());
    let mut dead: Vec<_> = (0..2).map(|_| Box::pin(memo.get_or_load(7, || ready(1)))).collect();
    for dead in &mut dead {
        assert!(polled_once(dead.as_mut()).is_pending());
    }
    let alive = tokio::spawn(memo.get_or_load(7, || ready(2)));
    tokio::task::yield_now().await;
    drop(leader);
    assert_eq!(tokio::time::timeout(secs(1), alive).await.unwrap().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_reaches_only_its_caller_and_a_waiter_takes_over() {
    let (memo, calls) = (Memo::ttl(secs(300)), Calls::default());
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS {
        let calls = calls.clone();
        tasks.spawn(memo.get_or_load(7, move || async move {
            let (number, _under_way) = calls.begin();
            sleep(secs(1)).await;
            assert!(number > 1, "boom");
            number
        }));
    }
    let (mut panics, mut answers) = (0, Vec::new());
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(answer) => answers.push(answer),
            Err(error) => {
                assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "boom");
                panics += 1;
            }
        }
    }
    assert_eq!((panics, answers), (1, vec![2; CALLERS - 1]));
    assert_eq!((calls.begun(), calls.most_at_a_time()), (2, 1));
    let stats = memo.stats();
    assert_eq!((stats.loads, stats.loads_abandoned, stats.loading), (2, 1, 0));
}

async fn explode() -> u8 {
    tokio::task::yield_now().await;
    panic!("boom")
}

/// The waiter does not wait until the panicked future is dropped.
#[tokio::test]
async fn a_waiter_takes_over_before_a_panicked_future_is_dropped() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut panics = Box::pin(memo.get_or_load(7, explode));
    assert!(polled_once(panics.as_mut()).is_pending());
    let mut waiter = task::spawn(memo.get_or_load(7, || ready(1)));
    assert_pending!(waiter.poll());
    AssertUnwindSafe(&mut panics).catch_unwind().await.unwrap_err();
    assert!(waiter.is_woken());
    assert_ready_eq!(waiter.poll(), 1);
    drop(panics);
    assert_eq!((memo.get(&7), memo.stats().loads_abandoned), (Some(1), 1));
}

#[tokio::test]
async fn a_function_that_panics_before_it_returns_a_future_leaves_no_load() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let explode = || -> std::future::Ready<u8> { panic!("boom") };
    AssertUnwindSafe(memo.get_or_load(7, explode)).catch_unwind().await.unwrap_err();
    assert_eq!(memo.get_or_load(7, || ready(1)).await, 1);
}

#[tokio::test]
async fn a_panic_of_ttl_by_or_weigher_is_the_calls_panic() {
    let memo = Memo::builder().ttl_by(|_: &u8, value: &u8| if *value == 0 { panic!("boom") } else { secs(1) }).build();
    AssertUnwindSafe(memo.get_or_load(7, || ready(0))).catch_unwind().await.unwrap_err();
    assert_eq!(memo.get_or_load(7, || ready(1)).await, 1);
    let weighs = Memo::builder().weigher(|_: &u8, value: &u8| if *value == 0 { panic!("boom") } else { 1 }).build();
    AssertUnwindSafe(weighs.get_or_load(7, || ready(0))).catch_unwind().await.unwrap_err();
    assert_eq!(weighs.get_or_load(7, || ready(1)).await, 1);
}

/// A value with a `Clone` that panics after a number of clones.
#[derive(Debug)]
struct Brittle(Arc<AtomicUsize>);

impl Clone for Brittle {
    fn clone(&self) -> Self {
        let left = self.0.fetch_sub(1, SeqCst);
        assert!(left > 0, "boom");
        Self(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn a_clone_that_panics_leaves_no_call_waiting() {
    for clones in 0..6 {
        let memo: Memo<u8, Brittle> = Memo::ttl(secs(300));
        let left = Arc::new(AtomicUsize::new(clones));
        let load = || {
            let left = Arc::clone(&left);
            async move {
                tokio::task::yield_now().await;
                Brittle(left)
            }
        };
        let mut leader = task::spawn(memo.get_or_load(7, load));
        assert_pending!(leader.poll());
        let mut waiter = task::spawn(memo.get_or_load(7, load));
        assert_pending!(waiter.poll());
        let led = std::panic::catch_unwind(AssertUnwindSafe(|| assert_ready!(leader.poll())));
        drop(leader);
        let stats = memo.stats();
        let is_abandoned = led.is_err() && stats.entries == 0;
        assert_eq!((stats.loads_abandoned, stats.loading), (is_abandoned.into(), 0), "after {clones} clones");
        left.store(100, SeqCst);
        assert!(waiter.is_woken(), "after {clones} clones");
        if waiter.poll().is_pending() {
            assert!(led.is_err());
            assert_ready!(waiter.poll());
        }
    }
}

struct Wakes<F: Fn()>(F);

impl<F: Fn() + Send + Sync> Wake for Wakes<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// A call drops all that it holds before it reports its end, completed or dropped.
#[tokio::test]
async fn a_load_is_dropped_before_its_end_is_reported() {
    for is_dropped in [false, true] {
        let (memo, calls) = (Memo::<u8, usize>::ttl(secs(300)), Calls::default());
        let mut polled = 0;
        let under_way = calls.begin();
        // Unlike an async block, this future keeps its captures after it is ready.
        let load = poll_fn(move |cx| {
            polled += 1;
            cx.waker().wake_by_ref();
            let (number, _held) = &under_way;
            if polled < 2 { Poll::Pending } else { Poll::Ready(*number) }
        });
        let mut leader = task::spawn(load.memoized_by(&memo, 7));
        assert_pending!(leader.poll());
        let at_the_wake = Arc::new(AtomicUsize::new(usize::MAX));
        let waker = Waker::from(Arc::new(Wakes({
            let (calls, at_the_wake) = (calls.clone(), Arc::clone(&at_the_wake));
            move || at_the_wake.store(calls.0.under_way.load(SeqCst), SeqCst)
        })));
        let mut waiter = pin!(memo.get_or_load(7, pending::<usize>));
        assert!(waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        if is_dropped {
            drop(leader);
        } else {
            assert_ready_eq!(leader.poll(), 1);
        }
        assert_eq!(at_the_wake.load(SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn with_isolated_errors_waiters_load_one_after_the_other() {
    let (memo, calls) = (Memo::<u8, u8>::ttl(secs(300)), Calls::default());
    let answers = all(|| {
        let calls = calls.clone();
        let load = move || async move {
            let (number, _under_way) = calls.begin();
            sleep(ms(1)).await;
            Err(number)
        };
        memo.get_or_load(7, load.lifted()).isolating_errors()
    })
    .await;
    let mut errors: Vec<_> = answers.into_iter().map(|answer| *answer.unwrap_err().call().unwrap()).collect();
    errors.sort_unstable();
    assert_eq!(errors, (1..=CALLERS).collect::<Vec<_>>(), "each caller gets an error of its own");
    assert_eq!((calls.begun(), calls.most_at_a_time()), (CALLERS, 1));
    let stats = memo.stats();
    assert_eq!((stats.misses, stats.coalesced), (1, CALLERS as u64 - 1));
    assert_eq!((stats.loads, stats.load_failures), (CALLERS as u64, CALLERS as u64));
}

#[tokio::test(start_paused = true)]
async fn the_first_success_answers_all_remaining_waiters() {
    let (memo, calls) = (Memo::<u8, usize>::ttl(secs(300)), Calls::default());
    let answers = all(|| {
        let calls = calls.clone();
        let load = move || async move {
            let (number, _under_way) = calls.begin();
            sleep(ms(1)).await;
            if number < 5 { Err(number) } else { Ok(number) }
        };
        memo.get_or_load(7, load.lifted()).isolating_errors()
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 4);
    assert!(answers.iter().all(|answer| answer.is_err() || *answer == Ok(5)));
    assert_eq!((calls.begun(), calls.most_at_a_time()), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_shared_error_needs_one_load() {
    let (memo, calls) = (Memo::<u8, u8>::ttl(secs(300)), Calls::default());
    let failing = |_: u8| {
        let call = calls.begin();
        async move {
            sleep(ms(1)).await;
            Err(format!("call {}", call.0))
        }
    };
    let failing = failing.memoized(&memo).sharing_errors();
    let answers = join_all((0..CALLERS).map(|_| failing.call(7))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err() == "call 1"));
    assert_eq!(calls.begun(), 1);
    let stats = memo.stats();
    assert_eq!((stats.misses, stats.coalesced), (1, CALLERS as u64 - 1));
    assert_eq!((stats.loads, stats.load_failures, stats.entries), (1, 1, 0));
    // The error was shared, but not kept.
    assert_eq!(failing.call(7).await.unwrap_err(), "call 2");
}

#[tokio::test(start_paused = true)]
async fn a_none_can_be_shared_too() {
    let (memo, calls) = (Memo::<u8, u8>::ttl(secs(300)), Calls::default());
    let finds_none = |_: u8| {
        let call = calls.begin();
        async move {
            sleep(ms(1)).await;
            drop(call);
            None
        }
    };
    let shared = finds_none.memoized(&memo).sharing_errors();
    assert_eq!(join_all((0..10).map(|_| shared.call(7))).await, [None; 10]);
    assert_eq!(calls.begun(), 1);
    let told = finds_none.memoized(&memo);
    assert_eq!(join_all((0..10).map(|_| told.call(7))).await, [None; 10]);
    assert_eq!(calls.begun(), 2);
    let own = finds_none.memoized(&memo).isolating_errors();
    assert_eq!(join_all((0..10).map(|_| own.call(7))).await, [None; 10]);
    assert_eq!(calls.begun(), 12);
}

/// A call that waits for another function's load, and cannot share its error, gets the text.
#[tokio::test(start_paused = true)]
async fn errors_are_shared_between_functions_that_share_errors_of_one_type() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let calls: [Calls; 3] = Default::default();
    let failing = |calls: &Calls| {
        let calls = calls.clone();
        move |_: u8| {
            let call = calls.begin();
            async move {
                sleep(ms(1)).await;
                Err(Failure::Call(call.0))
            }
        }
    };
    let number = failing(&calls[0]).named("load").memoized(&memo).sharing_errors();
    let text = failing(&calls[1]).map_err(|number: Failure<usize>| number.to_string()).memoized(&memo).sharing_errors();
    let own = failing(&calls[2]).memoized(&memo).isolating_errors();
    let numbers = join_all((0..3).map(|_| number.call(7)));
    let texts = join_all((0..3).map(|_| text.call(7)));
    let owns = join_all((0..3).map(|_| own.call(7)));
    let (numbers, texts, owns) = tokio::join!(numbers, texts, owns);
    assert_eq!(numbers, [1; 3].map(|n| Err(Failure::Call(n))));
    let told = format!("loading failed in another call of {}: 1", number.name());
    assert_eq!(texts, [0; 3].map(|_| Err(told.clone())));
    assert_eq!(owns, [1, 2, 3].map(|n| Err(Failure::Call(n))));
    assert_eq!(calls.each_ref().map(Calls::begun), [1, 0, 3]);

    let (texts, numbers) = tokio::join!(text.call(8), number.call(8));
    assert_eq!(texts, Err("1".to_owned()));
    assert!(matches!(numbers, Err(Failure::Policy(Error::LoadFailed { message, .. })) if message == "1"));
}

// ---- callers that time out ----

/// Returns a function with loads of 5 s.
fn slow(calls: &Calls) -> impl Fn(u8) -> futures::future::BoxFuture<'static, Result<usize, decor::Error>> + Clone {
    let calls = calls.clone();
    move |_| {
        let calls = calls.clone();
        async move {
            let (number, _under_way) = calls.begin();
            sleep(secs(5)).await;
            Ok(number)
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn inline_loads_of_callers_that_time_out_never_fill_the_memo() {
    let (memo, calls) = (Memo::<u8, usize>::ttl(secs(300)), Calls::default());
    let impatient = slow(&calls).memoized(&memo).timeout(secs(2));
    for _ in 0..20 {
        assert!(impatient.call(7).await.is_err());
    }
    assert_eq!((calls.begun(), memo.stats().loads_abandoned, memo.stats().entries), (20, 20, 0));
}

#[tokio::test(start_paused = true)]
async fn detached_loads_of_callers_that_time_out_fill_the_memo() {
    let (memo, calls) = (Memo::<u8, usize>::ttl(secs(300)), Calls::default());
    let impatient = slow(&calls).memoized(&memo).detached().timeout(secs(2));
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(impatient.call(7).await.is_ok());
    }
    // Callers time out at 2 and 4 s, the next is answered at 5 s, and all later ones at once.
    assert_eq!(answers, [vec![false; 2], vec![true; 18]].concat());
    let stats = memo.stats();
    assert_eq!((calls.begun(), stats.loads, stats.misses, stats.coalesced, stats.hits), (1, 1, 1, 2, 17));
    assert_eq!(stats.loads_abandoned, 0);
}

#[tokio::test(start_paused = true)]
async fn a_detached_load_goes_on_when_its_callers_are_dropped() {
    let (memo, calls) = (Memo::<u8, usize>::ttl(secs(300)), Calls::default());
    let detached = slow(&calls).memoized(&memo).detached();
    let mut callers: Vec<_> = (0..CALLERS).map(|_| task::spawn(detached.call(7))).collect();
    for caller in &mut callers {
        assert_pending!(caller.poll());
    }
    drop(callers);
    sleep(secs(5) + ms(1)).await;
    assert_eq!(memo.get(&7), Some(1));
    advance(secs(299) + ms(999)).await;
    assert_eq!(memo.get(&7), None, "the TTL counts from the end of the load");
}

#[tokio::test(start_paused = true)]
async fn a_detached_loads_panic_reaches_the_call_that_began_it() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let exploding = memo.get_or_load(7, explode);
    let exploding = tokio::spawn(exploding.detached());
    tokio::task::yield_now().await;
    let waiter = tokio::spawn(memo.get_or_load(7, || ready(1)).detached());
    let panic = exploding.await.unwrap_err().into_panic();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "boom");
    assert_eq!(waiter.await.unwrap(), 1);
    assert_eq!(memo.stats().loads_abandoned, 1);
}

#[tokio::test(start_paused = true)]
async fn the_call_that_began_a_detached_load_gets_its_error() {
    let (memo, calls) = (Memo::<u8, u8>::ttl(secs(300)), Calls::default());
    let failing = move |_: u8| {
        let calls = calls.clone();
        async move {
            sleep(secs(1)).await;
            Err(Failure::Call(calls.begin().0))
        }
    };
    let failing = failing.memoized(&memo).detached();
    let answers = join_all((0..3).map(|_| failing.call(7))).await;
    assert_eq!(answers[0], Err(Failure::Call(1)));
    for told in &answers[1..] {
        assert!(matches!(told, Err(Failure::Policy(Error::LoadFailed { message, .. })) if message == "1"));
    }
    let failing = failing.isolating_errors();
    let answers = join_all((0..3).map(|_| failing.call(7))).await;
    assert_eq!(answers, [2, 3, 4].map(|n| Err(Failure::Call(n))));
}

/// The subscriber is set on the test's thread, and the load runs on a thread of the runtime.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_detached_load_keeps_the_callers_subscriber_and_span() {
    let log = listen();
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let seen = Arc::new(Mutex::new(None));
    let spans = Arc::clone(&seen);
    let load = move |_: u8| {
        let spans = Arc::clone(&spans);
        async move {
            tokio::task::yield_now().await;
            *spans.lock().unwrap() = Some((thread::current().id(), tracing::Span::current().id()));
            Ok::<u8, String>(1)
        }
    };
    let span = tracing::info_span!("request");
    let call = load.named("load").logged().memoized(&memo).detached();
    tracing::Instrument::instrument(call.call(7), span.clone()).await.unwrap();
    let lines = log.take();
    assert_eq!(lines[0], "DEBUG calling load");
    assert!(lines[1].starts_with("INFO load returned in "), "{lines:?}");
    let (its_thread, its_span) = seen.lock().unwrap().take().unwrap();
    assert_ne!(its_thread, thread::current().id());
    assert!(its_span.is_some());
    assert_eq!(its_span, span.id());
}

#[test]
fn a_detached_load_outside_of_a_runtime_panics_with_the_reason() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let call = memo.get_or_load(7, || ready(1)).detached();
    let panic = AssertUnwindSafe(call).catch_unwind().now_or_never().unwrap().unwrap_err();
    assert!(panic.downcast::<String>().unwrap().contains("there is no reactor running"));
    assert_eq!(memo.get_or_load(7, || ready(2)).now_or_never(), Some(2), "the failed load blocks no later call");
    assert_eq!(memo.get_or_load(7, || ready(3)).detached().now_or_never(), Some(2), "a hit needs no runtime");
}

#[test]
fn a_runtime_that_shuts_down_ends_its_detached_loads() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut began = task::spawn(memo.get_or_load(7, pending::<u8>).detached());
    {
        let _on = runtime.enter();
        assert_pending!(began.poll());
    }
    let mut waits = task::spawn(memo.get_or_load(7, || ready(1)));
    assert_pending!(waits.poll());
    drop(runtime);
    assert!(waits.is_woken());
    assert_ready_eq!(waits.poll(), 1);
    let panic = std::panic::catch_unwind(AssertUnwindSafe(|| began.poll())).unwrap_err();
    assert!(panic.downcast::<String>().unwrap().contains("was shut down"));
}

// ---- waiting ----

/// A waiter may be polled by another task than before. The latest task must be woken.
#[tokio::test]
async fn a_waiter_that_moves_to_another_task_is_woken_there() {
    #[derive(Default)]
    struct Woken(AtomicUsize);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leader = task::spawn(memo.get_or_load(7, pending::<u8>));
    assert_pending!(leader.poll());
    let [first, second] = [0, 1].map(|_| Arc::<Woken>::default());
    let mut waiter = pin!(memo.get_or_load(7, || ready(1)));
    for woken in [&first, &second, &second] {
        let waker = Waker::from(Arc::clone(woken));
        assert!(waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 2), "one waker is held");
    drop(leader);
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
}

#[tokio::test]
async fn a_dropped_waiter_leaves_no_waker_behind() {
    struct Task;
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leader = task::spawn(memo.get_or_load(7, pending::<u8>));
    assert_pending!(leader.poll());
    let this = Arc::new(Task);
    let waker = Waker::from(Arc::clone(&this));
    let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(memo.get_or_load(7, || ready(1)))).collect();
    for waiter in &mut waiters {
        assert!(waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(waiters.remove(1));
    assert_eq!(Arc::strong_count(&this), 4);
    drop(waiters);
    assert_eq!(Arc::strong_count(&this), 2);
}

/// The drop of a task's last waker may drop anything, such as another waiter. This happens when a
/// waiter is dropped, and when a waiter is polled with another waker.
#[tokio::test(start_paused = true)]
async fn a_waker_that_owns_a_waiter_can_be_dropped() {
    struct Owns(#[allow(dead_code)] Mutex<Pin<Box<dyn Future<Output = u8> + Send>>>);
    impl Wake for Owns {
        fn wake(self: Arc<Self>) {}
    }
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leader = task::spawn(memo.get_or_load(7, pending::<u8>));
    assert_pending!(leader.poll());
    let waits_with_the_last_waker = || {
        let mut owned = Box::pin(memo.get_or_load(7, || ready(1)));
        assert!(polled_once(owned.as_mut()).is_pending());
        let mut waiter = Box::pin(memo.get_or_load(7, || ready(1)));
        let waker = Waker::from(Arc::new(Owns(Mutex::new(owned))));
        assert!(waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        waiter
    };
    drop(waits_with_the_last_waker());
    assert!(polled_once(waits_with_the_last_waker().as_mut()).is_pending());
    drop(leader);
    assert_eq!(memo.get_or_load(7, || ready(2)).await, 2);
}

// ---- a call to itself ----

#[tokio::test]
async fn a_call_to_itself_panics_instead_of_hanging() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let itself = {
        let memo = memo.clone();
        move || async move {
            tokio::task::yield_now().await;
            memo.get_or_load(7, || ready(1)).await
        }
    };
    let panic = AssertUnwindSafe(memo.get_or_load(7, itself.clone())).catch_unwind().await.unwrap_err();
    let message = "a memoized function called itself with the same key, on the same stack and in the same task, and \
                   would wait for itself for ever: load with another key, or call the function without its memo";
    assert_eq!(*panic.downcast::<&str>().unwrap(), message);
    let detached = tokio::spawn(memo.get_or_load(7, itself.clone()).detached());
    assert_eq!(*detached.await.unwrap_err().into_panic().downcast::<&str>().unwrap(), message);
    let other = memo.clone();
    let by_way_of_another = memo.get_or_load(7, move || async move { other.get_or_load(8, itself).await });
    assert!(AssertUnwindSafe(by_way_of_another).catch_unwind().await.is_err());
    // The code before the function returns its future is part of the load, too.
    let other = memo.clone();
    let eager = memo.get_or_load(7, move || ready(other.get_or_load(7, || ready(1)).now_or_never()));
    assert!(AssertUnwindSafe(eager).catch_unwind().await.is_err());
    let stats = memo.stats();
    assert_eq!((stats.loading, stats.entries, stats.loads), (0, 0, stats.loads_abandoned));
}

#[tokio::test(start_paused = true)]
async fn calls_with_other_keys_or_in_other_tasks_are_no_recursion() {
    fn fibonacci(memo: &Memo<u64, u64>, n: u64) -> futures::future::BoxFuture<'static, u64> {
        let load = {
            let memo = memo.clone();
            move || async move {
                match n {
                    0 | 1 => n,
                    _ => fibonacci(&memo, n - 1).await + fibonacci(&memo, n - 2).await,
                }
            }
        };
        memo.get_or_load(n, load).boxed()
    }
    let memo = Memo::ttl(secs(300));
    assert_eq!(fibonacci(&memo, 50).await, 12_586_269_025);
    assert_eq!((memo.stats().loads, memo.stats().hits), (51, 48));
    // Two calls in one task wait for the same load.
    let slow = |_: u64| async {
        sleep(secs(1)).await;
        1
    };
    let slow = slow.memoized(&memo);
    assert_eq!(tokio::join!(slow.call(100), slow.call(100)), (1, 1));
}

/// A load that began on this thread, and now waits, must not look like recursion.
#[tokio::test]
async fn a_load_that_is_not_being_polled_is_no_recursion() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut leader = task::spawn(memo.get_or_load(7, pending::<u8>));
    assert_pending!(leader.poll());
    assert_pending!(task::spawn(memo.get_or_load(7, || ready(1))).poll());
    drop(leader);
    assert_ready!(task::spawn(memo.get_or_load(7, || ready(1))).poll());
}

/// A load drives a runtime on its own stack, on which other tasks run as well. Blocking facades of
/// async clients do this.
#[test]
fn a_task_that_a_load_drives_may_wait_for_the_load() {
    for is_blocking in [false, true] {
        let memo: Memo<u8, u8> = Memo::ttl(secs(300));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let waits = runtime.spawn(memo.get_or_load(7, || ready(0)));
        let drive = |_: u8| {
            runtime.block_on(tokio::task::yield_now()); // lets the task call
            49
        };
        let loaded = if is_blocking {
            drive.blocking().memoized(&memo).call(7)
        } else {
            (|key| ready(drive(key))).memoized(&memo).call(7).now_or_never().unwrap()
        };
        assert_eq!((loaded, runtime.block_on(waits).unwrap()), (49, 49));
        let stats = memo.stats();
        assert_eq!((stats.misses, stats.coalesced, stats.loads, stats.loads_abandoned), (1, 1, 1, 0));
    }
}

/// The driven future waits for its own load. Tried on a plain thread, and on a thread that runs a
/// task.
#[tokio::test]
async fn a_future_that_a_load_drives_on_its_stack_is_recursion() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let call = {
        let memo = memo.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let inner = memo.clone();
            let load = |_: u8| runtime.block_on(inner.get_or_load(7, || ready(1)));
            std::panic::catch_unwind(AssertUnwindSafe(|| load.blocking().memoized(&memo).call(7)))
        }
    };
    let on_a_thread = thread::spawn(call.clone()).join().unwrap();
    let in_a_task = tokio::task::spawn_blocking(call).await.unwrap();
    for panic in [on_a_thread, in_a_task] {
        assert!(panic.unwrap_err().downcast::<&str>().unwrap().contains("called itself with the same key"));
    }
    assert_eq!((memo.stats().loads_abandoned, memo.stats().loading), (2, 0));
}

/// After the first poll, the options can no longer have an effect.
#[tokio::test]
async fn setting_options_after_the_first_poll_panics() {
    let memo: Memo<u8, u8> = Memo::ttl(secs(300));
    let mut call = Box::pin(memo.get_or_load(7, || poll_fn(|_| Poll::<u8>::Pending)));
    assert!(polled_once(call.as_mut()).is_pending());
    let call = *Pin::into_inner(call);
    let panic = std::panic::catch_unwind(AssertUnwindSafe(|| call.detached())).map(drop).unwrap_err();
    assert!(panic.downcast::<&str>().unwrap().contains("before the call is polled"));
}

// ---- a clear ----

/// A call that began after a clear, an invalidation or an insertion never gets a value that was
/// loaded before. Tried with real threads in real time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clear_wins_on_four_threads() {
    const KEYS: usize = 3;
    let memo: Memo<usize, usize> = Memo::ttl(secs(300));
    // The version that a load sees, and the lowest version that a call may see.
    let version = Arc::new(AtomicUsize::new(0));
    let least = Arc::new([const { AtomicUsize::new(0) }; KEYS]);
    let turn = Arc::new(Mutex::new(()));
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let (memo, turn) = (memo.clone(), Arc::clone(&turn));
        let (version, least) = (Arc::clone(&version), Arc::clone(&least));
        tasks.spawn(async move {
            let load = {
                let version = Arc::clone(&version);
                move |_: usize| {
                    let seen = version.load(SeqCst);
                    async move {
                        for _ in 0..seen % 4 {
                            tokio::task::yield_now().await;
                        }
                        seen
                    }
                }
            };
            let call = load.memoized(&memo);
            for n in 0..5_000 {
                let key = (n + task) % KEYS;
                let at_least = least[key].load(SeqCst);
                let seen = call.call(key).await;
                assert!(seen >= at_least, "saw version {seen} from before a clear, not at least {at_least}");
                // One after the other, because an old version could otherwise be inserted after
                // the clear of a newer one.
                let next = |keys: &[AtomicUsize], end: &dyn Fn(usize)| {
                    let _turn = turn.lock().unwrap();
                    let next = version.fetch_add(1, SeqCst) + 1;
                    end(next);
                    for least in keys {
                        least.store(next, SeqCst);
                    }
                };
                match n % 50 + task {
                    7 => next(&least[..], &|_| memo.clear()),
                    17 | 27 => next(&least[key..=key], &|_| memo.invalidate(&key)),
                    37 => next(&least[key..=key], &|version| memo.insert(key, version)),
                    _ => {}
                }
                if n % 16 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    tasks.join_all().await;
    assert!(version.load(SeqCst) > 1_000);
    assert_eq!(memo.stats().loading, 0);
}
