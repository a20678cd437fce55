//! Measures one side of a case at a time: `cargo bench -p decor-benches -- retry`.
//!
//! A thousand calls are timed together, so microseconds here are nanoseconds a call. `memo_cold`
//! and `retry_3` are slow, and are timed one by one.

use decor_benches::cases::{Named, sides};
use divan::{Bencher, counter::ItemsCount};

fn main() {
    divan::main();
}

fn run(bencher: Bencher<'_, '_>, side: &Named, calls: u64) {
    bencher.counter(ItemsCount::new(calls)).bench_local(|| side.side.run(calls));
}

macro_rules! groups {
    ($($group:ident: $calls:literal)*) => {$(
        #[divan::bench(args = sides(stringify!($group)))]
        fn $group(bencher: Bencher<'_, '_>, side: &Named) {
            run(bencher, side, $calls);
        }
    )*};
}

groups! {
    retry_ok: 1_000
    retry_3: 1
    timeout: 1_000
    paced: 1_000
    exact: 1_000
    memo_hit: 1_000
    memo_cold: 1
    chain: 1_000
    blocking: 1_000
    timed: 1_000
    logged: 1_000
    traced: 1_000
    metered: 1_000
    depth: 1_000
}
