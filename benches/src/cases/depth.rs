//! The cost of each further decorator: chains of one to eight decorators, beside the shortest.

use super::subject::{DELAY, SECOND, fetch};
use crate::measure::{Pair, Side};
use decor::prelude::*;

/// The chain of a number of decorators.
macro_rules! chain {
    (1) => {
        fetch.timeout(SECOND)
    };
    (2) => {
        chain!(1).retry_with(RetryPolicy::exponential(DELAY))
    };
    (3) => {
        chain!(2).timeout(10 * SECOND)
    };
    (4) => {
        chain!(3).validated(|_: &u64| Ok::<_, &str>(()))
    };
    (5) => {
        chain!(4).logged()
    };
    (6) => {
        chain!(5).timed("fetch")
    };
    (7) => {
        chain!(6).timeout(60 * SECOND)
    };
    (8) => {
        chain!(7).retry_with(RetryPolicy::fixed(SECOND))
    };
}

macro_rules! side {
    ($depth:tt) => {{
        let chain = chain!($depth);
        Side::awaited(move |id| chain.call(id))
    }};
}

macro_rules! beside_the_shortest {
    ($($name:ident = $depth:tt)*) => {$(
        pub(super) fn $name() -> Vec<Pair> {
            vec![Pair::new("depth_1", "none", &side!($depth), side!(1)).further($depth - 1)]
        }
    )*};
}

beside_the_shortest! { depth_2 = 2 depth_3 = 3 depth_4 = 4 depth_5 = 5 depth_6 = 6 depth_7 = 7 depth_8 = 8 }

pub(super) fn depth_1() -> Vec<Pair> {
    vec![Pair::new("bare call", "none", &side!(1), Side::awaited(fetch)).further(1)]
}
