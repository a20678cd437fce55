//! The compiler's messages to common mistakes, and a test that their advice compiles and runs.
//!
//! Each `tests/ui/fail/<case>.rs` is a program with a mistake. Most of the programs go on to call
//! the chain, as a user's program does, and so get further errors. The file beside the program
//! records them. The twin `tests/ui/pass/<case>.rs` follows the advice of the first error. The twin
//! is a module of this binary and runs as a test.
//!
//! `the_first_error_is_not_buried` prints the first errors, and bounds the number of lines that
//! follow them:
//!
//! ```sh
//! cargo test --test it ui::the_first -- --nocapture
//! ```
//!
//! After a change, `TRYBUILD=overwrite cargo test --test it ui::` records the errors again. Read
//! them.

use std::{collections::BTreeSet, env, ffi::OsStr, fs, path::Path, process::Command};

/// Maximum number of lines that follow the first error, over all programs. With one impl for each
/// of the traits of `.call(..)` there were four times as many: see DESIGN.md.
const LINES_AFTER_THE_FIRST_ERROR: usize = 250;

/// The recorded messages are those of this release, because every release changes some of them.
const RECORDED_WITH: &str = "rustc 1.95.";

macro_rules! cases {
    ($($case:ident)*) => {
        const CASES: &[&str] = &[$(stringify!($case)),*];

        #[path = "../ui/pass"]
        #[allow(unreachable_pub, clippy::unused_async)] // each twin is a program of its own
        mod pass {$(
            mod $case;

            #[test]
            fn $case() {
                $case::main();
            }
        )*}
    };
}
cases! {
    argument_not_clone
    argument_not_debug
    attribute_awaited
    attribute_on_unsafe
    attribute_with_a_new_limiter
    attribute_with_another_type
    attribute_without_a_dot
    awaited_with_arguments
    backing_off_plain_output
    blocking_awaited
    blocking_counter_called
    blocking_forgotten
    blocking_hedged
    blocking_of_async
    blocking_run_with_arguments
    blocking_timeout_not_send
    blocking_timeout_of_borrowed
    boxed_with_borrowed_argument
    called_with_too_few
    concurrency_plain_output
    context_by_reference
    counter_called
    counting_async_closure
    detached_with_borrowed_argument
    error_not_display
    error_without_from
    fallback_to_another_output
    fallback_without_arguments
    gate_not_clone
    gate_on_plain_output
    guarded_transient_unimplemented
    hedged_counter
    hedged_plain_output
    invalidating_by_another_key
    invalidating_plain_output
    lending_closure
    limited_closure_called
    memo_key_not_hash
    memo_of_another_value
    memo_unannotated
    memo_value_not_clone
    memoized_by_another_key
    memoized_counter_called
    memoized_error_without_from
    memoized_future
    memoized_future_by_another_key
    memoized_method
    memoized_without_arguments
    not_a_gate
    observed_unknown
    plain_output_bounded
    plain_output_guarded
    plain_output_logged
    plain_output_metered_by_result
    plain_output_retried
    plain_output_traced
    predicate_of_another_error
    reference_as_callable
    retried_counter_called
    retried_future
    retried_once
    settled_gate
    settled_plain_output
    shared_counter_decorated
    shared_error_not_clone
    span_not_annotated
    stack_called
    stack_of_another_error
    stack_over_arguments
    transient_unimplemented
    validated_future
    validation_by_bool
    validation_by_value
    validation_of_too_few
    validation_unannotated
}

#[test]
fn mistakes_are_answered_with_advice() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("rustc answers").stdout;
    let version = String::from_utf8_lossy(&version);
    if version.starts_with(RECORDED_WITH) {
        trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
    } else {
        println!("skipped: the errors were recorded with {RECORDED_WITH}x, and this is {version}");
    }
}

#[test]
fn each_mistake_has_a_twin() {
    let cases = CASES.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(files("tests/ui/fail", "rs"), cases);
    assert_eq!(files("tests/ui/fail", "stderr"), cases);
    assert_eq!(files("tests/ui/pass", "rs"), cases);

    for case in cases {
        let stderr = fs::read_to_string(format!("tests/ui/fail/{case}.stderr")).unwrap();
        // rustc names a closure by its path, and changes its message if a name in it is long.
        let depends_on_the_path = |line: &&str| line.contains("^ ") && line.contains("closure@$DIR");
        assert_eq!(stderr.lines().find(depends_on_the_path), None, "{case} holds in some directories only");
    }
}

#[test]
fn the_first_error_is_not_buried() {
    let mut sum = 0;
    for case in files("tests/ui/fail", "rs") {
        let stderr = fs::read_to_string(format!("tests/ui/fail/{case}.stderr")).unwrap();
        let lines = stderr.lines().collect::<Vec<_>>();
        let errors = (0..lines.len()).filter(|at| lines[*at].starts_with("error")).collect::<Vec<_>>();
        let after = errors.get(1).map_or(0, |second| lines.len() - second);
        println!("{after:3} lines after the first error of {case}: {}", lines[errors[0]]);
        sum += after;
    }
    println!("{sum:3} lines in all, at most {LINES_AFTER_THE_FIRST_ERROR}");
    assert!(sum <= LINES_AFTER_THE_FIRST_ERROR, "{sum} lines follow the first errors");
}

/// Names of the files with this extension, without the extension.
fn files(directory: &str, extension: &str) -> BTreeSet<String> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let stem = |path: &Path| path.file_stem().and_then(OsStr::to_str).unwrap().to_owned();
    paths.filter(|path| path.extension() == Some(extension.as_ref())).map(|path| stem(&path)).collect()
}
