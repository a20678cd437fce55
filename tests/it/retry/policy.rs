//! `RetryPolicy`. Compares its arithmetic with a naive model, and checks its texts.

use crate::support::{cases, ms, secs};
use decor::{Backoff, ConfigError, Jitter, RetryConfig, RetryPolicy};
use proptest::prelude::*;
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// The settings of a policy, extremes included.
#[derive(Debug, Clone)]
struct Settings {
    backoff: Backoff,
    delay: Duration,
    factor: f64,
    max_delay: Option<Duration>,
    jitter: Jitter,
    max_attempts: u32,
    deadline: Option<Duration>,
    max_hint: Duration,
    seed: u64,
}

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0_u64..100_000).prop_map(Duration::from_millis),
        2 => (0_u64..5_000_000_000).prop_map(Duration::from_nanos),
        1 => (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        1 => Just(Duration::ZERO),
        1 => Just(Duration::MAX),
    ]
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let backoff =
        prop_oneof![Just(Backoff::Fixed), Just(Backoff::Linear), Just(Backoff::Exponential), Just(Backoff::Fibonacci)];
    let factor = prop_oneof![Just(1.0), Just(2.0), Just(3.0), Just(1.5), 1.0..10.0_f64, Just(2.0_f64.powi(53))];
    let jitter = prop_oneof![Just(Jitter::None), Just(Jitter::Full), Just(Jitter::Equal), Just(Jitter::Decorrelated)];
    (
        (backoff, any_duration(), factor, prop::option::of(any_duration())),
        (
            jitter,
            prop_oneof![1_u32..40, Just(u32::MAX)],
            prop::option::of(any_duration()),
            any_duration(),
            any::<u64>(),
        ),
    )
        .prop_map(|((backoff, delay, factor, max_delay), (jitter, max_attempts, deadline, max_hint, seed))| {
            Settings { backoff, delay, factor, max_delay, jitter, max_attempts, deadline, max_hint, seed }
        })
}

/// Returns the name of a setting that can only be a mistake; `None` if there is none.
fn refusal(settings: &Settings) -> Option<&'static str> {
    let grows = settings.backoff != Backoff::Fixed;
    if grows && settings.delay.is_zero() {
        Some("delay")
    } else if settings.max_delay.is_some_and(|max_delay| max_delay < settings.delay) {
        Some("max_delay")
    } else if settings.deadline.is_some_and(|deadline| deadline.is_zero()) {
        Some("deadline")
    } else {
        None
    }
}

fn possible_settings() -> impl Strategy<Value = Settings> {
    any_settings().prop_map(|mut settings| {
        // Makes the first delay valid, so that few cases are thrown away.
        if settings.backoff != Backoff::Fixed && settings.delay.is_zero() {
            settings.delay = Duration::from_nanos(1);
        }
        settings.max_delay = settings.max_delay.map(|max_delay| max_delay.max(settings.delay));
        settings.deadline = settings.deadline.filter(|deadline| !deadline.is_zero());
        settings
    })
}

impl Settings {
    fn policy(&self) -> RetryPolicy {
        RetryPolicy::try_from(self.config()).unwrap()
    }

    fn config(&self) -> RetryConfig {
        RetryConfig {
            backoff: self.backoff,
            delay: self.delay,
            factor: (self.backoff == Backoff::Exponential).then_some(self.factor),
            max_delay: self.max_delay,
            jitter: self.jitter,
            max_attempts: self.max_attempts,
            deadline: self.deadline,
            max_hint: self.max_hint,
            seed: Some(self.seed),
            ..RetryConfig::default()
        }
    }

    /// Builds the policy by its methods, in an order that the seed decides.
    fn built(&self) -> Result<RetryPolicy, ConfigError> {
        let mut policy = match self.backoff {
            Backoff::Linear => RetryPolicy::try_linear(self.delay)?,
            Backoff::Exponential => RetryPolicy::try_exponential(self.delay)?,
            Backoff::Fibonacci => RetryPolicy::try_fibonacci(self.delay)?,
            _ => RetryPolicy::fixed(self.delay),
        };
        for step in 0..7 {
            policy = match (step + self.seed % 7) % 7 {
                0 if self.backoff == Backoff::Exponential => policy.try_factor(self.factor)?,
                1 => self.max_delay.map_or(Ok(policy.clone()), |max_delay| policy.try_max_delay(max_delay))?,
                2 => policy.jitter(self.jitter),
                3 => policy.try_max_attempts(self.max_attempts)?,
                4 => self.deadline.map_or(Ok(policy.clone()), |deadline| policy.try_deadline(deadline))?,
                5 => policy.max_hint(self.max_hint),
                6 => policy.seed(self.seed),
                _ => policy,
            };
        }
        Ok(policy)
    }

