//! Hedges and fallbacks that a call does not need.

use super::subject::{Answer, SECOND, fetch, read};
use crate::{
    measure::{Pair, Side},
    target::Target,
};
use decor::{Hedge, prelude::*};
use futures::TryFutureExt as _;
use std::{
    future::ready,
    io::Error,
    task::{Context, Poll},
};
use tower::{
    Service,
    hedge::{self, Policy},
    service_fn,
};

/// Share of the calls that end before a hedge.
const PERCENTILE: f32 = 0.95;

/// Hedges every request.
#[derive(Debug, Clone)]
struct Any;

impl Policy<u64> for Any {
    fn clone_request(&self, id: &u64) -> Option<u64> {
        Some(*id)
    }

    fn can_retry(&self, _: &u64) -> bool {
        true
    }
}

/// A service that is made anew by each clone, because tower's hedge is not `Clone`.
#[derive(Debug)]
struct Renewed<M, S> {
    make: M,
    service: S,
}

impl<M: Fn() -> S, S> Renewed<M, S> {
    fn new(make: M) -> Self {
        Self { service: make(), make }
    }
}

impl<M: Fn() -> S + Clone, S> Clone for Renewed<M, S> {
    fn clone(&self) -> Self {
        Self::new(self.make.clone())
    }
}

impl<M, S: Service<u64>> Service<u64> for Renewed<M, S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, id: u64) -> S::Future {
        self.service.call(id)
    }
}

pub(super) fn fixed() -> Vec<Pair> {
    let hedged = fetch.hedged(SECOND);
    let ours = Side::awaited(move |id| hedged.call(id));
    let target = [Target::Plus(20.0), Target::NoAllocation];
    vec![Pair::new("bare call", "none", &ours, Side::awaited(fetch)).target(target)]
}

pub(super) fn percentile() -> Vec<Pair> {
    let hedged = fetch.hedged(Hedge::percentile(PERCENTILE.into()));
    let ours = Side::awaited(move |id| hedged.call(id));
    let tower = || hedge::Hedge::new(service_fn(fetch), Any, 100, PERCENTILE, SECOND);
    vec![
        Pair::new("bare call", "none", &ours, Side::awaited(fetch)).target([Target::Plus(20.0), Target::NoAllocation]),
        Pair::new("tower", "none / std", &ours, Side::service(Renewed::new(tower))).target([Target::Ratio(1.0)]),
    ]
}

pub(super) fn fallback() -> Vec<Pair> {
    let answered = fetch.fallback(|_: Error, id: u64| ready(read(id)));
    let ours = Side::awaited(move |id| answered.call(id));
    let or_else = Side::awaited(|id| fetch(id).or_else(move |_: Error| ready(read(id))));
    vec![
        Pair::new("bare call", "none", &ours, Side::awaited(fetch)).target([Target::Plus(1.5), Target::NoAllocation]),
        Pair::new("futures' or_else", "none", &ours, or_else).target([Target::Ratio(1.1)]),
    ]
}

pub(super) fn fallback_to() -> Vec<Pair> {
    async fn replica(id: u64) -> Answer {
        read(id)
    }

    let answered = fetch.fallback_to(replica);
    let ours = Side::awaited(move |id| answered.call(id));
    vec![Pair::new("bare call", "none", &ours, Side::awaited(fetch)).target([Target::Plus(1.0), Target::NoAllocation])]
}
