//! Configs from files, reloads of handles, and statistics for output.

mod bad_files;
mod fields;
mod live;
mod load;
mod round_trips;
mod statistics;

use std::time::Duration;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Number of cases, or `PROPTEST_CASES` if it is set. proptest itself reads that variable only if
/// no number is given.
fn cases(number: u32) -> proptest::prelude::ProptestConfig {
    use proptest::prelude::ProptestConfig;
    if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default()
    } else {
        ProptestConfig::with_cases(number)
    }
}