    /// Returns the delay before cap and jitter, by repeated checked addition or multiplication.
    fn naive_delay(&self, attempt: u32) -> Duration {
        match self.backoff {
            Backoff::Fixed => self.delay,
            Backoff::Linear => (1..attempt).fold(self.delay, |sum, _| sum.saturating_add(self.delay)),
            Backoff::Fibonacci => {
                let (mut previous, mut current) = (Duration::ZERO, self.delay);
                for _ in 1..attempt {
                    (previous, current) = (current, previous.saturating_add(current));
                }
                current
            }
            Backoff::Exponential => {
                #[allow(clippy::cast_precision_loss)]
                let exact = self.delay.as_nanos() as f64 * self.factor.powi(i32::try_from(attempt).unwrap() - 1);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let nanos = exact.round() as u128;
                let whole = u64::try_from(nanos / 1_000_000_000);
                #[allow(clippy::cast_possible_truncation)]
                whole.map_or(Duration::MAX, |secs| Duration::new(secs, (nanos % 1_000_000_000) as u32))
            }
            other => unreachable!("{other}"),
        }
    }

    fn cap(&self) -> Duration {
        self.max_delay.unwrap_or(Duration::MAX)
    }
}

/// Returns `true` if two delays are equal within the 53 bits of a float, in which the model
/// computes.
fn roughly(a: Duration, b: Duration) -> bool {
    let (a, b) = (a.as_nanos(), b.as_nanos());
    a.abs_diff(b) <= a.max(b) >> 48
}

/// Number of delays of a schedule to check. A schedule may be endless.
const MANY: usize = 60;

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn settings_that_are_mistakes_are_refused_in_any_order(settings in any_settings()) {
        let (read, built) = (RetryPolicy::try_from(settings.config()), settings.built());
        prop_assert_eq!(read.is_err(), refusal(&settings).is_some());
        prop_assert_eq!(built.is_err(), read.is_err());
        if let (Ok(read), Ok(built)) = (read, built) {
            prop_assert_eq!(read.to_string(), built.to_string());
            prop_assert!(read.schedule().take(MANY).eq(built.schedule().take(MANY)));
        }
    }

    #[test]
    fn delays_agree_with_the_model(settings in possible_settings()) {
        let settings = Settings { jitter: Jitter::None, deadline: None, ..settings };
        let policy = settings.policy();
        for (attempt, delay) in (1..).zip(policy.schedule().take(MANY)) {
            let model = settings.naive_delay(attempt).min(settings.cap());
            let exact = settings.backoff != Backoff::Exponential;
            prop_assert!(if exact { delay == model } else { roughly(delay, model) }, "{attempt}: {delay:?}, not {model:?}");
        }
        let expected = (settings.max_attempts as usize - 1).min(MANY);
        prop_assert_eq!(policy.schedule().take(MANY).count(), expected);
    }

    #[test]
    fn no_delay_exceeds_the_cap_and_jitter_stays_in_its_band(settings in possible_settings()) {
        let policy = Settings { deadline: None, ..settings.clone() }.policy();
        let plain = Settings { jitter: Jitter::None, deadline: None, ..settings.clone() }.policy();
        let first = plain.schedule().next().unwrap_or_default();
        let mut previous = first;
        for (delay, whole) in policy.schedule().zip(plain.schedule()).take(MANY) {
            prop_assert!(delay <= settings.cap());
            let band = match settings.jitter {
                Jitter::Full => Duration::ZERO..=whole,
                Jitter::Equal => whole.saturating_sub(whole / 2)..=whole,
                Jitter::Decorrelated => first..=previous.saturating_mul(3).min(settings.cap()).max(first),
                _ => whole..=whole,
            };
            prop_assert!(band.contains(&delay), "{:?} outside of {:?}", delay, band);
            previous = delay;
        }
    }

    #[test]
    fn a_schedule_ends_at_its_deadline(settings in possible_settings()) {
        let endless = Settings { deadline: None, ..settings.clone() }.policy();
        let deadline = settings.deadline.unwrap_or(Duration::MAX);
        let mut waited = Duration::ZERO;
        let expected: Vec<_> = endless.schedule().take(MANY).take_while(|delay| {
            waited = waited.saturating_add(*delay);
            waited <= deadline
        }).collect();
        let schedule = settings.policy().schedule().take(MANY);
        prop_assert_eq!(schedule.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_seed_makes_the_schedule_repeat(settings in possible_settings()) {
        let (a, b) = (settings.policy(), settings.policy());
        prop_assert!(a.schedule().take(MANY).eq(b.schedule().take(MANY)));
        prop_assert!(a.schedule().take(MANY).eq(a.schedule().take(MANY)), "a schedule does not use up seeds");
    }
}

#[test]
fn jitter_uses_its_whole_band() {
    let shares = |jitter| {
        let policy = RetryPolicy::fixed(secs(1)).jitter(jitter).max_attempts(10_001).seed(1);
        let mut shares: Vec<u128> = policy.schedule().map(|delay| delay.as_millis()).collect();
        shares.sort_unstable();
        (shares[0], shares[5_000], shares[9_999])
    };
    let (least, median, most) = shares(Jitter::Full);
    assert!(least <= 1 && (480..520).contains(&median) && most >= 998, "{least} {median} {most}");
    let (least, median, most) = shares(Jitter::Equal);
    assert!(least <= 501 && (740..760).contains(&median) && most >= 998, "{least} {median} {most}");
}

#[test]
fn decorrelated_jitter_grows_up_to_the_cap() {
    let policy = RetryPolicy::exponential(ms(100)).jitter(Jitter::Decorrelated).max_attempts(1000).seed(3);
    let capped = policy.clone().max_delay(secs(5));
    assert!(policy.schedule().take(100).any(|delay| delay > secs(3600)));
    assert!(capped.schedule().all(|delay| (ms(100)..=secs(5)).contains(&delay)));
    assert!(capped.schedule().any(|delay| delay > secs(4)));
}

#[test]
fn a_schedule_is_fused() {
    let policy = RetryPolicy::custom(|n| secs(if n == 1 { 9 } else { 1 })).deadline(secs(5));
    let mut schedule = policy.schedule();
    assert_eq!((schedule.next(), schedule.next()), (None, None));
}

#[test]
fn a_custom_delay_is_computed_once_after_each_attempt() {
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&asked);
    let delay = move |n| {
        seen.lock().unwrap().push(n);
        secs(1)
    };
    let policy = RetryPolicy::custom(delay).jitter(Jitter::Full).max_attempts(5);
    assert_eq!(policy.schedule().count(), 4);
    assert_eq!(*asked.lock().unwrap(), [1, 2, 3, 4]);
}

