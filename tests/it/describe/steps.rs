//! The steps of a chain as data.

use crate::{
    every::{self, every_decorator},
    support::secs,
};
use decor::{
    Error, Inspect,
    describe::{Chain, HandleId, Retries, Step, StepKind},
    layer::{Decoration, Gate},
    prelude::*,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

type Arg = u64;

async fn answer(id: Arg) -> every::Answer {
    Ok(id)
}

macro_rules! steps {
    ($($decorator:ident: |$f:ident| $chain:expr => $shown:literal;)*) => {
        #[test]
        fn every_decorator_is_one_step_with_its_text() {$(
            let $f = answer;
            let chain = $chain.describe();
            assert_eq!(chain.function(), "answer");
            let [step] = chain.steps() else { panic!("{chain:?}") };
            assert_eq!((&*step.text, format!("{chain:?}")), ($shown, concat!("answer", $shown).to_owned()));
            // A memo alone bounds no caller, and a hedge alone has no budget.
            let lints = chain.lints().into_iter().map(|lint| lint.code).collect::<Vec<_>>();
            let expected = match stringify!($decorator) {
                "memoized" | "memoized_by" => vec!["memo-without-timeout"],
                "hedged" => vec!["hedge-without-budget"],
                _ => vec![],
            };
            assert_eq!(lints, expected, "{}", stringify!($decorator));
        )*}
    };
}
every_decorator!(steps);

fn kind(chain: &Chain) -> &StepKind {
    &chain.steps().last().expect("a decorator").kind
}

fn handle(step: &Step) -> HandleId {
    match step.kind {
        StepKind::RateLimited { handle, .. } | StepKind::Remembered { handle, .. } => handle,
        _ => panic!("{step:?} has no handle"),
    }
}

#[test]
fn timeouts_retries_limiters_and_memos_have_their_settings() {
    let chain = answer.timeout(secs(2)).labelled("attempt").describe();
    assert!(matches!(kind(&chain), StepKind::Timeout { limit, label: Some("attempt"), .. } if *limit == secs(2)));
    assert_eq!(chain.steps()[0].method(), "timeout");

    let policy = RetryPolicy::linear(secs(1)).max_attempts(4).deadline(secs(5));
    let choice = |chain: Chain| match *kind(&chain) {
        StepKind::Retried { retries, follows_hints, .. } => (retries, follows_hints),
        ref kind => panic!("{kind:?}"),
    };
    let retried = answer.retry_with(&policy);
    let StepKind::Retried { max_attempts, delays, deadline, budget, .. } = *kind(&retried.describe()) else { panic!() };
    assert_eq!((max_attempts, delays, deadline, budget), (4, Some(secs(5)), Some(secs(5)), None));
    assert_eq!(choice(retried.describe()), (Retries::AllErrors, false));
    assert_eq!(choice(retried.clone().transient().describe()), (Retries::TransientErrors, true));
    assert_eq!(choice(retried.clone().transient().when(|_: &Error| true).describe()), (Retries::ChosenErrors, true));
    assert_eq!(
        choice(retried.clone().when_result(|_: &every::Answer| true).describe()),
        (Retries::ChosenErrors, false)
    );
    assert_eq!(choice(retried.retry_after(|_: &Error| None).describe()), (Retries::AllErrors, true));

    let (budget, policy) = (RetryBudget::new(0.1), RetryPolicy::default());
    let paid_by = |chain: &Chain| match *kind(chain) {
        StepKind::Retried { budget, .. } | StepKind::Hedging { budget, .. } => budget,
        ref kind => panic!("{kind:?}"),
    };
    let retried = paid_by(&answer.retry_with(&policy).budgeted(&budget).describe());
    assert!(retried.is_some());
    assert_eq!(retried, paid_by(&answer.hedged(Hedge::percentile(0.9).budget(&budget.clone())).describe()));
    assert_ne!(retried, paid_by(&answer.retry_with(&policy).budgeted(&RetryBudget::new(0.1)).describe()));

    let waits = |chain: &Chain| match *kind(chain) {
        StepKind::RateLimited { is_keyed, max_wait, .. } => (is_keyed, max_wait),
        ref kind => panic!("{kind:?}"),
    };
    let (limiter, keyed) = (every::limiter(), every::keyed());
    assert_eq!(waits(&answer.rate_limited(&limiter).describe()), (false, None));
    assert_eq!(
        waits(
            &answer.rate_limited_by(&limiter, |_: &Arg| 2).settled(|n: &u64| u32::try_from(*n).unwrap_or(1)).describe()
        ),
        (false, None)
    );
    assert_eq!(waits(&answer.try_rate_limited(&limiter).permits(|_: &Arg| 2).describe()), (false, Some(secs(0))));
    assert_eq!(waits(&answer.rate_limited_within(&limiter, secs(3)).describe()), (false, Some(secs(3))));
    let by_key = answer.rate_limited_within_by_key(&keyed, secs(3), |id: &Arg| *id);
    assert_eq!(waits(&by_key.describe()), (true, Some(secs(3))));

    let memo = every::memo::<Arg>();
    let detached = |chain: &Chain| matches!(kind(chain), StepKind::Remembered { is_detached: true, .. });
    assert!(!detached(&answer.memoized(&memo).describe()));
    assert!(detached(&answer.memoized_by(&memo, |id: &Arg| *id).sharing_errors().detached().describe()));
}

#[test]
fn a_handle_has_one_identity_in_all_its_clones() {
    let (limiter, other) = (every::limiter(), every::limiter());
    let chain = answer.rate_limited(&limiter).rate_limited(&other).rate_limited_by(&limiter.clone(), |_: &Arg| 1);
    let chain = chain.describe();
    let handles = chain.steps().iter().map(handle).collect::<Vec<_>>();
    assert_eq!((handles[0] == handles[1], handles[0] == handles[2]), (false, true));

    let keyed = every::keyed();
    let chain =
        answer.rate_limited_by_key(&keyed, |id: &Arg| *id).try_rate_limited_by_key(&keyed.clone(), |id: &Arg| *id);
    let chain = chain.describe();
    assert_eq!(handle(&chain.steps()[0]), handle(&chain.steps()[1]));

    let (memo, other) = (every::memo(), every::memo());
    let chain = answer.memoized(&memo).memoized(&other).memoized(&memo.clone()).describe();
    let handles = chain.steps().iter().map(handle).collect::<Vec<_>>();
    assert_eq!((handles[0] == handles[1], handles[0] == handles[2]), (false, true));
}

/// A gate with a text that fails.
#[derive(Clone)]
struct Broken;

impl Decoration for Broken {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".broken(")?;
        Err(fmt::Error)
    }
}

