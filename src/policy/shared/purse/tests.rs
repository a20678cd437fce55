//! The purse against a list of single permits.

use super::*;
use crate::{cases::cases, policy::Grant};
use proptest::prelude::*;

const MS: Nanos = 1_000_000;
const PERIOD: Nanos = 1_000 * MS;
const LIMIT: u32 = 12;

#[derive(Debug, Clone)]
enum Event {
    Pass(Nanos),
    /// Waiters that want so many permits of both windows each. The answer comes after a trip, in
    /// which nothing else happens, and grants calls at these moments.
    Ask {
        waiters: Vec<u32>,
        trip: Nanos,
        dues: Vec<Nanos>,
        loses: bool,
        grace: Nanos,
    },
    /// A request without an answer.
    Fail,
    Take(u32),
    Charge(u32),
    Refund(u32),
    Note(bool),
}

fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let dues = prop::collection::vec(0_u64..60, 0..6);
    let ask = (prop::collection::vec(1_u32..4, 1..6), 0_u64..30, dues, prop::bool::weighted(0.1), 0_u64..2);
    let ask = ask.prop_map(|(waiters, trip, mut dues, loses, grace)| {
        dues.sort_unstable();
        let dues = dues.into_iter().map(|due| due * MS).collect();
        Event::Ask { waiters, trip: trip * MS, dues, loses, grace: grace * 250 * MS }
    });
    let event = prop_oneof![
        4 => prop_oneof![0_u64..30, 200_u64..1_200].prop_map(|ms| Event::Pass(ms * MS)),
        4 => ask,
        1 => Just(Event::Fail),
        5 => (1_u32..5).prop_map(Event::Take),
        1 => (0_u32..3).prop_map(Event::Charge),
        1 => (0_u32..3).prop_map(Event::Refund),
        1 => any::<bool>().prop_map(Event::Note),
    ];
    prop::collection::vec(event, 1..50)
}

/// Naive model of one window. Both windows have the same permits.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // as in the purse
struct Naive {
    now: Nanos,
    /// First and last moment of each permit.
    held: Vec<(Nanos, Nanos)>,
    /// Moment of each permit.
    used: Vec<Nanos>,
    /// The same, as long as the store does not know. Stays if the permit is given back, because the
    /// store is told of that as well.
    unreported: Vec<Nanos>,
    /// A period after the last use.
    counts_until: Nanos,
    lapsed: u64,
    alone: u64,
    is_down: bool,
    epoch: u64,
    knows_epoch: bool,
    is_forgotten: bool,
    refund: u32,
    is_returning: bool,
    parted_until: Nanos,
}

impl Naive {
    fn expire(&mut self) {
        let (now, before) = (self.now, self.held.len());
        self.held.retain(|(_, until)| *until >= now);
        self.lapsed += 2 * (before - self.held.len()) as u64;
        self.used.retain(|at| at + PERIOD > now);
        self.unreported.retain(|at| at + PERIOD > now);
    }

    fn usable(&self) -> usize {
        self.held.iter().filter(|(from, until)| *from <= self.now && self.now <= *until).count()
    }

    /// Takes the permits that began first.
    fn take(&mut self, permits: u32) {
        self.held.sort_by_key(|(from, _)| *from);
        for _ in 0..permits {
            let first = self.held.iter().position(|(_, until)| *until >= self.now).unwrap();
            self.held.remove(first);
        }
    }

    fn note_use(&mut self, permits: u32, is_reported: bool) {
        let moments = (0..permits).map(|_| self.now);
        if permits > 0 {
            self.counts_until = self.now + PERIOD;
        }
        self.used.extend(moments.clone());
        self.unreported.extend(moments.filter(|_| !is_reported));
    }

    /// Notes that the store is up or down.
    fn note(&mut self, is_up: bool) {
        self.is_returning |= is_up && self.is_down;
        self.is_down = !is_up;
    }

