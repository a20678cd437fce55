//! Each decorator is in the catalogue, in the tables of the documentation, and in the tables of the
//! tests.

use crate::every;
use decor::DECORATORS;
use std::{collections::BTreeSet, fs};

/// The tables that are made from the list in `every.rs`.
const FROM_THE_LIST: [&str; 6] = ["allocations", "auto_traits", "cancelled", "lazy", "names", "send"];

/// The decorators that sync functions do not have. `tests/ui` has rustc's message.
const ASYNC_ONLY: [&str; 1] = ["hedged"];

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The methods of the trait, without the stubs that exist only for diagnostics.
fn methods(path: &str, head: &str) -> BTreeSet<String> {
    let text = read(path);
    let (_, rest) = text.split_once(head).unwrap_or_else(|| panic!("no `{head}` in {path}"));
    let (body, _) = rest.split_once("\n}\n").expect("a closing brace of the trait");
    let signatures = body.split("\n    fn ").skip(1);
    let offered = signatures.filter(|signature| !signature.split(')').next().is_some_and(|s| s.contains("&mut self")));
    offered.map(|signature| signature.split(['(', '<']).next().expect("a name").to_owned()).collect()
}

/// The rows of the table of decorators in a document.
fn rows(path: &str) -> Vec<String> {
    let text = read(path);
    let lines = text.lines().map(|line| line.trim_start_matches("//! "));
    let table = lines.skip_while(|line| !line.starts_with("| decorator |")).take_while(|line| line.starts_with('|'));
    let rows = table.skip(2).map(ToOwned::to_owned).collect::<Vec<_>>();
    assert!(rows.len() > 10, "{path} has a table of decorators: {rows:?}");
    rows
}

/// `true` if the text calls the method.
fn calls(text: &str, decorator: &str) -> bool {
    [".timed(", ".timed::<"].iter().any(|call| text.contains(&call.replace("timed", decorator)))
}

#[track_caller]
fn assert_none_is_missing(table: &str, has: impl Fn(&str) -> bool) {
    let missing = DECORATORS.iter().filter(|decorator| !has(decorator)).collect::<Vec<_>>();
    assert!(missing.is_empty(), "{table} lacks: {missing:?}");
}

fn listed(decorators: &[&str]) -> BTreeSet<String> {
    let set = decorators.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(set.len(), decorators.len(), "a decorator is listed twice: {decorators:?}");
    set
}

#[test]
fn the_list_of_decorators_is_the_catalogue() {
    let catalogue = methods("src/fn_ext.rs", "pub trait FnExt<");
    assert!(catalogue.len() > 20, "{catalogue:?}");
    assert_none_is_missing("`FnExt` in src/fn_ext.rs", |decorator| catalogue.contains(decorator));
    let missing = catalogue.iter().filter(|method| !DECORATORS.contains(&method.as_str())).collect::<Vec<_>>();
    assert!(missing.is_empty(), "`for_each_decorator!` in src/decorators/mod.rs lacks: {missing:?}");
}

#[test]
fn each_decorator_is_in_the_table_of_the_front_page() {
    let rows = rows("src/lib.rs");
    let link = |decorator: &str| format!("[`{decorator}`](FnExt::{decorator})");
    assert_none_is_missing("the table in src/lib.rs", |decorator| {
        rows.iter().any(|row| row.contains(&link(decorator)))
    });
}

#[test]
fn each_decorator_is_in_the_table_of_the_readme() {
    let rows = rows("README.md");
    assert_none_is_missing("the table in README.md", |decorator| {
        rows.iter().any(|row| row.contains(&format!("`{decorator}(")))
    });
}

#[test]
fn each_decorator_has_a_scenario_in_the_parity_table() {
    let text = read("tests/it/parity.rs");
    let (_, scenarios) = text.rsplit_once("\nparity! {\n").expect("the table");
    assert_none_is_missing("tests/it/parity.rs", |decorator| {
        ASYNC_ONLY.contains(&decorator) || calls(scenarios, decorator)
    });
}

#[test]
fn each_decorator_is_in_the_list_of_the_other_tables() {
    let set = listed(every::DECORATORS);
    assert_none_is_missing("`every_decorator!` in tests/it/every.rs", |decorator| set.contains(decorator));
    assert_eq!(set, listed(DECORATORS), "tests/it/every.rs lists a name that is not a decorator");
}

#[test]
fn each_row_of_the_list_calls_its_own_decorator() {
    for line in read("tests/it/every.rs").lines() {
        if let Some((decorator, chain)) = line.trim().split_once(": |f| ") {
            assert!(calls(&chain.replace(' ', ""), decorator), "{line}");
        }
    }
}

#[test]
fn each_decorator_of_futures_is_in_the_list_of_the_other_tables() {
    let (offered, set) = (methods("src/future_ext.rs", "pub trait FutureExt"), listed(every::FUTURE_DECORATORS));
    let missing = offered.difference(&set).collect::<Vec<_>>();
    assert!(missing.is_empty(), "`every_future_decorator!` in tests/it/every.rs lacks: {missing:?}");
    assert_eq!(offered, set, "tests/it/every.rs lists a name that is not a decorator of futures");
}

#[test]
fn the_tables_come_from_the_list_and_contributing_names_them() {
    let contributing = read("CONTRIBUTING.md");
    for table in FROM_THE_LIST {
        let path = format!("tests/it/{table}.rs");
        assert!(read(&path).contains("every_decorator!("), "{path} does not come from `every_decorator!`");
        assert!(contributing.contains(&format!("`{table}.rs`")), "CONTRIBUTING.md does not name {path}");
    }
    for path in ["src/fn_ext.rs", "src/future_ext.rs", "src/decorators/mod.rs", "src/lib.rs", "README.md"] {
        assert!(contributing.contains(&format!("`{path}`")), "CONTRIBUTING.md does not name {path}");
    }
    for path in ["tests/it/parity.rs", "tests/it/every.rs", "tests/it/late.rs", "tests/ui"] {
        assert!(contributing.contains(&format!("`{path}")), "CONTRIBUTING.md does not name {path}");
    }
}
