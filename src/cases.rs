//! How many cases the property tests of this crate's modules run.

use proptest::prelude::ProptestConfig;

/// This number of cases, or `$PROPTEST_CASES`. Proptest itself reads that variable only if no
/// number is given.
pub(crate) fn cases(number: u32) -> ProptestConfig {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default()
    } else {
        ProptestConfig::with_cases(number)
    }
}
