//! Decorators that only watch: `timed`, `logged`, `traced` and `metered`.

mod recorder;

use super::subject::{beside, fetch};
use crate::{
    measure::{Pair, Side},
    target::Target,
};
use decor::{Metering, Timing, prelude::*};
use recorder::Exporter;
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use tracing::{
    Dispatch, Event, Metadata, Subscriber, dispatcher,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
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

/// A subscriber that wants neither spans nor events.
struct Off;

impl Subscriber for Off {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

pub(super) fn traced() -> Vec<Pair> {
    let (traced, off) = (fetch.traced("fetch"), Dispatch::new(Off));
    let ours = Side::awaited(move |id| traced.call(id)).within(move |calls| dispatcher::with_default(&off, calls));
    vec![Pair::new("bare call", "none", &ours, Side::awaited(fetch)).target([Target::Plus(3.0), Target::NoAllocation])]
}

pub(super) fn metered() -> Vec<Pair> {
    let metered = fetch.metered("fetch");
    let ours = Side::awaited(move |id| metered.call(id));
    vec![Pair::new("bare call", "none", &ours, Side::awaited(fetch)).target([Target::Plus(3.0), Target::NoAllocation])]
}

/// Beside a bare call, so that the difference is the time of the recording.
pub(super) fn recorded() -> Vec<Pair> {
    let metered = fetch.metered_with(Metering::new("fetch").by_result());
    let exporter = Exporter::new();
    let ours =
        Side::awaited(move |id| metered.call(id)).within(move |calls| metrics::with_local_recorder(&exporter, calls));
    let bare = Pair::new("bare call", beside("none"), &ours, Side::awaited(fetch));
    let macros = Pair::new("macros of metrics", beside("std"), &ours, by_macros());
    vec![bare.target([Target::Plus(100.0), Target::NoAllocation]), macros.target([Target::Ratio(1.0)])]
}

/// The same gauge and the same histogram, written by hand with the macros of the facade.
fn by_macros() -> Side {
    let exporter = Exporter::new();
    let by_hand = Side::awaited(|id| async move {
        let active = metrics::gauge!("decor.call.active", "name" => "fetch");
        active.increment(1.0);
        let begun = Instant::now();
        let answer = fetch(id).await;
        let elapsed = begun.elapsed().as_secs_f64();
        active.decrement(1.0);
        let outcome = if answer.is_ok() { "ok" } else { "err" };
        metrics::histogram!("decor.call.duration", "name" => "fetch", "outcome" => outcome).record(elapsed);
        answer
    });
    by_hand.within(move |calls| metrics::with_local_recorder(&exporter, calls))
}