    /// The first moment at which so many permits can be used together; 0 if now.
    fn due(&self, permits: usize) -> Nanos {
        let mut moments: Vec<Nanos> = self.held.iter().map(|(from, _)| (*from).max(self.now)).collect();
        moments.push(self.now);
        moments.sort_unstable();
        let usable = |at: &Nanos| self.held.iter().filter(|(from, until)| (*from..=*until).contains(at)).count();
        let due = moments.into_iter().find(|at| usable(at) >= permits).unwrap_or(Nanos::MAX);
        if due == self.now { 0 } else { due }
    }

    /// Sets permits of a waiter aside. Returns `false` if none cover it.
    fn set_aside(&mut self, permits: usize) -> bool {
        let due = self.due(permits);
        let moment = due.max(self.now);
        self.held.sort_by_key(|(from, _)| *from);
        for _ in 0..if due < Nanos::MAX { permits } else { 0 } {
            let first = self.held.iter().position(|(_, until)| *until >= moment).unwrap();
            self.held.remove(first);
        }
        due < Nanos::MAX
    }

    /// Permits that fit into half of the limit, with those that are used.
    fn has_part(&self, permits: u32) -> bool {
        self.used.len() + permits as usize <= (LIMIT / 2) as usize
    }

    /// The moments that a report has to contain, each rounded up by at most a thousandth of the
    /// period.
    fn to_report(&self) -> Vec<Nanos> {
        let held = self.held.iter().map(|(_, until)| *until);
        let mut moments =
            if self.is_forgotten { self.used.iter().copied().chain(held).collect() } else { self.unreported.clone() };
        moments.sort_unstable();
        moments
    }
}

fn purse(on_failure: OnFailure) -> Purse {
    let sharing = Sharing { name: "test".into(), on_failure, slack: 20 * MS, lease: 0 };
    Purse::new(sharing, vec![(LIMIT, PERIOD), (LIMIT, PERIOD)], None)
}

/// Permits of both windows.
fn both(count: u32) -> Counts {
    [count; MAX_WINDOWS]
}

fn check_report(ask: &Ask, naive: &Naive) -> Result<(), TestCaseError> {
    let expected = naive.to_report();
    for window in 0..2 {
        let of_window = ask.charges.iter().filter(|charge| charge.permits[window] > 0);
        let stamps = of_window.flat_map(|charge| {
            let at = i64::try_from(naive.now).unwrap() + charge.stamp * 1_000;
            (0..charge.permits[window]).map(move |_| Nanos::try_from(at).unwrap())
        });
        let stamps = stamps.collect::<Vec<_>>();
        prop_assert_eq!(stamps.len(), expected.len());
        for (stamp, moment) in stamps.into_iter().zip(&expected) {
            prop_assert!(stamp >= *moment && stamp <= moment + PERIOD / 1_000, "{stamp} for {moment}");
        }
    }
    let refund = if naive.is_forgotten { 0 } else { naive.refund };
    prop_assert_eq!(ask.refund, [refund, refund, 0, 0]);
    prop_assert_eq!(
        ask.epoch.is_some(),
        naive.knows_epoch && (naive.counts_until > naive.now || !naive.held.is_empty())
    );
    Ok(())
}