#[test]
fn a_factor_just_below_one_is_refused() {
    assert!(RetryPolicy::default().try_factor(1.0 - f64::EPSILON).is_err());
    assert!(RetryPolicy::default().try_factor(1.0).is_ok());
}

#[test]
fn a_factor_beyond_the_useful_range_of_floats_is_refused() {
    let refusal = |factor| RetryPolicy::default().try_factor(factor).unwrap_err().to_string();
    assert!(RetryPolicy::default().try_factor(2.0_f64.powi(53)).is_ok());
    assert_eq!(refusal(2.0_f64.powi(53) + 2.0), "`factor` is 9.007199254740994e15, but must be at most 2^53");
    assert_eq!(refusal(1e300), "`factor` is 1e300, but must be at most 2^53");
    assert_eq!(refusal(f64::INFINITY), "`factor` is inf, but must be a finite number of at least 1");
    assert_eq!(refusal(f64::NAN), "`factor` is NaN, but must be a finite number of at least 1");
}

#[test]
fn a_config_error_has_the_setting_its_value_and_the_allowed_values() {
    let refusal = |config: RetryConfig| RetryPolicy::try_from(config).unwrap_err().to_string();
    let config = RetryConfig::default;
    for backoff in [Backoff::Linear, Backoff::Exponential, Backoff::Fibonacci] {
        assert_eq!(
            refusal(RetryConfig { backoff, delay: Duration::ZERO, ..config() }),
            "`delay` is 0ns, but must be longer than zero where delays grow"
        );
    }
    assert_eq!(
        refusal(RetryConfig { delay: secs(2), max_delay: Some(ms(1_999)), ..config() }),
        "`max_delay` is 1.999s, but must be at least the first delay"
    );
    assert_eq!(
        refusal(RetryConfig { deadline: Some(Duration::ZERO), ..config() }),
        "`deadline` is 0ns, but must be longer than zero"
    );
    let none =
        RetryConfig { backoff: Backoff::Fixed, delay: Duration::ZERO, max_delay: Some(Duration::ZERO), ..config() };
    assert!(RetryPolicy::try_from(none).is_ok(), "a delay of zero accepts a cap of zero");
    let custom = RetryPolicy::custom(|_| secs(9)).max_delay(secs(1));
    assert!(custom.schedule().eq([secs(1); 2]), "a custom policy accepts any cap");
}

