//! The number of cases that the property tests in `src/` run.

use proptest::prelude::ProptestConfig;

/// Configures `number` cases, or `$PROPTEST_CASES` if it is set. Proptest itself reads the variable
/// only if no number is given.
pub(crate) fn cases(number: u32) -> ProptestConfig {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default()
    } else {
        ProptestConfig::with_cases(number)
    }
}
