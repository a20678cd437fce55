//! A table of scenarios that run through both halves. The same chain, written once, on an async and
//! on a sync function, must leave the same trace of attempts, delays, outcomes, counters and log
//! lines. A decorator that one half lacks does not compile here.
//!
//! The async half runs on tokio's paused clock, the blocking half on a virtual clock. Times are
//! compared to the nanosecond.

use crate::support::{Listener, listen, ms, paused, secs};
use decor::{
    CircuitBreaker, Deprecation, Error, KeyedBreaker, KeyedConcurrencyLimiter, KeyedLimiter, Logging, Memo, Metering,
    RateLimiter, RetryBudget, RetryPolicy, Timing, Transient,
    layer::{Decoration, End, Gate, Wait},
    prelude::*,
    test_util::{self, VirtualClock},
};
use metrics_util::debugging::DebuggingRecorder;
use std::{
    fmt::{self, Debug},
    future::Future,
    sync::{Arc, Mutex},
    task::{Poll, ready},
    time::Duration,
};
use tokio::time::Instant;
use tracing::{Level, Span, field::Empty, span};

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum Fault {
    #[error("busy")]
    Busy,
    #[error("throttled for {0:?}")]
    Throttled(Duration),
    #[error("fatal")]
    Fatal,
    #[error(transparent)]
    Policy(#[from] Error),
}

impl Transient for Fault {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::Throttled(_))
    }

    fn retry_after(&self) -> Option<Duration> {
        if let Self::Throttled(wait) = self { Some(*wait) } else { None }
    }
}

impl Fault {
    fn of(&self) -> &'static str {
        match self {
            Self::Policy(Error::TimedOut { .. }) => "timeout",
            _ => "own",
        }
    }
}

/// A span of the user, with the target of decor's own spans.
fn span(n: u32) -> Span {
    span!(target: "decor::test", Level::INFO, "mine", n, attempt = Empty, outcome = Empty, otel.status_code = Empty)
}

/// All metrics with their labels and values.
fn metrics_of(recorder: &DebuggingRecorder) -> Vec<String> {
    let metrics = recorder.snapshotter().snapshot().into_vec().into_iter();
    let mut shown = metrics.map(|(key, _, _, value)| format!("{} {value:?}", key.key())).collect::<Vec<_>>();
    shown.sort();
    shown
}

type Answer = Result<u32, Fault>;

/// Duration of a call in milliseconds, and its result.
type Step = (u64, Answer);

const BUSY: Step = (0, Err(Fault::Busy));
const FATAL: Step = (0, Err(Fault::Fatal));

fn ok(n: u32) -> Step {
    (0, Ok(n))
}

fn slow(millis: u64, step: Step) -> Step {
    (millis, step.1)
}

fn throttled(seconds: u64) -> Step {
    (0, Err(Fault::Throttled(secs(seconds))))
}

/// The script of the function, and the trace of its calls. After the script, the function returns
/// its argument.
#[derive(Clone)]
struct ScriptedFn(Arc<Mutex<Script>>);

struct Script {
    steps: std::vec::IntoIter<Step>,
    now: Box<dyn Fn() -> Duration + Send>,
    /// Hides times, because tokio's timer rounds up to milliseconds.
    hides_times: bool,
    trace: Vec<String>,
}

impl ScriptedFn {
    fn new(steps: &[Step], now: impl Fn() -> Duration + Send + 'static) -> Self {
        let (steps, now) = (Vec::from(steps).into_iter(), Box::new(now));
        let script = Script { steps, now, hides_times: false, trace: Vec::new() };
        Self(Arc::new(Mutex::new(script)))
    }

    fn begin(&self, argument: u32) -> Step {
        self.note(format_args!("called with {argument}"));
        self.0.lock().unwrap().steps.next().unwrap_or((0, Ok(argument)))
    }

    fn note(&self, what: impl std::fmt::Display) {
        let mut script = self.0.lock().unwrap();
        let now = if script.hides_times { Duration::ZERO } else { (script.now)() };
        let line = format!("{now:?} {what}");
        script.trace.push(line);
    }

    fn hide_times(&self) {
        self.0.lock().unwrap().hides_times = true;
    }

    fn see(&self, what: impl Debug) {
        self.note(format_args!("{what:?}"));
    }

    fn asynchronous(
        &self,
    ) -> impl Fn(u32) -> futures::future::BoxFuture<'static, Answer> + Clone + Send + Sync + use<> {
        let function = self.clone();
        move |argument| {
            let function = function.clone();
            Box::pin(async move {
                let (millis, answer) = function.begin(argument);
                if millis > 0 {
                    tokio::time::sleep(ms(millis)).await;
                }
                answer
            })
        }
    }

    fn synchronous(&self) -> impl Fn(u32) -> Answer + Clone + Send + Sync + use<> {
        let function = self.clone();
        move |argument| {
            let (millis, answer) = function.begin(argument);
            if millis > 0 {
                test_util::sleep(ms(millis));
            }
            answer
        }
    }

    fn end(&self, log: &Listener) -> (Vec<String>, Vec<String>) {
        (std::mem::take(&mut self.0.lock().unwrap().trace), log.take())
    }
}

/// A gate that lets each call begin after 100 ms, or refuses it then, and adds its end to the
/// trace.
#[derive(Clone)]
struct Delay {
    function: ScriptedFn,
    lets_pass: bool,
    /// End of the wait; `None` until the gate is first polled.
    until: Option<Instant>,
}

impl Delay {
    fn of(function: &ScriptedFn, lets_pass: bool) -> Self {
        Self { function: function.clone(), lets_pass, until: None }
    }
}

impl Decoration for Delay {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".delay()")
    }
}

impl Gate<Answer> for Delay {
    fn enter(&mut self, wait: &mut Wait<'_>) -> Poll<Result<(), Answer>> {
        let until = *self.until.get_or_insert_with(|| wait.now() + ms(100));
        ready!(wait.until(until));
        Poll::Ready(if self.lets_pass { Ok(()) } else { Err(Err(Fault::Fatal)) })
    }

    fn end(&mut self, end: End<'_, Answer>) {
        self.function.see((end.outcome(), end.output().cloned()));
    }
}

/// A gate that adds to the trace the attempt in which a call begins and ends.
#[derive(Clone)]
struct Seen(ScriptedFn);

impl Seen {
    fn of(function: &ScriptedFn) -> Self {
        Self(function.clone())
    }
}

impl Gate<Answer> for Seen {
    fn enter(&mut self, _: &mut Wait<'_>) -> Poll<Result<(), Answer>> {
        self.0.see(("begins", decor::attempt()));
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, _: End<'_, Answer>) {
        self.0.see(("ends", decor::attempt()));
    }
}

/// The clock of a scenario, in either half.
struct Time<'c>(Option<&'c VirtualClock>);

impl Time<'_> {
    fn passes(&self, by: Duration) -> impl Future<Output = ()> {
        if let Some(clock) = self.0 {
            clock.advance(by);
        }
        let is_async = self.0.is_none();
        async move {
            if is_async {
                tokio::time::advance(by).await;
            }
        }
    }
}

