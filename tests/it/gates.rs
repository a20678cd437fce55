//! Gates as a user's crate would write them: a counter of calls in flight, a circuit breaker and an
//! audit log.

mod model;

use crate::support::{ms, secs};
use decor::{
    Error, Fallible, FnExt, Inspect, Name, Outcome, ResultLike,
    layer::{Decoration, End, Gate, Gated, GatedBy, Wait, future_name},
    prelude::*,
    test_util::{VirtualClock, sleep as sleep_blocking},
};
use futures::{FutureExt as _, StreamExt, stream};
use std::{
    fmt::{self, Display},
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Poll, Waker},
    time::Duration,
};
use tokio::{
    task::yield_now,
    time::{Instant, advance, sleep},
};
use tokio_test::{assert_pending, assert_ready_eq, task};

// ---- the gates, as `decor::layer` has them ----

/// Calls in flight. Unlike the gates of `decor::layer`, this one borrows its count.
#[derive(Clone)]
struct InFlight<'a> {
    now: &'a AtomicU32,
    most: &'a AtomicU32,
}

impl Decoration for InFlight<'_> {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".in_flight(..)")
    }
}

impl<T> Gate<T> for InFlight<'_> {
    fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), T>> {
        let before = self.now.fetch_add(1, Relaxed);
        self.most.fetch_max(before + 1, Relaxed);
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, _: End<'_, T>) {
        self.now.fetch_sub(1, Relaxed);
    }
}

trait InFlightExt<Args, Half>: FnExt<Args, Half> {
    fn in_flight<'a>(self, now: &'a AtomicU32, most: &'a AtomicU32) -> Gated<Self, InFlight<'a>> {
        self.gated(InFlight { now, most })
    }
}

impl<F: FnExt<Args, Half>, Args, Half> InFlightExt<Args, Half> for F {}

const OPEN_FOR: Duration = secs(30);

#[derive(Debug, Clone, Default)]
struct Breaker {
    circuit: Arc<Mutex<Circuit>>,
    /// `true` if this call is the one that is tried while the circuit is half-open.
    is_trial: bool,
}

#[derive(Debug, Default)]
struct Circuit {
    failures: u32,
    open_until: Option<Instant>,
}

impl Decoration for Breaker {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".guarded(..)")
    }
}

impl<T: Fallible> Gate<T> for Breaker {
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        let (mut circuit, now) = (self.circuit.lock().unwrap(), wait.now());
        let Some(open_until) = circuit.open_until else { return Poll::Ready(Ok(())) };
        if now < open_until {
            return Poll::Ready(Err(T::from_policy(open_for(open_until - now))));
        }
        (self.is_trial, circuit.open_until) = (true, Some(now + OPEN_FOR));
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, end: End<'_, T>) {
        let mut circuit = self.circuit.lock().unwrap();
        match end.as_result() {
            Some(Ok(_)) => *circuit = Circuit::default(),
            Some(Err(_)) if circuit.failures < 2 => circuit.failures += 1,
            Some(Err(_)) => circuit.open_until = Some(end.now() + OPEN_FOR),
            None if self.is_trial => circuit.open_until = Some(end.now()),
            None => {}
        }
    }
}

fn open_for(left: Duration) -> Error {
    Error::Rejected { by: "breaker", message: "the circuit is open".into(), retry_after: Some(left) }
}

trait BreakerExt<Args, Half>: FnExt<Args, Half, Output: Fallible> {
    fn guarded(self, breaker: &Breaker) -> Gated<Self, Breaker> {
        self.gated(breaker.clone())
    }
}

impl<F: FnExt<Args, Half, Output: Fallible>, Args, Half> BreakerExt<Args, Half> for F {}

#[derive(Debug, Clone, Default)]
struct AuditLog(Arc<Mutex<Vec<String>>>);

impl AuditLog {
    fn entry(&self, name: &str, argument: impl Display) -> Entry {
        Entry { log: self.clone(), call: format!("{name}({argument})") }
    }

    /// Takes the recorded lines.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[derive(Clone)]
struct Entry {
    log: AuditLog,
    call: String,
}

impl<T: ResultLike> Gate<T> for Entry {
    fn end(&mut self, end: End<'_, T>) {
        let (call, outcome) = (&self.call, end.outcome_by_result());
        self.log.0.lock().unwrap().push(format!("{call}: {outcome}"));
    }
}

#[derive(Clone)]
struct Audited<P> {
    log: AuditLog,
    name: Name,
    show: P,
}

impl<P: Inspect<Args, Output: Display>, Args> Inspect<Args> for Audited<P> {
    type Output = Entry;

