//! A timeout that does not fire.

use super::subject::{SECOND, fetch, fetch_later};
use crate::{
    measure::{Pair, Side},
    target::Target,
};
use decor::prelude::*;
use tokio::time;

pub(super) fn ready() -> Vec<Pair> {
    let bounded = fetch.timeout(SECOND);
    let ours = Side::awaited(move |id| bounded.call(id));
    let tokio = Side::awaited(|id| time::timeout(SECOND, fetch(id)));
    vec![Pair::new("tokio", "none / tokio", &ours, tokio).target([Target::Ratio(0.3)])]
}

pub(super) fn pending() -> Vec<Pair> {
    let bounded = fetch_later.timeout(SECOND);
    let ours = Side::awaited(move |id| bounded.call(id));
    let tokio = Side::awaited(|id| time::timeout(SECOND, fetch_later(id)));
    vec![Pair::new("tokio", "tokio", &ours, tokio).target([Target::Ratio(1.05)])]
}