/// Makes a test of each scenario. A scenario has the function's script, a setup and the chain. The
/// arguments of the calls follow, with a pause in milliseconds before each call. The calls are made
/// one after the other. The last part lists the values that are compared in the end. A closure that
/// answers for a failure returns `answer!(..)`, a future in the async half.
macro_rules! parity {
    ($(
        $name:ident: [$($step:expr),*]
            $(in $w:ident)? $({ $($setup:tt)* })?
            |$f:ident| $chain:expr,
            [$($pause:literal => $argument:expr),*] $(, $seen:expr)?;
    )*) => {
        const SCENARIOS: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            #[allow(clippy::redundant_closure_call)]
            fn $name() {
                let steps = [$($step),*];

                let asynchronous = paused().block_on(async {
                    let (log, begun) = (listen(), Instant::now());
                    let function = ScriptedFn::new(&steps, move || begun.elapsed());
                    $(let $w = &function;)?
                    $($($setup)*)?
                    #[allow(unused_macros)]
                    macro_rules! answer { ($answer:expr) => { std::future::ready($answer) } }
                    let $f = function.asynchronous().named("f");
                    let chain = $chain;
                    let time = Time(None);
                    $(
                        time.passes(ms($pause)).await;
                        let answer = chain.call($argument).await;
                        function.see(answer);
                    )*
                    function.see(("end", $($seen)?));
                    function.end(&log)
                });

                let blocking = {
                    let (log, clock) = (listen(), VirtualClock::start());
                    let function = ScriptedFn::new(&steps, || test_util::elapsed().unwrap());
                    $(let $w = &function;)?
                    $($($setup)*)?
                    #[allow(unused_macros)]
                    macro_rules! answer { ($answer:expr) => { $answer } }
                    let $f = function.synchronous().blocking().named("f");
                    let chain = $chain;
                    let time = Time(Some(&clock));
                    $(
                        drop(time.passes(ms($pause)));
                        let answer = chain.call($argument);
                        function.see(answer);
                    )*
                    function.see(("end", $($seen)?));
                    function.end(&log)
                };

                let (trace, _) = &blocking;
                assert!(!trace.is_empty());
                assert_eq!(asynchronous, blocking);
            }
        )*
    };
}

fn policy() -> RetryPolicy {
    RetryPolicy::exponential(ms(100)).max_attempts(4)
}

