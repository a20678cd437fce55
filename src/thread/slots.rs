//! The slots of the pool: decides which calls run, and which wait. A state machine without threads,
//! clocks and locks.
//!
//! A call needs a slot, and the number of slots is limited. A *nested* call is made by another call
//! of the pool, which only waits for it. A nested call shares its caller's slot. If nested calls
//! needed slots of their own, waiting callers could hold all slots and deadlock.
//!
//! Once the caller of a nested call has left, an admitted nested call takes a slot of its own, even
//! beyond the limit. Otherwise attempts that hang within a timeout would pile up uncounted. A
//! second, higher limit makes nested calls wait as well.
//!
//! | state | `admit` | `begin` | `cancel` | `detach` | `end` |
//! |---|---|---|---|---|---|
//! | queued, nested | → ready, sharing, if fewer than `nested_limit` are taken | | removed | → queued, top-level | |
//! | queued, top-level | → ready, own slot, if fewer than `top_level_limit` are taken | | removed | | |
//! | ready, sharing | | → running, sharing | removed | → ready, own slot | |
//! | ready, own slot | | → running, own slot | removed, slot released | | |
//! | running, sharing | | | → running, own slot | → running, own slot | ended |
//! | running, own slot | | | | | ended, slot released |
//! | ended, or removed | | | | | |
//!
//! A caller leaves by `cancel` or `detach`. A cancelled call is of no use without its caller, so it
//! is removed if it has not begun. A detached call goes on.
//!
//! Calls of one kind are admitted in the order in which they came. A call without room does not
//! hold up those of the other kind. Ready calls begin in the order in which they came.

use std::collections::{BTreeMap, BTreeSet};

/// The calls of a pool by their state. `J` is the job of a call, kept until the call begins.
///
/// Each call has a serial number, in the order in which the calls came.
#[derive(Debug)]
pub(super) struct Slots<J> {
    /// Number of taken slots from which top-level calls wait.
    top_level_limit: usize,
    /// Number of taken slots from which nested calls wait; at least `top_level_limit`.
    nested_limit: usize,
    next_serial: u64,
    nested: BTreeMap<u64, J>,
    top_level: BTreeMap<u64, J>,
    ready: BTreeMap<u64, J>,
    /// Serial numbers of the ready or running calls that share their caller's slot.
    sharing: BTreeSet<u64>,
    /// Number of calls with a slot of their own, ready or running.
    taken: usize,
}

impl<J> Slots<J> {
    pub(super) const fn new(top_level_limit: usize, nested_limit: usize) -> Self {
        Self {
            top_level_limit,
            nested_limit,
            next_serial: 0,
            nested: BTreeMap::new(),
            top_level: BTreeMap::new(),
            ready: BTreeMap::new(),
            sharing: BTreeSet::new(),
            taken: 0,
        }
    }

