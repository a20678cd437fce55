//! Decorators that only watch: `timed` and `logged`.

use super::subject::{beside, fetch};
use crate::{
    measure::{Pair, Side},
    target::Target,
};
use decor::{Timing, prelude::*};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Takes a measured time, and is not inlined.
#[inline(never)]
fn record(elapsed: Duration) {
    black_box(elapsed);
}

pub(super) fn timed() -> Vec<Pair> {
    let timed = fetch.timed_with(Timing::new("fetch").record_to(|measured| record(measured.elapsed)));
    let ours = Side::awaited(move |id| timed.call(id));
    let by_hand = Side::awaited(|id| async move {
        let begun = Instant::now();
        let answer = fetch(id).await;
        record(begun.elapsed());
        answer
    });
    vec![Pair::new("two clock reads", beside("std"), &ours, by_hand).target([Target::Ratio(1.1)])]
}

pub(super) fn logged() -> Vec<Pair> {
    let logged = fetch.logged();
    let ours = Side::awaited(move |id| logged.call(id));
    vec![Pair::new("bare call", "none", &ours, Side::awaited(fetch)).target([Target::Plus(4.0)])]
}