parity! {
    // timed
    timed: [slow(250, ok(1)), BUSY]
        |f| f.timed("f"),
        [0 => 1, 0 => 2];
    timed_by_result: [slow(250, ok(1)), slow(10, BUSY)]
        in w { let sink = w.clone(); }
        |f| f.timed_with(Timing::new("f").by_result().record_to(move |m| sink.see(m))),
        [0 => 1, 0 => 2];
    timed_by_memo: [slow(250, ok(1)), slow(10, BUSY), ok(2)]
        in w { let (sink, memo) = (w.clone(), Memo::<u32, u32>::ttl(secs(10))); }
        |f| f.memoized(&memo).retry_with(policy())
            .timed_with(Timing::new("f").by_memo().record_to(move |m| sink.see(m))),
        [0 => 1, 0 => 1, 0 => 2, 0 => 2];
    timed_when_slower: [slow(99, ok(1)), slow(101, ok(1))]
        |f| f.timed_with(Timing::new("f").slower_than(ms(100))),
        [0 => 1, 0 => 2];
    timed_twice: [slow(10, BUSY), slow(20, ok(7))]
        |f| f.timed("attempt").retry_with(policy()).timed("call"),
        [0 => 1];

    // logged
    logged: [slow(250, ok(1)), slow(10, FATAL)]
        |f| f.logged(),
        [0 => 1, 0 => 2];
    logged_values: [ok(7), BUSY]
        |f| f.logged_values(),
        [0 => 1, 0 => 2];
    logged_args: [ok(7)]
        |f| f.logged_args(|n: &u32| n * 2),
        [0 => 21];
    logged_at_levels: [ok(7), BUSY]
        |f| f.logged_with(Logging::new().level(Level::DEBUG).error_level(Level::ERROR)),
        [0 => 1, 0 => 2];

    logged_by_memo: [ok(7), BUSY]
        { let memo: Memo<u32, u32> = Memo::ttl(secs(10)); }
        |f| f.memoized(&memo).logged_with(Logging::new().by_memo()),
        [0 => 1, 0 => 1, 0 => 2];

    // traced
    traced: [slow(250, ok(1)), slow(10, FATAL)]
        |f| f.traced("f"),
        [0 => 1, 0 => 2];
    traced_attempts: [slow(10, BUSY), slow(20, ok(7))]
        |f| f.traced("attempt").retry_with(policy()).traced("call"),
        [0 => 1];
    // Within its limit: a sync call that is abandoned keeps its spans until its thread ends it.
    traced_within_a_limit: [slow(10, BUSY), slow(999, ok(7))]
        |f| f.traced("attempt").timeout(secs(1)).retry_with(policy()).traced("call"),
        [0 => 1];
    traced_with: [slow(10, BUSY), slow(20, ok(7)), FATAL]
        |f| f.traced_with(|n: &u32| span(*n)).retry_with(policy()).when(|error| *error == Fault::Busy).traced("call"),
        [0 => 1, 0 => 2];

    // metered
    metered: [slow(250, ok(1)), FATAL]
        { let recorder = DebuggingRecorder::new(); let _guard = metrics::set_default_local_recorder(&recorder); }
        |f| f.metered("f"),
        [0 => 1, 0 => 2], metrics_of(&recorder);
    metered_with: [slow(10, BUSY), slow(2000, ok(7)), ok(8)]
        { let recorder = DebuggingRecorder::new(); let _guard = metrics::set_default_local_recorder(&recorder); }
        |f| f.timeout(secs(1))
            .metered_with(Metering::new("attempt").by_result().error_type(Fault::of).label("host", "a.example"))
            .retry_with(policy())
            .metered("call"),
        [0 => 1], metrics_of(&recorder);

    // timeout
    timeout_in_time: [slow(999, ok(7))]
        |f| f.timeout(secs(1)),
        [0 => 1];
    timeout_at_its_end: [slow(1000, ok(7))]
        |f| f.timeout(secs(1)).timed("f"),
        [0 => 1];
    timeout_passed: [slow(1001, ok(7)), ok(8)]
        |f| f.timeout(secs(1)),
        [0 => 1, 0 => 2];
    timeout_of_an_error: [slow(10, FATAL)]
        |f| f.timeout(secs(1)),
        [0 => 1];
    timeout_never: [slow(100_000, ok(7))]
        |f| f.timeout(Duration::MAX),
        [0 => 1];
    timeout_of_each_attempt: [slow(2000, ok(1)), slow(2000, ok(2)), slow(10, ok(3))]
        |f| f.timeout(secs(1)).retry_with(policy()).logged(),
        [0 => 1];
    timeout_of_all_attempts: [BUSY, BUSY, BUSY, BUSY]
        |f| f.retry_with(policy()).timeout(ms(250)),
        [0 => 1, 5000 => 2];
    timeouts_with_labels: [slow(400, ok(1)), slow(400, ok(2)), slow(400, ok(3))]
        |f| f.timeout(ms(300)).labelled("attempt").retry_with(policy().max_attempts(1)).timeout(ms(500))
            .labelled("total").map_err(|e: Fault| e.to_string()),
        [0 => 1];
    timeout_within_timeout: [slow(400, ok(1)), slow(400, ok(2)), slow(400, ok(3))]
        |f| f.timeout(ms(300)).retry_with(policy()).timeout(ms(500)),
        [0 => 1];

    // retry_with
    retry_success_at_once: [ok(7)]
        |f| f.retry_with(policy()),
        [0 => 1];
    retry_success_in_the_end: [BUSY, BUSY, ok(7)]
        |f| f.retry_with(policy()),
        [0 => 1];
    retry_exhausted: [BUSY, FATAL, BUSY, FATAL]
        |f| f.retry_with(policy()),
        [0 => 1];
    retry_fixed: [BUSY, BUSY, BUSY]
        |f| f.retry_with(RetryPolicy::fixed(secs(1))),
        [0 => 1];
    retry_linear: [BUSY, BUSY, BUSY]
        |f| f.retry_with(RetryPolicy::linear(secs(1))),
        [0 => 1];
    retry_without_delay: [BUSY, BUSY, ok(7)]
        |f| f.retry_with(RetryPolicy::fixed(Duration::ZERO)),
        [0 => 1];
    retry_jitter: [BUSY, BUSY, BUSY, BUSY]
        in w { w.hide_times(); }
        |f| f.retry_with(policy().jitter(Jitter::Full).seed(7)),
        [0 => 1, 0 => 2];
    retry_when: [BUSY, FATAL]
        |f| f.retry_with(policy()).when(|e| *e == Fault::Busy),
        [0 => 1];
    retry_when_result: [ok(503), ok(503), ok(200)]
        |f| f.retry_with(policy()).when_result(|r| *r == Ok(503)),
        [0 => 1];
    retry_transient: [throttled(3), BUSY, FATAL]
        |f| f.retry_with(policy()).transient(),
        [0 => 1];
    retry_after: [BUSY, BUSY, ok(7)]
        |f| f.retry_with(policy()).retry_after(|_| Some(secs(9))),
        [0 => 1];
    retry_after_result: [ok(429), throttled(3), ok(200)]
        |f| f.retry_with(policy()).when_result(|r| *r != Ok(200))
            .retry_after_result(|r| Some(secs(if r.is_ok() { 7 } else { 9 }))),
        [0 => 1];
    retry_hint_too_long: [throttled(61), throttled(60), throttled(61)]
        |f| f.retry_with(policy().max_hint(secs(60))).transient().logging_errors().explained(),
        [0 => 1, 0 => 2];
    retry_logging_errors: [BUSY, throttled(3), FATAL]
        |f| f.retry_with(policy()).transient().logging_errors(),
        [0 => 1];
    retry_logs_at_levels: [BUSY, ok(1), BUSY, BUSY]
        { let policy = RetryPolicy::fixed(secs(1)).max_attempts(2).log_level(Level::INFO).give_up_log_level(Level::ERROR); }
        |f| f.retry_with(policy),
        [0 => 1, 0 => 2];
    retry_logs_now_and_then: [BUSY, BUSY, BUSY, BUSY]
        { let policy = RetryPolicy::fixed(secs(1)).max_attempts(1).give_up_log_interval(secs(10)); }
        |f| f.retry_with(policy),
        [0 => 1, 0 => 2, 9_999 => 3, 1 => 4];
    retry_attempt: [BUSY, BUSY, ok(7)]
        in w { let (attempts, outer) = (w.clone(), w.clone()); }
        |f| f.gated_by(move |_: &u32| Seen::of(&attempts)).timeout(secs(1)).retry_with(policy())
            .gated_by(move |_: &u32| Seen::of(&outer)),
        [0 => 1];
    retry_attempt_of_nested_ones: [BUSY, BUSY, BUSY, ok(7)]
        in w { let (attempts, hooks, outer) = (w.clone(), w.clone(), w.clone()); }
        |f| f.gated_by(move |_: &u32| Seen::of(&attempts)).retry_with(policy().max_attempts(2))
            .on_give_up(move |_| hooks.see(("hook", decor::attempt())))
            .gated_by(move |_: &u32| Seen::of(&outer)).retry_with(policy().max_attempts(2)),
        [0 => 1];
    retry_hint_beyond_the_deadline: [throttled(60)]
        |f| f.retry_with(policy().deadline(secs(5))).transient(),
        [0 => 1];
    retry_deadline: [slow(300, BUSY), slow(300, BUSY), slow(300, BUSY)]
        |f| f.retry_with(policy().deadline(secs(1))),
        [0 => 1];
    retry_budgeted: [BUSY, BUSY, ok(7), BUSY, BUSY, FATAL, BUSY, ok(8), BUSY]
        { let budget = RetryBudget::new(0.6).capacity(3); }
        |f| f.retry_with(policy().max_attempts(3)).transient().budgeted(&budget).logging_errors().explained(),
        [0 => 1, 0 => 2, 0 => 3, 0 => 4], budget.stats();
    retry_budgeted_by_time: [BUSY, BUSY, BUSY, BUSY, BUSY]
        { let budget = RetryBudget::new(0.1).capacity(1).per_second(0.5); }
        |f| f.retry_with(RetryPolicy::fixed(ms(999))).budgeted(&budget),
        [0 => 1, 1_001 => 2, 10_000 => 3], budget.stats();
    retry_within_a_limit: [BUSY, BUSY, BUSY, BUSY]
        in w { let hooks = w.clone(); }
        |f| f.retry_with(RetryPolicy::fixed(secs(1)).max_attempts(100)).transient()
            .on_give_up(move |g| hooks.see((g.attempts, g.elapsed, g.reason, g.error.cloned()))).timeout(ms(3_500)),
        [0 => 1];
    retry_with_a_hint_beyond_a_limit: [BUSY, throttled(60)]
        |f| f.retry_with(policy()).transient().timeout(secs(5)).timeout(secs(90)),
        [0 => 1];
    retry_hooks: [BUSY, BUSY, FATAL]
        in w { let hooks = (w.clone(), w.clone()); }
        |f| f.retry_with(policy()).when(|e| *e == Fault::Busy)
            .on_retry(move |r| hooks.0.see((r.attempt, r.delay, r.elapsed, r.error.cloned())))
            .on_give_up(move |g| hooks.1.see((g.attempts, g.elapsed, g.reason, g.error.cloned()))),
        [0 => 1];
    retry_explained: [slow(50, BUSY), BUSY, BUSY, BUSY]
        |f| f.retry_with(policy()).explained(),
        [0 => 1];

    // the limiter
    rate_limited: []
        { let limiter = RateLimiter::new(2, secs(1)); }
        |f| f.rate_limited(&limiter),
        [0 => 1, 0 => 2, 0 => 3, 100 => 4, 0 => 5], limiter.stats();
    rate_limited_paced: []
        { let limiter = RateLimiter::paced(4, secs(1)); }
        |f| f.rate_limited(&limiter),
        [0 => 1, 0 => 2, 0 => 3], limiter.stats();
    rate_limited_by: []
        { let limiter = RateLimiter::new(10, secs(1)); }
        |f| f.rate_limited_by(&limiter, |n: &u32| *n),
        [0 => 4, 0 => 7, 0 => 11, 0 => 1], limiter.stats();
    rate_limited_within: []
        { let limiter = RateLimiter::new(1, secs(1)); }
        |f| f.rate_limited_within(&limiter, ms(500)),
        [0 => 1, 0 => 2, 600 => 3], limiter.stats();
    try_rate_limited: []
        { let limiter = RateLimiter::new(1, secs(1)); }
        |f| f.try_rate_limited(&limiter),
        [0 => 1, 0 => 2, 1000 => 3], limiter.stats();
    rate_limited_by_key: []
        { let keyed = KeyedLimiter::new(1, secs(1)); }
        |f| f.rate_limited_by_key(&keyed, |n: &u32| n % 2),
        [0 => 1, 0 => 2, 0 => 3, 0 => 4], keyed.stats();
    rate_limited_within_by_key: []
        { let keyed = KeyedLimiter::new(1, secs(1)); }
        |f| f.rate_limited_within_by_key(&keyed, ms(500), |n: &u32| n % 2),
        [0 => 1, 0 => 2, 0 => 3, 600 => 4, 0 => 5, 0 => 7], keyed.stats();
    try_rate_limited_by_key: []
        { let keyed = KeyedLimiter::new(1, secs(1)); }
        |f| f.try_rate_limited_by_key(&keyed, |n: &u32| n % 2),
        [0 => 1, 0 => 2, 0 => 3, 1000 => 3], keyed.stats();
    rate_limited_permits: []
        { let limiter = RateLimiter::new(10, secs(1)); }
        |f| f.rate_limited(&limiter).permits(|n: &u32| *n),
        [0 => 4, 0 => 7, 0 => 11, 0 => 1], limiter.stats();
    rate_limited_within_permits: []
        { let limiter = RateLimiter::windows([(2, secs(1)), (10, secs(1))]); }
        |f| f.rate_limited_within(&limiter, ms(500)).permits(|n: &u32| [1, *n]),
        [0 => 4, 0 => 7, 600 => 7, 0 => 11], limiter.stats();
    try_rate_limited_permits: []
        { let limiter = RateLimiter::new(10, secs(1)); }
        |f| f.try_rate_limited(&limiter).permits(|n: &u32| *n),
        [0 => 4, 0 => 7, 0 => 6, 0 => 11, 0 => 0], limiter.stats();
    rate_limited_by_key_permits: []
        { let keyed = KeyedLimiter::new(10, secs(1)); }
        |f| f.rate_limited_by_key(&keyed, |n: &u32| n % 2).permits(|n: &u32| *n),
        [0 => 3, 0 => 4, 0 => 9, 0 => 4, 0 => 11], keyed.stats();
    try_rate_limited_by_key_permits_of_attempts: [BUSY, BUSY, ok(7)]
        { let keyed = KeyedLimiter::new(10, secs(1)); }
        |f| f.try_rate_limited_by_key(&keyed, |n: &u32| n % 2).permits(|n: &u32| *n).retry_with(policy()),
        [0 => 4], keyed.stats();
    rate_limited_attempts: [BUSY, BUSY, ok(7)]
        { let limiter = RateLimiter::new(1, secs(1)); }
        |f| f.rate_limited(&limiter).retry_with(policy()),
        [0 => 1], limiter.stats();
    settled: [ok(4), slow(500, ok(9)), BUSY]
        { let limiter = RateLimiter::windows([(3, secs(1)), (10, secs(1))]); }
        |f| f.rate_limited_by(&limiter, |n: &u32| [1, *n]).settled(|used| [1, *used]),
        [0 => 7, 0 => 5, 0 => 1, 0 => 2, 300 => 3], (limiter.available_per_window(), limiter.stats());
    settled_result: [BUSY, FATAL, ok(3)]
        { let limiter = RateLimiter::new(20, secs(1)); }
        |f| f.rate_limited_by(&limiter, |n: &u32| *n).settled_result(|result| match result {
            Ok(used) => Some(*used),
            Err(Fault::Busy) => Some(0),
            Err(_) => None,
        }),
        [0 => 7, 0 => 8, 0 => 6], (limiter.available(), limiter.stats());
    settled_attempts: [BUSY, BUSY, ok(2)]
        { let limiter = RateLimiter::new(10, secs(1)); }
        |f| f.rate_limited_by(&limiter, |n: &u32| *n).settled(|used| *used).retry_with(policy()).logged(),
        [0 => 5], (limiter.available(), limiter.stats());
    settled_behind_a_gate_that_refuses: []
        in w { let (gate, limiter) = (Delay::of(w, false), RateLimiter::new(10, secs(1))); }
        |f| f.gated(gate).rate_limited_by(&limiter, |n: &u32| *n).settled(|used| *used),
        [0 => 8, 0 => 9], (limiter.available(), limiter.stats());
    settled_behind_a_gate_that_refuses_all_attempts: []
        in w { let (gate, limiter) = (Delay::of(w, false), RateLimiter::new(10, secs(1))); }
        |f| f.gated(gate).retry_with(policy()).rate_limited_by(&limiter, |n: &u32| *n).settled(|used| *used),
        [0 => 8], (limiter.available(), limiter.stats());
    settled_behind_a_gate_that_lets_pass: [slow(50, ok(7)), BUSY]
        in w { let (gate, limiter) = (Delay::of(w, true), RateLimiter::new(20, secs(1))); }
        |f| f.gated(gate).rate_limited_by(&limiter, |n: &u32| *n).settled(|used| *used).retry_with(policy()),
        [0 => 8, 0 => 9], (limiter.available(), limiter.stats());
    settled_behind_a_validation: []
        { let limiter = RateLimiter::new(10, secs(1)); }
        |f| f.validated(|n: &u32| if *n > 3 { Err("too many") } else { Ok(()) })
            .rate_limited_by(&limiter, |n: &u32| *n).settled_result(|_| None::<u32>),
        [0 => 4, 0 => 3], (limiter.available(), limiter.stats());
    settled_after_the_period: [slow(1_500, ok(2))]
        { let limiter = RateLimiter::windows([(10, secs(1)), (10, secs(2))]); }
        |f| f.rate_limited_by(&limiter, |n: &u32| *n).settled(|used| *used),
        [0 => 8, 0 => 7], (limiter.available_per_window(), limiter.stats());
    settled_paced: [slow(100, ok(3)), slow(2_000, ok(1))]
        { let limiter = RateLimiter::paced(10, secs(1)); }
        |f| f.rate_limited_by(&limiter, |_: &u32| 8).settled(|used| *used),
        [0 => 1, 0 => 2, 0 => 3], (limiter.available(), limiter.stats());
    settled_single_permits: [ok(0), ok(2)]
        { let limiter = RateLimiter::new(3, secs(1)); }
        |f| f.rate_limited(&limiter).settled(|used| *used).try_rate_limited(&limiter).settled(|used| *used),
        [0 => 1, 0 => 2], (limiter.available(), limiter.stats());
    pausing: [throttled(30)]
        { let limiter = RateLimiter::new(9, secs(1)); }
        |f| f.pausing(&limiter, Transient::retry_after).rate_limited(&limiter),
        [0 => 1, 0 => 2], limiter.stats();
    pausing_result: [ok(30), throttled(20)]
        { let limiter = RateLimiter::new(9, secs(1)); }
        |f| f.pausing_result(&limiter, |r: &Answer| r.as_ref().map_or_else(Transient::retry_after, |n| Some(secs((*n).into()))))
            .rate_limited(&limiter),
        [0 => 1, 0 => 2, 0 => 0], limiter.stats();
    pausing_by_key: [throttled(30)]
        { let keyed = KeyedLimiter::new(9, secs(1)); }
        |f| f.pausing_by_key(&keyed, |n: &u32| n % 2, Transient::retry_after)
            .rate_limited_by_key(&keyed, |n: &u32| n % 2),
        [0 => 1, 0 => 2, 0 => 3], keyed.stats();
    pausing_by_key_in_attempts: [throttled(5), BUSY]
        { let keyed = KeyedLimiter::new(9, secs(1)); }
        |f| f.pausing_by_key(&keyed, |n: &u32| n % 2, Transient::retry_after)
            .rate_limited_by_key(&keyed, |n: &u32| n % 2).retry_with(policy()),
        [0 => 1], keyed.stats();
    pausing_result_by_key: [ok(30), throttled(20)]
        { let keyed = KeyedLimiter::new(9, secs(1)); }
        |f| f.pausing_result_by_key(&keyed, |n: &u32| n % 2, |r: &Answer| {
                r.as_ref().map_or_else(Transient::retry_after, |n| Some(secs((*n).into())))
            })
            .rate_limited_by_key(&keyed, |n: &u32| n % 2),
        [0 => 1, 0 => 2, 0 => 3], keyed.stats();
    concurrency_limited: [slow(300, ok(1)), slow(100, BUSY)]
        { let limiter = ConcurrencyLimiter::new(1); }
        |f| f.concurrency_limited(&limiter),
        [0 => 1, 0 => 2, 500 => 3], limiter.stats();
    concurrency_limited_by: [slow(300, ok(1))]
        { let limiter = ConcurrencyLimiter::new(10); }
        |f| f.concurrency_limited_by(&limiter, |n: &u32| *n),
        [0 => 4, 0 => 7, 0 => 11], limiter.stats();
    concurrency_limited_within: [slow(300, ok(1))]
        { let limiter = ConcurrencyLimiter::new(1); let _busy = limiter.try_acquire().unwrap(); }
        |f| f.concurrency_limited_within(&limiter, ms(200)),
        [0 => 1, 0 => 2, 300 => 3], limiter.stats();
    concurrency_limited_within_a_timeout: []
        { let limiter = ConcurrencyLimiter::new(1); let _busy = limiter.try_acquire().unwrap(); }
        |f| f.concurrency_limited_within(&limiter, secs(60)).retry_with(policy()).timeout(secs(2)),
        [0 => 1, 500 => 2], limiter.stats();
    concurrency_limited_by_within_a_timeout: []
        { let limiter = ConcurrencyLimiter::new(1); let _busy = limiter.try_acquire().unwrap(); }
        |f| f.concurrency_limited_by(&limiter, |n: &u32| *n).timeout(ms(250)),
        [0 => 1, 0 => 2], limiter.stats();
    try_concurrency_limited: [slow(300, ok(1))]
        { let limiter = ConcurrencyLimiter::builder().limit(1).named("users").build(); }
        |f| f.try_concurrency_limited(&limiter).permits(|n: &u32| *n),
        [0 => 1, 0 => 2, 400 => 0], limiter.stats();
    concurrency_limited_by_key: [slow(300, ok(1)), slow(300, ok(2)), slow(300, ok(3))]
        { let keyed = KeyedConcurrencyLimiter::new(1); }
        |f| f.concurrency_limited_by_key(&keyed, |n: &u32| n % 2),
        [0 => 1, 0 => 2, 0 => 3], keyed.stats();
    concurrency_limited_within_by_key: [slow(300, ok(1))]
        { let keyed = KeyedConcurrencyLimiter::new(1); let _busy = keyed.for_key(&1).try_acquire().unwrap(); }
        |f| f.concurrency_limited_within_by_key(&keyed, ms(200), |n: &u32| n % 2),
        [0 => 1, 0 => 2, 0 => 3], keyed.stats();
    try_concurrency_limited_by_key: [slow(300, ok(1))]
        { let keyed = KeyedConcurrencyLimiter::new(1); let _busy = keyed.for_key(&1).try_acquire().unwrap(); }
        |f| f.try_concurrency_limited_by_key(&keyed, |n: &u32| n % 2),
        [0 => 1, 0 => 2], keyed.stats();
    concurrency_limited_attempts: [slow(300, BUSY), slow(300, BUSY), ok(7)]
        { let limiter = ConcurrencyLimiter::new(1); }
        |f| f.concurrency_limited(&limiter).retry_with(policy()),
        [0 => 1], limiter.stats();
    concurrency_limited_by_key_permits_of_attempts: [BUSY, BUSY, ok(7)]
        { let keyed = KeyedConcurrencyLimiter::new(5); }
        |f| f.concurrency_limited_by_key(&keyed, |n: &u32| n % 2).permits(|n: &u32| *n).retry_with(policy()),
        [0 => 4], keyed.stats();
    backing_off: [BUSY, FATAL, BUSY]
        { let limiter = ConcurrencyLimiter::adaptive(4..=100); }
        |f| f.backing_off(&limiter, |e| *e == Fault::Busy).concurrency_limited(&limiter),
        [0 => 1, 0 => 2, 0 => 3, 0 => 4], limiter.stats();
    backing_off_by_key: [BUSY, FATAL, BUSY]
        { let keyed = KeyedConcurrencyLimiter::adaptive(4..=100); }
        |f| f.backing_off_by_key(&keyed, |n: &u32| n % 2, |e| *e == Fault::Busy)
            .concurrency_limited_by_key(&keyed, |n: &u32| n % 2),
        [0 => 1, 0 => 2, 0 => 3], (keyed.for_key(&0).limit(), keyed.for_key(&1).limit(), keyed.stats());
    backing_off_by_key_in_attempts: [BUSY, BUSY, ok(7)]
        { let keyed = KeyedConcurrencyLimiter::adaptive(4..=100); }
        |f| f.backing_off_by_key(&keyed, |n: &u32| n % 2, |e| *e == Fault::Busy)
            .concurrency_limited_by_key(&keyed, |n: &u32| n % 2).retry_with(policy()),
        [0 => 1], keyed.stats();
    queue_is_full: []
        { let limiter = RateLimiter::builder().window(1, secs(1)).max_waiting(0).build(); }
        |f| f.rate_limited_by(&limiter, |_: &u32| 1),
        [0 => 1, 0 => 2], limiter.stats();
    pausing_no_longer_than: [throttled(31_536_000)]
        { let limiter = RateLimiter::builder().window(9, secs(1)).longest_pause(secs(2)).build(); }
        |f| f.pausing(&limiter, Transient::retry_after).rate_limited(&limiter),
        [0 => 1, 0 => 2], limiter.stats();
    resumed: [throttled(30), throttled(30)]
        { let limiter = RateLimiter::new(9, secs(1)); let its = limiter.clone(); }
        |f| f.pausing(&limiter, Transient::retry_after)
            .rate_limited_within(&limiter, secs(1))
            .map_err(move |e: Fault| { its.resume(); e }),
        [0 => 1, 0 => 2, 0 => 3], limiter.stats();
    settings_changed: []
        { let limiter = RateLimiter::paced(1, secs(1)); let its = limiter.clone(); }
        |f| f.rate_limited_by(&limiter, move |n: &u32| {
            its.set_limit(10, secs(1));
            its.set_burst(3);
            *n
        }),
        [0 => 3, 0 => 3, 0 => 9, 0 => 1], (limiter.limits(), limiter.burst(), limiter.stats());
    closed: []
        { let limiter = RateLimiter::new(2, secs(1)); let its = limiter.clone(); }
        |f| f.rate_limited_by(&limiter, move |n: &u32| {
            if *n == 2 {
                its.close();
            }
            1
        }),
        [0 => 1, 0 => 2, 1000 => 3], limiter.stats();
    closed_within: []
        { let limiter = RateLimiter::new(2, secs(1)); limiter.close(); }
        |f| f.rate_limited_within(&limiter, secs(1)).retry_with(policy()).transient(),
        [0 => 1], limiter.stats();
    closed_try: []
        { let limiter = RateLimiter::new(2, secs(1)); limiter.close(); }
        |f| f.try_rate_limited(&limiter),
        [0 => 1], limiter.stats();
    closed_stays_pending: []
        { let limiter = RateLimiter::new(2, secs(1)); limiter.close(); }
        |f| f.rate_limited(&limiter).timeout(secs(3)),
        [0 => 1], limiter.stats();

    // the breaker
    guarded_by: [BUSY, BUSY, BUSY, ok(7)]
        { let breaker = CircuitBreaker::consecutive(2); }
        |f| f.guarded_by(&breaker),
        [0 => 1, 0 => 2, 0 => 3, 29_999 => 3, 1 => 3, 29_999 => 4, 1 => 4, 0 => 5], (breaker.state(), breaker.stats());
    guarded_by_a_rate: [ok(1), BUSY, BUSY, BUSY]
        { let breaker = CircuitBreaker::builder().rate(0.5, secs(10)).minimum_calls(3).open_for(secs(1)).build(); }
        |f| f.guarded_by(&breaker),
        [0 => 1, 1_000 => 2, 9_000 => 3, 0 => 4, 999 => 5, 1 => 5], (breaker.state(), breaker.stats());
    guarded_by_observing: [BUSY, BUSY, BUSY, BUSY]
        { let breaker = CircuitBreaker::builder().consecutive(1).observing().named("users").build(); }
        |f| f.guarded_by(&breaker).unless_open(&breaker),
        [0 => 1, 0 => 2, 30_000 => 3], (breaker.state(), breaker.stats());
    guarded_by_when: [BUSY, FATAL, BUSY, FATAL, throttled(1)]
        { let breaker = CircuitBreaker::consecutive(1); }
        |f| f.guarded_by(&breaker).when(|e| matches!(e, Fault::Throttled(_))).ignoring(|e| *e == Fault::Busy),
        [0 => 1, 0 => 2, 0 => 3, 0 => 4, 0 => 5, 0 => 6], breaker.stats();
    guarded_by_when_result: [BUSY, ok(503)]
        { let breaker = CircuitBreaker::consecutive(1); }
        |f| f.guarded_by(&breaker).when_result(|r| *r == Ok(503)),
        [0 => 1, 0 => 2, 0 => 3], breaker.stats();
    guarded_by_transient: [FATAL, BUSY]
        { let breaker = CircuitBreaker::consecutive(1); }
        |f| f.guarded_by(&breaker).transient(),
        [0 => 1, 0 => 2, 0 => 3], breaker.stats();
    guarded_by_slow_after: [slow(999, ok(1)), slow(1_000, ok(2))]
        { let breaker = CircuitBreaker::builder().consecutive(1).slow_after(secs(1)).build(); }
        |f| f.guarded_by(&breaker),
        [0 => 1, 0 => 2, 0 => 3], breaker.stats();
    guarded_by_attempts: [BUSY, BUSY, BUSY, BUSY]
        { let breaker = CircuitBreaker::builder().consecutive(2).open_for(ms(150)).build(); }
        |f| f.guarded_by(&breaker).retry_with(policy()),
        [0 => 1, 0 => 2], (breaker.state(), breaker.stats());
    guarded_by_within_a_limiter: [BUSY, ok(7)]
        {
            let breaker = CircuitBreaker::consecutive(1);
            let limiter = RateLimiter::new(1, secs(20));
        }
        |f| f.guarded_by(&breaker).rate_limited(&limiter).unless_open(&breaker),
        [0 => 1, 0 => 2, 30_000 => 3, 0 => 4], (breaker.stats(), limiter.stats());
    guarded_by_around_a_limiter: []
        {
            let breaker = CircuitBreaker::consecutive(1);
            let limiter = RateLimiter::new(1, secs(20));
        }
        |f| f.try_rate_limited(&limiter).guarded_by(&breaker),
        [0 => 1, 0 => 2], (breaker.state(), breaker.stats());
    guarded_by_key: [BUSY, ok(7), BUSY]
        { let breaker = KeyedBreaker::consecutive(1); }
        |f| f.guarded_by_key(&breaker, |n: &u32| n % 2),
        [0 => 1, 0 => 1, 0 => 2, 30_000 => 1, 0 => 1], breaker.stats();
    guarded_by_key_in_attempts: [BUSY, BUSY, BUSY]
        { let breaker = KeyedBreaker::consecutive(2); }
        |f| f.guarded_by_key(&breaker, |n: &u32| n % 2).when(|e| *e == Fault::Busy).retry_with(policy()),
        [0 => 1, 0 => 2], breaker.stats();
    unless_open: []
        { let breaker = CircuitBreaker::consecutive(1); breaker.trip(); }
        |f| f.unless_open(&breaker),
        [0 => 1, 29_999 => 2, 1 => 3], breaker.stats();

    // the memo
    memoized: [ok(7)]
        { let memo: Memo<u32, u32> = Memo::ttl(secs(10)); }
        |f| f.memoized(&memo),
        [0 => 1, 9_999 => 1, 1 => 1, 0 => 2], memo.stats();
    memoized_from_completion: [slow(5_000, ok(7))]
        { let memo: Memo<u32, u32> = Memo::ttl(secs(10)); }
        |f| f.memoized(&memo),
        [0 => 1, 9_999 => 1, 1 => 1], memo.stats();
    memoized_by: []
        { let memo: Memo<bool, u32> = Memo::ttl(secs(10)); }
        |f| f.memoized_by(&memo, |n: &u32| n % 2 == 0),
        [0 => 1, 0 => 2, 0 => 3, 0 => 4], memo.stats();
    memoized_errors_are_not_kept: [BUSY, ok(7)]
        { let memo: Memo<u32, u32> = Memo::ttl(secs(10)); }
        |f| f.memoized(&memo).sharing_errors(),
        [0 => 1, 0 => 1, 0 => 1], memo.stats();
    memoized_errors_are_kept: [BUSY, ok(7)]
        { let memo: Memo<u32, Answer> = Memo::builder().ttl(secs(10)).negative(secs(2)).build(); }
        |f| f.memoized(&memo),
        [0 => 1, 1_999 => 1, 1 => 1], memo.stats();
    memoized_refresh_ahead: [ok(1), slow(500, ok(2)), BUSY]
        { let memo: Memo<u32, u32> = Memo::builder().ttl(secs(10)).refresh_ahead(0.5).build(); }
        |f| f.memoized(&memo),
        [0 => 1, 5_000 => 1, 4_999 => 1, 1 => 1], memo.stats();
    memoized_stale_while_revalidate: [ok(1), BUSY, ok(2)]
        {
            let memo: Memo<u32, u32> =
                Memo::builder().ttl(secs(10)).stale_while_revalidate(secs(5)).build();
        }
        |f| f.memoized(&memo),
        [0 => 1, 10_000 => 1, 999 => 1, 1 => 1], memo.stats();
    memoized_stale_on_error: [ok(1), BUSY, FATAL]
        {
            let memo: Memo<u32, u32> =
                Memo::builder().ttl(secs(10)).stale_on_error(secs(60)).build();
        }
        |f| f.memoized(&memo),
        [0 => 1, 10_000 => 1, 60_000 => 1], memo.stats();
    memoized_time_to_idle: [ok(1), ok(2)]
        { let memo: Memo<u32, u32> = Memo::builder().time_to_idle(secs(10)).build(); }
        |f| f.memoized(&memo),
        [0 => 1, 9_999 => 1, 9_999 => 1, 10_000 => 1], memo.stats();
    memoized_refresh_backoff: [ok(1), slow(500, BUSY), FATAL, ok(2)]
        {
            let memo: Memo<u32, u32> = Memo::builder()
                .ttl(secs(10))
                .stale_while_revalidate(secs(60))
                .refresh_backoff(RetryPolicy::linear(secs(3)))
                .build();
        }
        |f| f.memoized(&memo),
        [0 => 1, 10_000 => 1, 2_999 => 1, 1 => 1, 5_999 => 1, 1 => 1], memo.stats();
    memoized_detached: [slow(5_000, ok(7))]
        { let memo: Memo<u32, u32> = Memo::ttl(secs(300)); }
        |f| f.memoized(&memo).detached().timeout(secs(2)),
        [0 => 1, 0 => 1, 0 => 1, 0 => 1], memo.stats();
    memoized_single_flight_shares_its_error: [slow(5_000, BUSY), ok(7)]
        { let memo: Memo<u32, u32> = Memo::ttl(secs(300)); }
        |f| f.memoized(&memo).sharing_errors().detached().timeout(secs(2)),
        [0 => 1, 0 => 1, 0 => 1, 0 => 1], memo.stats();
    memoized_single_flight_tells_of_its_error: [slow(5_000, BUSY), ok(7)]
        { let memo: Memo<u32, u32> = Memo::ttl(secs(300)); }
        |f| f.memoized(&memo).detached().timeout(secs(2)),
        [0 => 1, 0 => 1, 0 => 1, 0 => 1], memo.stats();
    memoized_single_flight_isolates_its_error: [slow(5_000, BUSY), slow(500, FATAL), ok(7)]
        { let memo: Memo<u32, u32> = Memo::ttl(secs(300)); }
        |f| f.memoized(&memo).isolating_errors().detached().timeout(secs(2)),
        [0 => 1, 0 => 1, 0 => 1, 0 => 1], memo.stats();
    memoized_around_a_function_that_hangs: [slow(60_000, ok(1)), slow(60_000, ok(2)), slow(60_000, ok(3)), ok(4)]
        { let memo: Memo<u32, u32> = Memo::ttl(secs(300)); }
        |f| f.timeout(secs(2)).retry_with(RetryPolicy::default()).timeout(secs(10)).memoized(&memo).detached()
            .timeout(secs(4)),
        [0 => 1, 0 => 1, 0 => 1, 0 => 1], memo.stats();
    memoized_and_retried: [BUSY, FATAL, ok(7)]
        { let memo: Memo<u32, u32> = Memo::ttl(secs(300)); }
        |f| f.memoized(&memo).retry_with(policy()),
        [0 => 1, 0 => 1], memo.stats();
    memoized_a_retried_function: [BUSY, BUSY, ok(7)]
        { let memo: Memo<u32, u32> = Memo::ttl(secs(300)); }
        |f| f.retry_with(policy()).memoized(&memo).logged(),
        [0 => 1, 0 => 1], memo.stats();
    memoized_until_no_longer_valid: []
        {
            let memo: Memo<u32, u32> = Memo::builder().ttl(secs(10)).valid_while(|_, n: &u32| *n != 1).build();
        }
        |f| f.memoized(&memo),
        [0 => 1, 0 => 1, 0 => 2, 0 => 2], memo.stats();
    memoized_and_due: [ok(1), BUSY, ok(2)]
        in w {
            let memo: Memo<u32, u32> = Memo::builder().build();
            let (function, due) = (w.clone(), memo.clone());
        }
        |f| f.memoized(&memo).gated_by(move |n: &u32| {
            due.refresh(n);
            Delay::of(&function, true)
        }),
        [0 => 1, 0 => 1, 0 => 1], memo.stats();
    invalidating: [ok(1), BUSY, ok(2)]
        { let memo: Memo<u32, u32> = Memo::builder().build(); }
        |f| {
            (1..=3).for_each(|n| memo.insert(n, n));
            f.invalidating(&memo, |n: &u32| *n)
        },
        [0 => 1, 0 => 2, 0 => 4], (memo.peek(&1), memo.peek(&2), memo.peek(&3));
    invalidating_before_and_after: [BUSY]
        { let memo: Memo<u32, u32> = Memo::builder().build(); }
        |f| {
            memo.insert(1, 1);
            f.invalidating(&memo, |n: &u32| *n).before_and_after()
        },
        [0 => 1], memo.peek(&1);
    invalidating_tag: [BUSY, ok(7)]
        { let memo: Memo<u32, u32> = Memo::builder().tags_by(|n: &u32, _: &u32| [(n % 2).to_string()]).build(); }
        |f| {
            (1..=4).for_each(|n| memo.insert(n, n));
            f.invalidating_tag(&memo, |n: &u32| (n % 2).to_string())
        },
        [0 => 1, 0 => 2], [1, 2, 3, 4].map(|n| memo.contains(&n));
    invalidating_attempts: [BUSY, ok(7)]
        { let memo: Memo<u32, u32> = Memo::builder().build(); }
        |f| {
            memo.insert(1, 1);
            f.invalidating(&memo, |n: &u32| *n).retry_with(policy())
        },
        [0 => 1], memo.peek(&1);

    // the rest
    fallback: [BUSY, FATAL, slow(50, ok(7))]
        in w { let seen = w.clone(); }
        |f| f.logged().fallback(move |error: Fault, n: u32| {
            seen.see((&error, n));
            answer!(if error == Fault::Busy { Ok(n) } else { Err(error) })
        }).logged(),
        [0 => 1, 0 => 2, 0 => 3];
    fallback_of_each_attempt: [BUSY, FATAL, BUSY]
        |f| f.fallback(|error: Fault, n: u32| {
            answer!(if error == Fault::Busy { Err(Fault::Fatal) } else { Ok(n) })
        }).retry_with(policy()),
        [0 => 1];
    fallback_to: [slow(50, BUSY), slow(70, ok(7)), ok(8), FATAL, throttled(3)]
        |f| f.clone().logged().fallback_to(f.named("g").logged()).timed("whole"),
        [0 => 1, 0 => 2, 0 => 3];
    fallback_of_a_refusal: [ok(7), slow(2000, ok(8))]
        { let limiter = RateLimiter::new(1, secs(60)); }
        |f| f.clone().try_rate_limited(&limiter).fallback_to(f.timeout(secs(1))).logged(),
        [0 => 1, 0 => 2], (limiter.stats());
    fallback_and_pause: [throttled(9), throttled(7), ok(7)]
        { let limiter = RateLimiter::new(10, secs(1)); }
        |f| f.clone().fallback_to(f.pausing(&limiter, Transient::retry_after)).rate_limited(&limiter)
            .retry_with(policy()),
        [0 => 1];
    chaotic: [ok(7), BUSY, ok(8)]
        { let chaos = decor::Chaos::script([decor::Fault::Fail, decor::Fault::Slow(ms(300)), decor::Fault::Pass, decor::Fault::Hang]); }
        |f| f.logged().chaotic(&chaos, || Fault::Busy).timeout(secs(1)).retry_with(policy()).logged(),
        [0 => 1, 0 => 2], (chaos.stats());
    chaotic_by_seed: []
        { let chaos = decor::Chaos::seeded(7).failing(0.4).slowing(0.3, ms(50)); }
        |f| f.chaotic(&chaos, || Fault::Busy).logged(),
        [0 => 1, 0 => 2, 0 => 3, 0 => 4, 0 => 5, 0 => 6, 0 => 7, 0 => 8], (chaos.stats());
    validated: [ok(7)]
        |f| f.validated(|n: &u32| if *n == 0 { Err("n must not be 0") } else { Ok(()) }).logged(),
        [0 => 0, 0 => 1];
    deprecated: []
        |f| f.deprecated("use g").retry_with(policy()),
        [0 => 1, 0 => 2];
    deprecated_every_call: []
        |f| f.boxed().retry_with(policy()).deprecated_with(Deprecation::new("use g").every_call())
            .retry_with(policy()),
        [0 => 1, 0 => 2];
    deprecated_before_it_is_called: [ok(7)]
        |f| f.logged().deprecated_with(Deprecation::new("use g")).retry_with(policy()),
        [0 => 1, 0 => 2];
    lifted: [FATAL]
        |f| f.lifted().timeout(secs(1)),
        [0 => 1, 0 => 2];
    fallible: [BUSY]
        { let limiter = RateLimiter::new(1, secs(60)); }
        |f| f.fallible().try_rate_limited(&limiter),
        [0 => 1, 0 => 2];
    map_err: [FATAL]
        |f| f.map_err(|e: Fault| e.to_string()),
        [0 => 1, 0 => 2];
    err_into: [FATAL]
        |f| f.err_into::<Box<dyn std::error::Error + Send + Sync>>()
            .map_err(|e: Box<dyn std::error::Error + Send + Sync>| e.to_string()),
        [0 => 1];
    named_at_run_time: [BUSY, slow(2000, ok(7))]
        |f| f.named(format!("job {}", 42)).timeout(secs(1)).logged().retry_with(policy()).timed("job".to_owned()),
        [0 => 1, 0 => 2];
    named_twice: [FATAL]
        |f| f.named("g").logged(),
        [0 => 1];
    boxed: [BUSY, ok(7)]
        |f| f.retry_with(policy()).boxed().timed("boxed"),
        [0 => 1];
    gated: [slow(50, ok(7)), BUSY]
        in w { let gate = Delay::of(w, true); }
        |f| f.gated(gate),
        [0 => 1, 0 => 2];
    gated_attempts: [BUSY, ok(7)]
        in w { let gate = Delay::of(w, true); }
        |f| f.gated(gate).retry_with(policy()),
        [0 => 1];
    gated_by: [ok(7)]
        in w { let function = w.clone(); }
        |f| f.gated_by(move |n: &u32| Delay::of(&function, *n > 0)),
        [0 => 0, 0 => 1];
    decorated_by: [slow(3000, ok(1)), BUSY, ok(7)]
        {
            let limiter = RateLimiter::new(2, secs(10));
            let stack = decor::stack::<Fault>().timeout(secs(2)).rate_limited(&limiter).retry_with(policy()).logged();
        }
        |f| f.decorated_by(&stack),
        [0 => 1, 0 => 2], limiter.stats();
    decorated_by_handles: [slow(3000, ok(1)), BUSY, ok(7)]
        {
            let breaker = CircuitBreaker::builder().consecutive(2).named("f").build();
            let (places, budget) = (ConcurrencyLimiter::adaptive(1..=9), RetryBudget::new(0.1));
            let chaos = decor::Chaos::script([decor::Fault::Pass, decor::Fault::Fail]);
            let stack = decor::stack::<Fault>().chaotic(&chaos, || Fault::Busy).timeout(secs(2))
                .backing_off(&places, |e| *e == Fault::Busy).guarded_by(&breaker).concurrency_limited(&places)
                .unless_open(&breaker).retry_with(policy()).budgeted(&budget).logged();
        }
        |f| f.decorated_by(&stack),
        [0 => 1, 30_000 => 2], (breaker.stats(), places.stats(), budget.stats(), chaos.stats());
    everything: [slow(3000, ok(1)), BUSY, throttled(4), ok(7)]
        {
            let limiter = RateLimiter::new(2, secs(1));
            let memo: Memo<u32, u32> = Memo::ttl(secs(60));
        }
        |f| f.timeout(secs(2)).pausing(&limiter, Transient::retry_after).rate_limited(&limiter)
            .retry_with(policy()).when(|e| *e != Fault::Fatal).timeout(secs(30)).memoized(&memo)
            .validated(|n: &u32| if *n == 0 { Err("zero") } else { Ok(()) }).logged_values()
            .timed("everything"),
        [0 => 1, 0 => 1, 0 => 0], (limiter.stats(), memo.stats());
}

#[test]
fn the_table_is_long_enough() {
    assert!(SCENARIOS.len() >= 40, "{}", SCENARIOS.len());
}