    /// Queues a call, and returns its serial number.
    pub(super) fn push(&mut self, is_nested: bool, job: J) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        if is_nested { &mut self.nested } else { &mut self.top_level }.insert(serial, job);
        serial
    }

    /// Makes the next call ready, if one is queued and has room.
    pub(super) fn admit(&mut self) -> Option<&mut J> {
        let nested = self.nested.keys().next().filter(|_| self.has_room(self.nested_limit));
        let top_level = self.top_level.keys().next().filter(|_| self.has_room(self.top_level_limit));
        let serial = *nested.or(top_level)?;
        let job = if let Some(job) = self.nested.remove(&serial) {
            self.sharing.insert(serial);
            job
        } else {
            self.taken += 1;
            self.top_level.remove(&serial)?
        };
        Some(self.ready.entry(serial).or_insert(job))
    }

    /// Returns `true` if fewer than `limit` slots are taken. Called once for each call that `admit`
    /// looks at.
    fn has_room(&self, limit: usize) -> bool {
        #[cfg(test)]
        tests::count_a_look();
        self.taken < limit
    }

    /// Number of calls that have been admitted and wait for a thread.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Takes the next ready call, which is running from now on.
    pub(super) fn begin(&mut self) -> Option<(u64, J)> {
        self.ready.pop_first()
    }

    pub(super) fn end(&mut self, serial: u64) {
        if !self.sharing.remove(&serial) {
            self.taken -= 1;
        }
    }

    /// Notes that the caller has left a call, and that the call is of no use without it. If the
    /// call has not begun, removes it and returns its job.
    pub(super) fn cancel(&mut self, serial: u64) -> Option<J> {
        let queued = self.nested.remove(&serial).or_else(|| self.top_level.remove(&serial));
        queued.or_else(|| {
            let ready = self.ready.remove(&serial);
            if ready.is_some() {
                self.end(serial);
            } else {
                self.detach(serial);
            }
            ready
        })
    }

    /// Notes that the caller has left a call that goes on without it.
    pub(super) fn detach(&mut self, serial: u64) {
        if let Some(job) = self.nested.remove(&serial) {
            self.top_level.insert(serial, job);
        } else if self.sharing.remove(&serial) {
            self.taken += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;
    use crate::cases::cases;
    use proptest::{collection::vec, prelude::*};
    use std::cell::Cell;

    thread_local! {
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    pub(super) fn count_a_look() {
        LOOKS.set(LOOKS.get() + 1);
    }

    fn admit_all<J>(slots: &mut Slots<J>) {
        while slots.admit().is_some() {}
    }

    fn all_taken() -> Slots<u64> {
        let mut slots = Slots::new(512, 1024);
        (0..512).for_each(|n| assert_eq!(slots.push(false, n), n));
        admit_all(&mut slots);
        (0..512).for_each(|n| assert_eq!(slots.begin(), Some((n, n))));
        slots
    }

    /// Regression: each call once looked at all calls that had timed out before it.
    #[test]
    fn a_call_that_times_out_in_the_queue_takes_constant_time() {
        let mut slots = all_taken();
        for n in 512..40_512 {
            LOOKS.set(0);
            assert_eq!(slots.push(false, n), n);
            assert!(slots.admit().is_none());
            assert_eq!(slots.cancel(n), Some(n));
            assert!(slots.admit().is_none());
            assert_eq!(LOOKS.get(), 1);
        }
        assert!(slots.top_level.is_empty() && slots.ready.is_empty());
    }

    #[test]
    fn a_call_that_waits_in_the_queue_takes_constant_time() {
        let mut slots = all_taken();
        for n in 512..40_512 {
            LOOKS.set(0);
            slots.push(false, n);
            assert!(slots.admit().is_none());
            assert_eq!(LOOKS.get(), 1);
        }
        for n in 0..39_999 {
            LOOKS.set(0);
            slots.end(n);
            assert_eq!(slots.admit(), Some(&mut (512 + n)));
            assert!(slots.admit().is_none());
            assert_eq!(slots.begin(), Some((512 + n, 512 + n)));
            assert_eq!(LOOKS.get(), 2);
        }
    }

    // ---- a naive model ----

    const SLOTS: usize = 3;
    const MAX_SLOTS: usize = 5;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Push { is_nested: bool },
        Begin,
        End(usize),
        Cancel(usize),
        Detach(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any::<bool>().prop_map(|is_nested| Step::Push { is_nested }),
            3 => Just(Step::Begin),
            2 => any::<usize>().prop_map(Step::End),
            2 => any::<usize>().prop_map(Step::Cancel),
            1 => any::<usize>().prop_map(Step::Detach),
        ]
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Stage {
        Queued,
        Ready,
        Running,
        Over,
    }

    #[derive(Debug)]
    struct Call {
        stage: Stage,
        /// `true` if it shares its caller's slot, or will when it is admitted.
        shares: bool,
        /// Number of times that it has begun.
        runs: u32,
        left_before_it_began: bool,
    }

    #[derive(Debug, Default)]
    struct Model {
        calls: Vec<Call>,
    }

    impl Model {
        fn taken(&self) -> usize {
            let takes = |call: &&Call| !call.shares && matches!(call.stage, Stage::Ready | Stage::Running);
            self.calls.iter().filter(takes).count()
        }

        fn admit(&mut self) {
            loop {
                let taken = self.taken();
                let has_room = |call: &Call| taken < if call.shares { MAX_SLOTS } else { SLOTS };
                let next = self.calls.iter().position(|call| call.stage == Stage::Queued && has_room(call));
                let Some(next) = next else { return };
                self.calls[next].stage = Stage::Ready;
            }
        }

        fn serials(&self, stage: Stage) -> Vec<usize> {
            (0..self.calls.len()).filter(|n| self.calls[*n].stage == stage).collect()
        }

        /// Updates a call when its caller leaves.
        fn leave(&mut self, n: usize, is_cancelled: bool) {
            let call = &mut self.calls[n];
            call.shares = false;
            if is_cancelled && matches!(call.stage, Stage::Queued | Stage::Ready) {
                call.stage = Stage::Over;
                call.left_before_it_began = true;
            }
        }
    }

    fn check(steps: Vec<Step>) -> Result<(), TestCaseError> {
        let mut slots = Slots::new(SLOTS, MAX_SLOTS);
        let mut model = Model::default();
        let pick = |all: &[usize], at: usize| (!all.is_empty()).then(|| all[at % all.len()]);
        for step in steps {
            match step {
                Step::Push { is_nested } => {
                    let serial = slots.push(is_nested, model.calls.len());
                    prop_assert_eq!(serial, model.calls.len() as u64);
                    let call = Call { stage: Stage::Queued, shares: is_nested, runs: 0, left_before_it_began: false };
                    model.calls.push(call);
                }
                Step::Begin => {
                    let next = model.serials(Stage::Ready).first().copied();
                    prop_assert_eq!(slots.begin(), next.map(|n| (n as u64, n)));
                    if let Some(n) = next {
                        model.calls[n].stage = Stage::Running;
                        model.calls[n].runs += 1;
                    }
                }
                Step::End(at) => {
                    if let Some(n) = pick(&model.serials(Stage::Running), at) {
                        slots.end(n as u64);
                        model.calls[n].stage = Stage::Over;
                    }
                }
                Step::Cancel(at) => {
                    let all: Vec<_> = (0..model.calls.len()).collect();
                    if let Some(n) = pick(&all, at) {
                        let had_begun = matches!(model.calls[n].stage, Stage::Running | Stage::Over);
                        model.leave(n, true);
                        prop_assert_eq!(slots.cancel(n as u64), (!had_begun).then_some(n));
                    }
                }
                Step::Detach(at) => {
                    let all: Vec<_> = (0..model.calls.len()).collect();
                    if let Some(n) = pick(&all, at) {
                        model.leave(n, false);
                        slots.detach(n as u64);
                    }
                }
            }
            let before = model.taken();
            admit_all(&mut slots);
            model.admit();
            prop_assert!(model.taken() <= before.max(SLOTS), "a call was admitted beyond the slots");
            prop_assert_eq!(slots.taken, model.taken());
            prop_assert_eq!(slots.ready.values().copied().collect::<Vec<_>>(), model.serials(Stage::Ready));
            let mut queued: Vec<_> = slots.nested.values().chain(slots.top_level.values()).copied().collect();
            queued.sort_unstable();
            prop_assert_eq!(
                queued,
                model.serials(Stage::Queued),
                "a removed call is still queued, or a queued call is missing"
            );
        }

        // Runs all calls that are left.
        loop {
            let (ready, running) = (model.serials(Stage::Ready), model.serials(Stage::Running));
            if ready.is_empty() && running.is_empty() {
                break;
            }
            for n in ready {
                prop_assert_eq!(slots.begin(), Some((n as u64, n)));
                model.calls[n].stage = Stage::Running;
                model.calls[n].runs += 1;
            }
            for n in running {
                slots.end(n as u64);
                model.calls[n].stage = Stage::Over;
            }
            admit_all(&mut slots);
            model.admit();
        }
        for call in &model.calls {
            prop_assert_eq!(call.stage, Stage::Over);
            prop_assert_eq!(
                call.runs,
                u32::from(!call.left_before_it_began),
                "each call runs once, unless it was removed before it began"
            );
        }
        prop_assert!(slots.nested.is_empty() && slots.top_level.is_empty() && slots.sharing.is_empty());
        prop_assert_eq!((slots.taken, slots.ready()), (0, 0));
        Ok(())
    }

    proptest! {
        #![proptest_config(cases(5_000))]

        #[test]
        fn calls_are_admitted_as_in_a_naive_model(steps in vec(step(), 0..80)) {
            check(steps)?;
        }
    }
}