/// Asks for the waiters that held permits do not cover, and checks the request.
fn ask(purse: &mut Purse, naive: &mut Naive, waiters: &[u32]) -> Result<Option<Ask>, TestCaseError> {
    let wanted = [u64::from(waiters.iter().sum::<u32>()); MAX_WINDOWS];
    let on_failure = purse.on_failure();
    purse.is_urgent = true; // a waiter has come
    let Some(mut batch) = purse.begin_ask(naive.now, &wanted) else {
        let is_covered = wanted[0] <= naive.held.len() as u64;
        let has_nothing = is_covered || naive.now < purse.part_free_at;
        prop_assert!(
            has_nothing && naive.to_report().is_empty() || !purse.has_reports() || purse.report_at > naive.now
        );
        return Ok(None);
    };
    if naive.is_returning && matches!(on_failure, OnFailure::Local { .. }) {
        naive.parted_until = naive.now + 1_500 * MS;
    }
    let mut left = Some(naive.held.clone());
    let (mut calls, mut asked) = (0, 0);
    for &permits in waiters {
        let mut rest = Naive { now: naive.now, held: left.take().unwrap_or_default(), ..Naive::default() };
        let is_covered = rest.set_aside(permits as usize);
        let ahead = u32::try_from(naive.held.len()).unwrap() + asked;
        let is_later = naive.now < naive.parted_until && !naive.has_part(ahead + permits);
        let place = purse.add(&mut batch, naive.now, &both(permits), None);
        left = is_covered.then_some(rest.held);
        prop_assert_eq!(place == Place::Covered, is_covered);
        prop_assert_eq!(matches!(place, Place::Later(_)), !is_covered && is_later);
        if let Place::Later(moment) = place {
            prop_assert!(naive.now < moment && moment <= naive.parted_until);
            break;
        }
        (calls, asked) = if is_covered { (calls, asked) } else { (calls + 1, asked + permits) };
    }
    let Some(ask) = purse.ask(naive.now, &wanted, batch) else { return Ok(None) };
    prop_assert_eq!(ask.runs.iter().map(|run| run.calls).sum::<u32>(), calls);
    let is_long = std::mem::take(&mut naive.is_returning) && on_failure == OnFailure::Closed;
    prop_assert_eq!(ask.grace, Duration::from_millis(if is_long { 1_500 } else { 250 }));
    check_report(&ask, naive)?;
    Ok(Some(ask))
}

/// The answer with these due moments, and the number of permits of each call that is granted.
fn answer(ask: &Ask, epoch: u64, dues: &[Nanos], is_refused: bool) -> (Answer, Vec<(u32, Nanos)>) {
    let (mut answer, mut granted, mut dues) = (Answer::new(epoch), Vec::new(), dues.iter());
    for run in ask.runs.iter().filter(|_| !is_refused) {
        let mut answer_of_run = RunAnswer::default();
        for _ in 0..run.calls {
            let Some(&due) = dues.next() else {
                answer_of_run.next = Some(Duration::from_secs(1));
                break;
            };
            answer_of_run.grants.push(Grant { calls: 1, due: Duration::from_nanos(due) });
            granted.push((run.permits[0], due));
        }
        answer.runs.push(answer_of_run);
    }
    (answer, granted)
}