    fn inspect(&self, args: &Args) -> Entry {
        self.log.entry(&self.name, self.show.inspect(args))
    }
}

trait AuditExt<Args, Half>: FnExt<Args, Half, Output: ResultLike> {
    fn audited<P: Inspect<Args, Output: Display>>(self, log: &AuditLog, show: P) -> GatedBy<Self, Audited<P>> {
        let audited = Audited { log: log.clone(), name: self.name(), show };
        self.gated_by(audited).shown_as(".audited(..)")
    }
}

impl<F: FnExt<Args, Half, Output: ResultLike>, Args, Half> AuditExt<Args, Half> for F {}

// ---- a gate that records its calls of `enter` and `end` ----

type Trace = Arc<Mutex<Vec<String>>>;

fn taken(trace: &Trace) -> Vec<String> {
    std::mem::take(&mut *trace.lock().unwrap())
}

/// Records, under its name, each `enter` ("asked"), the outcome at `end`, and its drop. Waits until
/// `opens_at`, or for the signal `opened`.
#[derive(Clone)]
struct Recorder {
    name: &'static str,
    trace: Trace,
    opens_at: Option<Instant>,
    opened: Option<Signal>,
    /// `true` after the first `enter`. The drop of a gate that was only cloned is not recorded.
    is_asked: bool,
}

impl Recorder {
    fn new(name: &'static str, trace: &Trace) -> Self {
        Self { name, trace: Arc::clone(trace), opens_at: None, opened: None, is_asked: false }
    }

    fn opens_at(mut self, moment: Instant) -> Self {
        self.opens_at = Some(moment);
        self
    }

    fn opened(mut self, signal: &Signal) -> Self {
        self.opened = Some(signal.clone());
        self
    }

    fn record(&self, what: impl Display) {
        self.trace.lock().unwrap().push(format!("{} {what}", self.name));
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if self.is_asked {
            self.record("dropped");
        }
    }
}

impl Decoration for Recorder {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".recorded({:?})", self.name)
    }
}

impl<T> Gate<T> for Recorder {
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
        self.is_asked = true;
        self.record("asked");
        if self.opens_at.is_some_and(|moment| wait.until(moment).is_pending())
            || self.opened.as_ref().is_some_and(|signal| !signal.is_given_or_wakes(wait.waker()))
        {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, end: End<'_, T>) {
        self.record(end.outcome());
    }
}