#[test]
#[should_panic(expected = "`deadline` is 0ns, but must be longer than zero")]
fn a_literal_deadline_of_zero_panics() {
    let _ = RetryPolicy::default().deadline(Duration::ZERO);
}

#[test]
#[should_panic(expected = "`max_delay` is 1s, but must be at least the first delay")]
fn a_literal_cap_below_the_first_delay_panics() {
    let _ = RetryPolicy::fixed(secs(2)).max_delay(secs(1));
}

#[test]
#[should_panic(expected = "`delay` is 0ns, but must be longer than zero where delays grow")]
fn a_literal_delay_that_grows_from_zero_panics() {
    let _ = RetryPolicy::exponential(Duration::ZERO);
}

#[test]
fn without_a_seed_schedules_differ() {
    let policy = RetryPolicy::exponential(secs(1)).jitter(Jitter::Full).max_attempts(20);
    assert!(!policy.schedule().eq(policy.schedule()));
    assert!(!policy.schedule().eq(policy.clone().schedule()));
}

#[test]
fn a_policy_displays_as_one_line() {
    let line = |policy: RetryPolicy| policy.to_string();
    assert_eq!(line(RetryPolicy::default()), "exponential from 1s by 2, no jitter, 3 attempts");
    assert_eq!(line(RetryPolicy::fixed(ms(250)).max_attempts(1)), "fixed 250ms, no jitter, 1 attempt");
    assert_eq!(line(RetryPolicy::linear(secs(1)).jitter(Jitter::Equal)), "linear from 1s, equal jitter, 3 attempts");
    assert_eq!(
        line(RetryPolicy::fibonacci(ms(10)).max_delay(secs(1)).max_attempts(u32::MAX).deadline(secs(60)).seed(7)),
        "fibonacci from 10ms, at most 1s, no jitter, any number of attempts, within 60s, seed 7"
    );
    assert_eq!(line(RetryPolicy::custom(|_| secs(1))), "custom, no jitter, 3 attempts");
    assert_eq!(
        line(RetryPolicy::fixed(secs(1)).max_hint(secs(60))),
        "fixed 1s, no jitter, 3 attempts, hints up to 60s"
    );
    assert_eq!(line(RetryPolicy::fixed(secs(1)).max_hint(Duration::MAX)), "fixed 1s, no jitter, 3 attempts, any hint");
    assert_eq!(line(RetryPolicy::fixed(secs(1)).keeping_place()), "fixed 1s, no jitter, 3 attempts, keeping its place");
    assert_eq!(
        format!("{:?}", RetryPolicy::exponential(ms(100)).factor(1.5)),
        "RetryPolicy(exponential from 100ms by 1.5, no jitter, 3 attempts)"
    );
}

#[test]
fn a_config_makes_the_same_policy_as_the_builder() {
    let config = RetryConfig {
        backoff: "exponential".parse().unwrap(),
        delay: ms(200),
        factor: Some(3.0),
        max_delay: Some(secs(4)),
        jitter: "equal".parse().unwrap(),
        max_attempts: 7,
        deadline: Some(secs(30)),
        max_hint: secs(20),
        seed: Some(11),
        keeps_place: true,
        log_level: LevelFilter::INFO,
        give_up_log_level: LevelFilter::OFF,
        give_up_log_interval: secs(10),
    };
    let built = RetryPolicy::exponential(ms(200))
        .factor(3.0)
        .max_delay(secs(4))
        .jitter(Jitter::Equal)
        .max_attempts(7)
        .deadline(secs(30))
        .max_hint(secs(20))
        .seed(11)
        .keeping_place()
        .log_level(LevelFilter::INFO)
        .give_up_log_level(LevelFilter::OFF)
        .give_up_log_interval(secs(10));
    let read = RetryPolicy::try_from(config).unwrap();
    assert_eq!(read.to_string(), built.to_string());
    assert!(read.schedule().eq(built.schedule()));
    let default = RetryPolicy::try_from(RetryConfig::default()).unwrap();
    assert_eq!(default.to_string(), RetryPolicy::default().to_string());
}

#[test]
fn names_parse_as_they_display() {
    for backoff in [Backoff::Fixed, Backoff::Linear, Backoff::Exponential, Backoff::Fibonacci] {
        assert_eq!(backoff.to_string().parse(), Ok(backoff));
    }
    for jitter in [Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
        assert_eq!(jitter.to_string().parse(), Ok(jitter));
    }
    let error = "Full".parse::<Jitter>().unwrap_err();
    assert_eq!(error.setting(), "jitter");
    assert_eq!(error.value(), "\"Full\"");
    assert_eq!(error.allowed(), "one of none, full, equal, decorrelated");
}