#[allow(clippy::too_many_lines)] // one arm for each event
fn run(on_failure: OnFailure, events: Vec<Event>) -> Result<(), TestCaseError> {
    let (mut purse, mut naive) = (purse(on_failure), Naive::default());
    let is_local = matches!(on_failure, OnFailure::Local { .. });
    for event in events {
        purse.expire(naive.now);
        naive.expire();
        match event {
            Event::Pass(time) => naive.now += time,
            Event::Ask { waiters, trip, dues, loses, grace } => {
                let Some(ask) = ask(&mut purse, &mut naive, &waiters)? else { continue };
                let asked_at = naive.now;
                naive.now += trip;
                naive.unreported.clear();
                (naive.is_forgotten, naive.refund) = (false, 0);
                naive.epoch += u64::from(loses);
                let is_lost = loses && ask.epoch.is_some();
                let (mut answer, granted) = answer(&ask, naive.epoch, &dues, is_lost);
                answer.grace = Duration::from_nanos(grace);
                prop_assert!(purse.answered(naive.now, &answer).is_some());
                if is_lost {
                    naive.is_forgotten = true;
                    if grace == 0 {
                        naive.lapsed += 2 * naive.held.len() as u64;
                        naive.held.clear();
                    }
                }
                naive.knows_epoch = true;
                for (permits, due) in granted {
                    let (from, until) = (naive.now + due, asked_at + due + nanos(ask.hold));
                    for _ in 0..permits {
                        if from <= until { naive.held.push((from, until)) } else { naive.lapsed += 2 }
                    }
                }
            }
            Event::Fail => {
                if ask(&mut purse, &mut naive, &[1])?.is_none() {
                    continue;
                }
                naive.refund = 0; // counted in vain, which exceeds nothing
                purse.failed();
                prop_assert_eq!(purse.next_ask(&[9; MAX_WINDOWS]), Nanos::MAX, "until the store is back");
                purse.note(false);
                purse.note(true);
                naive.note(false);
                naive.note(true);
            }
            Event::Take(permits) => {
                let is_held = naive.usable() >= permits as usize;
                let held = u32::try_from(naive.held.len()).unwrap();
                let is_alone = !is_held
                    && naive.is_down
                    && match on_failure {
                        OnFailure::Open => true,
                        OnFailure::Closed => false,
                        // What is held for later comes on top.
                        OnFailure::Local { .. } => naive.has_part(held + permits),
                    };
                prop_assert_eq!(
                    purse.clone().due_after(naive.now, &[0; MAX_WINDOWS], &both(permits)) <= naive.now,
                    is_held || is_alone
                );
                prop_assert_eq!(purse.try_take(naive.now, &permits.into()), is_held || is_alone);
                if is_held {
                    naive.take(permits);
                    naive.note_use(permits, true);
                } else if is_alone {
                    naive.alone += 1;
                    if is_local {
                        naive.note_use(permits, false);
                    }
                }
            }
            Event::Charge(permits) => {
                purse.charge(naive.now, &both(permits));
                naive.note_use(permits, false);
            }
            Event::Refund(permits) => {
                let given = permits.min(u32::try_from(naive.used.len()).unwrap());
                prop_assert_eq!(purse.refund(naive.now, &both(permits))[..2].to_vec(), vec![given; 2]);
                naive.used.drain(..given as usize); // they are in order
                naive.refund += given;
            }
            Event::Note(is_up) => {
                purse.note(is_up);
                naive.note(is_up);
            }
        }
        purse.expire(naive.now);
        naive.expire();
        prop_assert_eq!(purse.held.totals()[..2].to_vec(), vec![naive.held.len() as u64; 2]);
        prop_assert_eq!(purse.held.usable(naive.now, 0), naive.usable() as u64);
        prop_assert_eq!(purse.counts.lapsed, naive.lapsed);
        prop_assert_eq!(purse.counts.admitted_alone, naive.alone);
        for needed in 0..=naive.held.len() + 1 {
            let counts = only_windows(&both(u32::try_from(needed).unwrap()), 2);
            prop_assert_eq!(purse.held.due(naive.now, &[0; MAX_WINDOWS], &counts), naive.due(needed));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn the_purse_decides_as_a_list_of_single_permits(
        on_failure in prop_oneof![Just(OnFailure::Open), Just(OnFailure::Closed), Just(OnFailure::Local { instances: 2 })],
        events in any_events(),
    ) {
        run(on_failure, events)?;
    }
}

#[test]
fn a_report_has_at_most_64_entries_for_each_window_and_no_permit_less() {
    let mut purse = purse(OnFailure::Closed);
    for n in 0..900 {
        purse.charge(n * MS, &both(1));
    }
    let batch = purse.begin_ask(900 * MS, &[0; MAX_WINDOWS]).unwrap();
    let ask = purse.ask(900 * MS, &[0; MAX_WINDOWS], batch).unwrap();
    assert!(ask.charges.len() <= 128);
    assert_eq!(ask.charges.iter().map(|charge| charge.permits[0]).sum::<u32>(), 900);
    let mut before = 0;
    for charge in ask.charges.iter().filter(|charge| charge.permits[0] > 0) {
        before += charge.permits[0];
        // The entry has the moment of its last permit.
        assert_eq!(charge.stamp, i64::from(before - 1) * 1_000 - 900_000);
    }
}

#[test]
fn a_moment_in_a_report_is_rounded_up_to_a_thousandth_of_the_period() {
    let mut purse = purse(OnFailure::Closed);
    purse.charge(MS + 1, &both(1));
    purse.charge(2 * MS, &both(1));
    let batch = purse.begin_ask(60 * MS, &[0; MAX_WINDOWS]).unwrap();
    let ask = purse.ask(60 * MS, &[0; MAX_WINDOWS], batch).unwrap();
    let charge = |permits| Charge { permits, stamp: -58_000 };
    assert_eq!(ask.charges, [charge([2, 0, 0, 0]), charge([0, 2, 0, 0])]);
}

#[test]
fn calls_with_the_same_wish_are_one_run_and_a_request_has_64() {
    let limits = [(LIMIT, PERIOD)];
    let mut batch = Batch::new(&limits, &Held::default());
    let mut add = |counts: &Counts, patience| batch.add(0, counts, patience, |_, _| None);
    let places = [(1, None), (1, None), (2, None), (1, Some(5 * MS)), (1, Some(5 * MS + 1)), (0, None), (13, None)];
    let places = places.map(|(count, patience)| add(&both(count), patience));
    let expected = [Place::Run(0), Place::Run(0), Place::Run(1), Place::Run(2), Place::Run(2)];
    assert_eq!(places[..5], expected);
    assert_eq!(places[5..], [Place::Covered; 2], "no permits, and more than the limit");
    for n in 3..64 {
        assert_eq!(add(&both(1 + n % 2), None), Place::Run(n));
    }
    assert_eq!(add(&both(3), None), Place::Full);
    let within = Some(Duration::from_millis(5));
    assert_eq!(batch.runs[2], Run { permits: [1, 0, 0, 0], calls: 2, within });
}

#[test]
fn the_hold_is_three_round_trips_and_falls_slowly() {
    let mut purse = purse(OnFailure::Closed);
    let mut holds = Vec::new();
    let mut now = 0;
    for trip in [5, 40, 40, 0, 0] {
        now += 1_000 * MS;
        purse.wish(&both(1));
        let batch = purse.begin_ask(now, &[0; MAX_WINDOWS]).unwrap();
        let ask = purse.ask(now, &[0; MAX_WINDOWS], batch).unwrap();
        holds.push(ask.hold.as_micros());
        now += trip * MS;
        purse.answered(now, &Answer::new(1));
    }
    assert_eq!(holds, [20_000, 20_000, 120_000, 120_000, 105_000]);
}

#[test]
fn the_store_is_asked_to_call_only_earlier_than_before() {
    let mut purse = purse(OnFailure::Closed);
    let none = [0; MAX_WINDOWS];
    let mut plan = |now: Nanos, wake_at: Nanos| {
        if purse.begin_ask(now, &none).is_some() {
            unreachable!("nothing to ask");
        }
        purse.plan_turn(now, &none, wake_at).map(nanos)
    };
    assert_eq!(plan(0, Nanos::MAX), None, "no waiter and no report");
    assert_eq!(plan(0, 100), Some(100));
    assert_eq!(plan(10, 120), None, "the call at 100 comes first");
    assert_eq!(plan(20, 60), Some(40));
    assert_eq!(plan(60, 100), None, "that of 100 is still to come");
    assert_eq!(plan(100, 120), Some(20));
    assert_eq!(plan(200, 150), Some(0), "overdue");
    assert_eq!(purse.plan_turn(MS, &none, MS), None, "asked for already, for 200");
    assert_eq!(purse.plan_turn(200 + OVERDUE, &none, MS), None);
    assert_eq!(purse.plan_turn(201 + OVERDUE, &none, MS), Some(Duration::ZERO), "lost");
}

#[test]
fn a_pause_that_has_ended_before_it_could_be_told_is_no_news() {
    for (until, told) in [(0, Some(Duration::ZERO)), (50 * MS, None), (150 * MS, Some(Duration::from_millis(50)))] {
        let mut purse = purse(OnFailure::Closed);
        purse.tell_pause(until);
        let batch = purse.begin_ask(100 * MS, &[0; MAX_WINDOWS]).unwrap();
        let ask = purse.ask(100 * MS, &[0; MAX_WINDOWS], batch).unwrap();
        assert_eq!(ask.pause, told);
    }
}