#[derive(Clone, Default)]
struct Signal(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Signal {
    fn give(&self) {
        let wakers = {
            let mut signal = self.0.lock().unwrap();
            signal.0 = true;
            std::mem::take(&mut signal.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wake_in_vain(&self) {
        let wakers = std::mem::take(&mut self.0.lock().unwrap().1);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn is_given_or_wakes(&self, waker: &Waker) -> bool {
        let mut signal = self.0.lock().unwrap();
        if !signal.0 {
            signal.1.push(waker.clone());
        }
        signal.0
    }
}

async fn find(path: &str) -> Result<String, Error> {
    sleep(ms(10)).await;
    if path.is_empty() { Err(invalid()) } else { Ok(format!("user {path}")) }
}

fn load(path: &str) -> Result<String, Error> {
    sleep_blocking(ms(10));
    if path.is_empty() { Err(invalid()) } else { Ok(format!("user {path}")) }
}

fn invalid() -> Error {
    Error::InvalidArgument { message: "empty".into() }
}

async fn hang(_path: &str) -> Result<String, Error> {
    pending().await
}

// ---- the three gates ----

#[tokio::test(start_paused = true)]
async fn gates_serve_borrowed_arguments_in_a_spawned_task() {
    let (breaker, log) = (Breaker::default(), AuditLog::default());
    let found = find
        .guarded(&breaker)
        .audited(&log, |path: &&str| (*path).to_owned())
        .retry_with(RetryPolicy::fixed(ms(5)).max_attempts(3));
    let task = tokio::spawn(async move {
        let (now, most, path) = (AtomicU32::new(0), AtomicU32::new(0), String::from("ann"));
        let found = found.in_flight(&now, &most);
        let users = [found.call(&path).await, found.call("").await, found.call("bob").await];
        (users, now.load(Relaxed), most.load(Relaxed))
    });
    let users = [Ok("user ann".into()), Err(invalid()), Err(open_for(ms(29_990)))];
    assert_eq!(task.await.unwrap(), (users, 0, 1));
    let lines = [&["find(ann): ok"][..], &["find(): err"; 3], &["find(bob): err"; 3]].concat();
    assert_eq!(log.take(), lines);
}

#[tokio::test(start_paused = true)]
async fn gates_that_borrow_serve_a_stream_of_a_spawned_task() {
    let log = AuditLog::default();
    let task = tokio::spawn({
        let log = log.clone();
        async move {
            let (now, most, prefix) = (AtomicU32::new(0), AtomicU32::new(0), String::from("id"));
            let begun = Instant::now();
            let lent = async |id: u64| find(&format!("{prefix}/{id}")).await;
            let lent = lent.in_flight(&now, &most).audited(&log, |id: &u64| *id);
            let users: Vec<_> = stream::iter(1..=20).map(|id| lent.call(id)).buffered(8).collect().await;
            (users.into_iter().flatten().count(), now.into_inner(), most.into_inner(), begun.elapsed())
        }
    });
    assert_eq!(task.await.unwrap(), (20, 0, 8, 3 * ms(10)));
    let mut lines = log.take();
    lines.dedup_by_key(|line| line.rsplit_once(": ").unwrap().1.to_owned());
    assert_eq!(lines.len(), 1, "all calls must be ok");
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_counted_down_however_they_end() {
    let (now, most) = (AtomicU32::new(0), AtomicU32::new(0));
    let counts = || (now.load(Relaxed), most.swap(0, Relaxed));

    let hang = hang.in_flight(&now, &most);
    let mut calls = [task::spawn(hang.call("a")), task::spawn(hang.call("b"))];
    assert_eq!(counts(), (0, 0), "no call was polled");
    for call in &mut calls {
        assert_pending!(call.poll());
    }
    assert_eq!(counts(), (2, 2));
    drop(calls);
    assert_eq!(counts(), (0, 0));

    let explode = (async |_: u64| panic!("boom")).in_flight(&now, &most);
    let mut call = Box::pin(AssertUnwindSafe(explode.call(1)).catch_unwind());
    let _: Box<_> = call.as_mut().await.map(|(): ()| ()).unwrap_err();
    assert_eq!(counts(), (0, 1), "the count must fall while the panic unwinds");
    drop(call);
    assert_eq!(counts(), (0, 0), "the count must fall only once");

    assert_eq!(ready(7).gated(InFlight { now: &now, most: &most }).await, 7);
    assert_eq!(counts(), (0, 1));

    let explode = (|_: u64| -> u64 { panic!("boom") }).blocking().in_flight(&now, &most);
    assert!(catch_unwind(AssertUnwindSafe(|| explode.call(1))).is_err());
    assert_eq!(counts(), (0, 1));
    let add = (|a: u32, b: u32| a + b + now.load(Relaxed)).blocking().in_flight(&now, &most);
    assert_eq!((add.call(20, 22), counts()), (43, (0, 1)));
}

/// The script of one breaker, for both halves. `$call` makes a call, `$advance` advances the clock.
macro_rules! breaks_and_recovers {
    ($call:expr, $advance:expr, $made:expr $(, $await:ident)?) => {
        for _ in 0..2 {
            assert_eq!($call("")$(.$await)?, Err(invalid()));
        }
        assert_eq!($call("ann")$(.$await)?, Ok("user ann".into()), "failures that are not three in a row must not open the circuit");
        for _ in 0..3 {
            assert_eq!($call("")$(.$await)?, Err(invalid()));
        }
        assert_eq!($made(), 6);
        assert_eq!($call("ann")$(.$await)?, Err(open_for(secs(30))));
        $advance(secs(10))$(.$await)?;
        assert_eq!($call("ann")$(.$await)?, Err(open_for(secs(20))));
        assert_eq!($made(), 6, "a refused call must not be made");

        $advance(secs(20))$(.$await)?;
        assert_eq!($call("")$(.$await)?, Err(invalid()), "half-open: one call must be tried");
        assert_eq!($call("ann")$(.$await)?, Err(open_for(secs(30))), "its failure must open the circuit again");
        $advance(secs(30))$(.$await)?;
        assert_eq!($call("ann")$(.$await)?, Ok("user ann".into()));
        for _ in 0..2 {
            assert_eq!($call("")$(.$await)?, Err(invalid()), "closed: failures must count from zero");
        }
        assert_eq!($call("ann")$(.$await)?, Ok("user ann".into()));
        assert_eq!($made(), 11);
    };
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_and_recovers_by_the_paused_clock() {
    let made = AtomicU32::new(0);
    let find = async |path: &str| {
        made.fetch_add(1, Relaxed);
        if path.is_empty() { Err(invalid()) } else { Ok(format!("user {path}")) }
    };
    let find = find.guarded(&Breaker::default());
    breaks_and_recovers!(|path| find.call(path), advance, || made.load(Relaxed), await);
}

#[test]
fn a_breaker_opens_and_recovers_by_the_virtual_clock() {
    let clock = VirtualClock::start();
    let made = AtomicU32::new(0);
    let load = |path: &str| {
        made.fetch_add(1, Relaxed);
        if path.is_empty() { Err(invalid()) } else { Ok(format!("user {path}")) }
    };
    let load = load.blocking().guarded(&Breaker::default());
    breaks_and_recovers!(|path| load.call(path), |by| clock.advance(by), || made.load(Relaxed));
    assert_eq!(clock.elapsed(), secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_neither_failure_nor_success_to_a_breaker() {
    let breaker = Breaker::default();
    let (find, hang) = (find.guarded(&breaker), hang.guarded(&breaker));
    let cancel = async || {
        let mut call = task::spawn(hang.call("x"));
        assert_pending!(call.poll());
    };
    for _ in 0..2 {
        assert_eq!(find.call("").await, Err(invalid()));
        cancel().await;
    }
    assert_eq!(find.call("").await, Err(invalid()));
    assert_eq!(
        find.call("ann").await,
        Err(open_for(OPEN_FOR)),
        "three failures in a row must open the circuit, cancelled calls between them or not"
    );

    advance(OPEN_FOR).await;
    let mut trial = task::spawn(hang.call("x"));
    assert_pending!(trial.poll());
    assert_eq!(find.call("ann").await, Err(open_for(OPEN_FOR)), "half-open: only one call at a time may be tried");
    drop(trial);
    assert_eq!(find.call("ann").await, Ok("user ann".into()), "after a cancelled call, another must be tried at once");
}

/// A retry around a breaker waits for the `retry_after` of the breaker's refusal.
#[tokio::test(start_paused = true)]
async fn a_retry_waits_until_a_breaker_may_close() {
    let breaker = Breaker::default();
    for _ in 0..3 {
        let refused = ready(Err::<(), _>(invalid()));
        assert_eq!(refused.gated(breaker.clone()).await, Err(invalid()));
    }
    let begun = Instant::now();
    let find = find.guarded(&breaker).retry_with(RetryPolicy::fixed(ms(1))).transient();
    assert_eq!(find.call("ann").await, Ok("user ann".into()));
    assert_eq!(begun.elapsed(), OPEN_FOR + ms(10));
}

#[tokio::test(start_paused = true)]
async fn an_audit_log_has_a_line_for_each_call_under_its_functions_name() {
    let log = AuditLog::default();
    let by_path = |path: &&str| format!("{path:?}");

    let found = find.named("find_user").audited(&log, by_path);
    assert_eq!(found.call("ann").await, Ok("user ann".into()));
    assert_eq!(found.call("").await, Err(invalid()));
    assert!(hang.audited(&log, by_path).timeout(secs(1)).call("bob").await.is_err());
    let explode = (async |_: u8, _: u8| -> Result<(), String> { panic!("boom") }).named("explode");
    let explode = explode.audited(&log, |a: &u8, b: &u8| format!("{a}, {b}"));
    assert!(AssertUnwindSafe(explode.call(1, 2)).catch_unwind().await.is_err());
    drop(found.call("never polled"));
    assert_eq!(
        log.take(),
        [r#"find_user("ann"): ok"#, r#"find_user(""): err"#, r#"hang("bob"): cancelled"#, "explode(1, 2): panicked"]
    );

    let call = find("ann");
    let entry = log.entry(future_name(&call), "..");
    assert_eq!(call.gated(entry).await, Ok("user ann".into()));

    let clock = VirtualClock::start();
    let loaded = load.blocking().audited(&log, by_path).timed("load");
    assert_eq!(loaded.call("ann"), Ok("user ann".into()));
    assert_eq!(loaded.call(""), Err(invalid()));
    assert_eq!(clock.elapsed(), ms(20));
    assert_eq!(log.take(), ["find(..): ok", r#"load("ann"): ok"#, r#"load(""): err"#]);
}

#[test]
fn the_debug_of_a_chain_shows_its_gates() {
    let (now, breaker, log) = (AtomicU32::new(0), Breaker::default(), AuditLog::default());
    let by_path = |path: &&str| (*path).to_owned();
    let found = find.in_flight(&now, &now).guarded(&breaker).audited(&log, by_path).timeout(secs(1));
    assert_eq!(format!("{found:?}"), "find.in_flight(..).guarded(..).audited(..).timeout(1s)");
    let loaded = load.blocking().gated_by(move |path: &&str| log.entry("load", path)).guarded(&breaker);
    assert_eq!(format!("{loaded:?}"), "load.blocking().gated_by(..).guarded(..)");
}

// ---- the calls of `enter` and `end` ----

#[tokio::test(start_paused = true)]
async fn a_call_dropped_before_its_first_poll_calls_no_gate() {
    let trace = Trace::default();
    drop(hang.gated(Recorder::new("gate", &trace)).call("x"));
    drop(hang("x").gated(Recorder::new("gate", &trace)));
    assert_eq!(taken(&trace), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_gate_dropped_while_it_waits_is_not_told_of_the_end() {
    let (trace, called) = (Trace::default(), AtomicU32::new(0));
    let count = || ready(called.fetch_add(1, Relaxed)); // counts when it is called
    let gate = Recorder::new("gate", &trace).opens_at(Instant::now() + secs(3));
    let mut call = task::spawn(count.gated(gate).call());
    assert_pending!(call.poll());
    assert_eq!(taken(&trace), ["gate asked"]);
    drop(call);
    assert_eq!(taken(&trace), ["gate dropped"]);
    assert_eq!(called.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn nested_gates_are_asked_outside_in_and_told_inside_out() {
    let trace = Trace::default();
    let (inner, outer) = (Recorder::new("inner", &trace), Recorder::new("outer", &trace));
    let asked = ["outer asked", "inner asked"];
    let ended = |how: &str| {
        let told = ["inner", "outer"].map(|gate| format!("{gate} {how}"));
        asked.map(str::to_owned).into_iter().chain(told).collect::<Vec<_>>()
    };
    let told = || {
        let mut told = taken(&trace);
        told.retain(|what| !what.ends_with("dropped"));
        told
    };

    assert_eq!(find.gated(inner.clone()).gated(outer.clone()).call("ann").await, Ok("user ann".into()));
    assert_eq!(told(), ended("completed"));
    assert_eq!(ready(7).gated(inner.clone()).gated(outer.clone()).await, 7);
    assert_eq!(told(), ended("completed"));
    assert_eq!((|| 7).blocking().gated(inner.clone()).gated(outer.clone()).run(), 7);
    assert_eq!(told(), ended("completed"));

    let mut call = task::spawn(hang.gated(inner.clone()).gated(outer.clone()).call("x"));
    assert_pending!(call.poll());
    assert_pending!(call.poll());
    drop(call);
    assert_eq!(told(), ended("cancelled"), "each gate must be asked once and told once");

    let explode = (async || -> u8 { panic!("boom") }).gated(inner.clone()).gated(outer.clone());
    let mut call = Box::pin(AssertUnwindSafe(explode.call()).catch_unwind());
    assert!(call.as_mut().await.is_err());
    assert_eq!(told(), ended("panicked"), "each gate must be told while the panic unwinds");
    drop(call);
    assert_eq!(told(), [""; 0]);
    let explode = (|| -> u8 { panic!("boom") }).blocking().gated(inner.clone()).gated(outer.clone());
    assert!(catch_unwind(AssertUnwindSafe(|| explode.run())).is_err());
    assert_eq!(told(), ended("panicked"));

    let both = async {
        let mut bystander = Box::pin(hang.gated(inner).gated(outer).call("x"));
        assert!((&mut bystander).now_or_never().is_none());
        panic!("another")
    };
    let _: Box<_> = AssertUnwindSafe(both).catch_unwind().await.map(|(): ()| ()).unwrap_err();
    assert_eq!(told(), ended("cancelled"), "another call's panic must count as a cancellation here");
}

/// A function is called only after the gate has let the call through. That includes work of the
/// function before it returns its future.
#[tokio::test(start_paused = true)]
async fn a_refused_call_is_not_made_and_its_gate_is_not_told() {
    #[derive(Clone)]
    struct Closed(Recorder);

    impl Decoration for Closed {
        fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.describe(f)
        }
    }

    impl<T: Fallible> Gate<T> for Closed {
        fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
            let Poll::Ready(_) = Gate::<T>::enter(&mut self.0, wait) else { return Poll::Pending };
            Poll::Ready(Err(T::from_policy(open_for(secs(1)))))
        }

        fn end(&mut self, end: End<'_, T>) {
            self.0.end(end);
        }
    }

    let (trace, called) = (Trace::default(), AtomicU32::new(0));
    let closed = Closed(Recorder::new("closed", &trace));
    let outer = Recorder::new("outer", &trace);
    let refused = Err(open_for(secs(1)));
    let told = || {
        let mut told = taken(&trace);
        told.retain(|what| !what.ends_with("dropped"));
        told
    };

    let count = |n: u32| {
        called.fetch_add(n, Relaxed);
        ready(Ok::<_, Error>(n))
    };
    let counted = count.gated(closed.clone());
    assert_eq!(counted.call(1).await, refused);
    assert_eq!(decor::CallableOnce::call_once(counted, (1,)).await, refused);
    assert_eq!(told(), ["closed asked"; 2]);
    assert_eq!(count.gated(closed.clone()).gated(outer.clone()).call(1).await, refused);
    assert_eq!(told(), ["outer asked", "closed asked", "outer completed"]);
    let count = |n: u32| {
        called.fetch_add(n, Relaxed);
        Ok::<_, Error>(n)
    };
    assert_eq!(count.blocking().gated(closed.clone()).gated(outer).call(1), refused);
    assert_eq!(told(), ["outer asked", "closed asked", "outer completed"]);
    assert_eq!(async { count(1) }.gated(closed).await, refused);
    assert_eq!(told(), ["closed asked"]);
    assert_eq!(called.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_gate_below_a_retry_sees_each_attempt_and_above_it_the_call() {
    let trace = Trace::default();
    let (inner, outer) = (Recorder::new("inner", &trace), Recorder::new("outer", &trace));
    let policy = RetryPolicy::fixed(secs(1)).max_attempts(2);
    let attempt = ["inner asked", "inner completed", "inner dropped"];
    let expected = [&["outer asked"][..], &attempt, &attempt, &["outer completed", "outer dropped"]].concat();

    let fail = async |_: &str| Err::<(), _>("busy");
    let call = fail.gated(inner.clone()).retry_with(&policy).gated(outer.clone());
    assert_eq!(call.call("x").await, Err("busy"));
    assert_eq!(taken(&trace), expected);

    let _clock = VirtualClock::start();
    let fail = |_: &str| Err::<(), _>("busy");
    let call = fail.blocking().gated(inner).retry_with(&policy).gated(outer);
    assert_eq!(call.call("x"), Err("busy"));
    assert_eq!(taken(&trace), expected);
}

/// First a timeout around each attempt cancels, and then the caller.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_cancelled_tells_its_gates_inside_out() {
    let trace = Trace::default();
    let (inner, outer) = (Recorder::new("inner", &trace), Recorder::new("outer", &trace));
    let gated = hang.gated(inner).gated(outer).timeout(secs(1)).retry_with(RetryPolicy::fixed(secs(1)));
    let mut call = task::spawn(gated.call("x"));
    assert_pending!(call.poll());
    assert_eq!(taken(&trace), ["outer asked", "inner asked"]);
    advance(secs(1)).await;
    assert_pending!(call.poll());
    let told = ["inner cancelled", "inner dropped", "outer cancelled", "outer dropped"];
    assert_eq!(taken(&trace), told);
    advance(secs(1)).await;
    assert_pending!(call.poll());
    assert_eq!(taken(&trace), ["outer asked", "inner asked"]);
    drop(call);
    assert_eq!(taken(&trace), told);
}

#[tokio::test(start_paused = true)]
async fn a_gate_waits_until_a_moment() {
    let trace = Trace::default();
    let begun = Instant::now();
    let gate = Recorder::new("gate", &trace).opens_at(begun + secs(3));
    assert_eq!(find.gated(gate.clone()).call("ann").await, Ok("user ann".into()));
    assert_eq!(begun.elapsed(), secs(3) + ms(10));
    let waited = ["gate asked", "gate asked", "gate completed", "gate dropped"];
    assert_eq!(taken(&trace), waited);
    assert_eq!(find.gated(gate).call("ann").await, Ok("user ann".into()));
    assert_eq!(begun.elapsed(), secs(3) + ms(20), "a moment in the past must not be waited for");
    assert_eq!(taken(&trace), ["gate asked", "gate completed", "gate dropped"]);
}

#[test]
fn a_gate_of_a_thread_waits_until_a_moment() {
    /// Opens three seconds after it was first asked, by the clock of the call.
    #[derive(Clone, Default)]
    struct Delayed(Option<Instant>);

    impl Decoration for Delayed {
        fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(".delayed()")
        }
    }

    impl<T> Gate<T> for Delayed {
        fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
            let moment = *self.0.get_or_insert(wait.now() + secs(3));
            wait.until(moment).map(Ok)
        }

        fn end(&mut self, end: End<'_, T>) {
            assert_eq!(end.now() - self.0.unwrap(), ms(10));
        }
    }

    let clock = VirtualClock::start();
    let loaded = load.blocking().gated(Delayed::default());
    assert_eq!(loaded.call("ann"), Ok("user ann".into()));
    assert_eq!(clock.elapsed(), secs(3) + ms(10));
    assert_eq!(loaded.call("ann"), Ok("user ann".into()));
    assert_eq!(clock.elapsed(), 2 * (secs(3) + ms(10)), "each call must have a gate of its own");
}

#[tokio::test(start_paused = true)]
async fn a_gate_waits_for_its_waker_and_is_asked_again_at_each_poll() {
    let (trace, signal) = (Trace::default(), Signal::default());
    let gate = Recorder::new("gate", &trace).opened(&signal);
    let mut call = task::spawn((async || 7).gated(gate).call());
    assert_pending!(call.poll());
    assert_pending!(call.poll());
    assert!(!call.is_woken());
    assert_eq!(taken(&trace), ["gate asked", "gate asked"]);
    signal.give();
    assert!(call.is_woken());
    assert_ready_eq!(call.poll(), 7);
    assert_eq!(taken(&trace), ["gate asked", "gate completed"]);
}

#[test]
fn a_gate_of_a_thread_waits_for_its_waker() {
    let clock = VirtualClock::start();
    let (trace, signal) = (Trace::default(), Signal::default());
    let gate = Recorder::new("gate", &trace).opened(&signal);
    let thread = clock.spawn(move || load.blocking().gated(gate).call("ann"));
    sleep_blocking(secs(1));
    assert_eq!(
        taken(&trace),
        ["gate asked", "gate asked"],
        "the gate must be asked once before the thread parks, and once with a waker"
    );
    signal.wake_in_vain();
    sleep_blocking(secs(1));
    assert_eq!(taken(&trace), ["gate asked"], "woken in vain, the gate must be asked again");
    signal.give();
    assert_eq!(thread.join(), Ok("user ann".into()));
    assert_eq!(clock.elapsed(), secs(2) + ms(10));
    assert_eq!(taken(&trace), ["gate asked", "gate completed", "gate dropped"]);
}

#[test]
fn a_late_wake_of_an_earlier_wait_does_not_poll_the_next_gate() {
    let clock = VirtualClock::start();
    let (trace, first, second) = (Trace::default(), Signal::default(), Signal::default());
    let behind = |name, signal: &Signal| load.blocking().gated(Recorder::new(name, &trace).opened(signal));
    let (first_call, second_call) = (behind("first", &first), behind("second", &second));

    let opener = clock.spawn(move || {
        sleep_blocking(secs(1));
        let wakers = first.0.lock().unwrap().1.clone();
        first.give();
        wakers
    });
    first_call.call("ann").unwrap();
    opener.join().into_iter().for_each(Waker::wake);
    drop(first_call);
    taken(&trace);

    let opener = clock.spawn(move || {
        sleep_blocking(secs(1));
        second.give();
    });
    second_call.call("ann").unwrap();
    opener.join();
    assert_eq!(taken(&trace), ["second asked", "second asked", "second asked", "second completed", "second dropped"]);
}

/// Waits for a moment and a waker at once. The first of them counts.
#[tokio::test(start_paused = true)]
async fn a_gate_that_waits_for_a_moment_may_be_woken_before() {
    #[derive(Clone)]
    struct Either(Signal, Instant);

    impl<T> Gate<T> for Either {
        fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), T>> {
            if self.0.is_given_or_wakes(wait.waker()) { Poll::Ready(Ok(())) } else { wait.until(self.1).map(Ok) }
        }
    }

    let (signal, begun) = (Signal::default(), Instant::now());
    let both = || ready(7).gated(Either(signal.clone(), begun + secs(5)));
    assert_eq!((both().await, begun.elapsed()), (7, secs(5)));
    let begun = Instant::now();
    let call = tokio::spawn(ready(7).gated(Either(signal.clone(), begun + secs(5))));
    sleep(secs(2)).await;
    signal.give();
    yield_now().await;
    assert_eq!((call.await.unwrap(), begun.elapsed()), (7, secs(2)));
}

#[test]
fn a_gate_of_an_abandoned_thread_is_told_of_a_cancellation() {
    let clock = VirtualClock::start();
    let (trace, signal) = (Trace::default(), Signal::default());
    let inner = Recorder::new("inner", &trace).opened(&signal);
    let outer = Recorder::new("outer", &trace);

    // The call is abandoned while an inner gate waits. The inner gate has not let the call through.
    let loaded = load.blocking().gated(inner).gated(outer.clone()).timeout(secs(1));
    let timed_out = Err(Error::TimedOut { name: "load".into(), after: secs(1), label: None });
    assert_eq!(loaded.call("ann"), timed_out);
    assert_eq!(clock.elapsed(), secs(1));
    sleep_blocking(secs(1));
    let asked = ["outer asked", "inner asked", "inner asked"];
    assert_eq!(taken(&trace), [&asked[..], &["inner dropped", "outer cancelled", "outer dropped"]].concat());

    // The call is abandoned while the function runs. The call is unwound where it waits in decor.
    let slow = |path: &str| {
        sleep_blocking(secs(2));
        Ok::<_, Error>(path.to_owned())
    };
    let slow = slow.blocking().named("load").gated(outer).timeout(secs(1));
    assert_eq!(slow.call("ann"), Err(Error::TimedOut { name: "load".into(), after: secs(1), label: None }));
    sleep_blocking(secs(5));
    assert_eq!(taken(&trace), ["outer asked", "outer cancelled", "outer dropped"]);
}

#[test]
fn an_end_gives_the_output_and_the_outcome() {
    struct Sees<'a>(&'a Mutex<Vec<(Outcome, Outcome, Option<u8>)>>);

    impl Gate<Result<u8, u8>> for Sees<'_> {
        fn end(&mut self, end: End<'_, Result<u8, u8>>) {
            let output = end.output().map(|output| output.unwrap_or_else(|error| error));
            self.0.lock().unwrap().push((end.outcome(), end.outcome_by_result(), output));
        }
    }

    let seen = Mutex::new(Vec::new());
    assert_eq!(ready(Ok(1)).gated(Sees(&seen)).now_or_never(), Some(Ok(1)));
    assert_eq!(ready(Err(2)).gated(Sees(&seen)).now_or_never(), Some(Err(2)));
    assert_eq!(pending().gated(Sees(&seen)).now_or_never(), None);
    let explode = AssertUnwindSafe(async { panic!("boom") }.gated(Sees(&seen)));
    assert!(explode.catch_unwind().now_or_never().unwrap().is_err());
    assert_eq!(
        *seen.lock().unwrap(),
        [
            (Outcome::Completed, Outcome::Ok, Some(1)),
            (Outcome::Completed, Outcome::Err, Some(2)),
            (Outcome::Cancelled, Outcome::Cancelled, None),
            (Outcome::Panicked, Outcome::Panicked, None),
        ]
    );
}