impl<T> Gate<T> for Broken {}

/// Makes a gate, as a closure does.
#[derive(Clone)]
struct Source;

impl<Args> Inspect<Args> for Source {
    type Output = every::Open;

    fn inspect(&self, _: &Args) -> every::Open {
        every::Open
    }
}

#[test]
fn a_gate_of_the_users_own_is_anything_else() {
    let chain = answer.gated(every::Open).gated_by(Source).shown_as(".sourced()").describe();
    assert_eq!(
        chain.steps().iter().map(|step| (&*step.text, step.method())).collect::<Vec<_>>(),
        [(".open()", "open"), (".sourced()", "sourced")]
    );
    assert!(chain.steps().iter().all(|step| step.kind == StepKind::Other));
    let broken = answer.gated(Broken).logged();
    assert_eq!(format!("{:?}", broken.describe()), "answer.broken(.logged()");
    assert_eq!(format!("{broken:?}"), "answer.broken(.logged()");
}

async fn text<'a>(host: &'a str, _: &str) -> Result<&'a str, Error> {
    Ok(host)
}

fn load(_: &str) -> u64 {
    7
}

async fn nothing() {}

#[test]
fn a_description_calls_nothing_and_works_for_every_function() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = {
        let calls = Arc::clone(&calls);
        move |id: u64| {
            calls.fetch_add(1, Relaxed);
            std::future::ready(Ok::<_, Error>(id))
        }
    };
    let chain = counted.named("counted").retry_with(RetryPolicy::default()).rate_limited(&every::limiter());
    assert_eq!(chain.describe(), chain.clone().describe());
    assert_eq!(Arc::new(chain.clone()).describe(), chain.describe());
    assert_eq!(chain.clone().boxed().describe().steps()[..3], chain.describe().steps()[..]);
    assert_eq!(calls.load(Relaxed), 0);

    assert_eq!((text.describe().function(), text.timeout(secs(1)).describe().steps().len()), ("text", 1));
    assert_eq!(load.blocking().describe().function(), "load.blocking()");
    assert_eq!(format!("{:?}", load.blocking().timed("x").describe()), "load.blocking().timed(\"x\")");
    assert_eq!(nothing.describe().to_string(), "nothing");
    let with_context = decor::with_context(7_u64, async |n: u64, m: u64| n + m).named("sum").timed("x");
    assert_eq!(with_context.describe().steps().len(), 2);
}
