//! The rows of a picture, and the picture as text.

use super::{
    Step,
    longest::{longest, without_hints},
};
use std::fmt;

/// A row of the picture: a decorator, or the function.
pub(super) struct Row<'a> {
    pub(super) text: &'a str,
    /// The longest time of a call; empty for the function.
    pub(super) note: String,
}

/// The rows from the outside in. The last one is the function.
pub(super) fn rows<'a>(function: &'a str, steps: &'a [Step]) -> Vec<Row<'a>> {
    let longest = longest(steps);
    let note = |at: usize| {
        let inside = at.checked_sub(1).and_then(|inner| longest[inner]);
        match (longest[at], without_hints(&steps[at].kind, inside)) {
            (Some(longest), _) => format!("at most {longest:?}"),
            (None, Some(longest)) => format!("at most {longest:?}, hints aside"),
            (None, None) => "no bound".to_owned(),
        }
    };
    let decorators = (0..steps.len()).rev().map(|at| Row { text: &steps[at].text, note: note(at) });
    decorators.chain([Row { text: function, note: String::new() }]).collect()
}

/// Writes a tree, with the times in a column of their own.
pub(super) fn write(function: &str, steps: &[Step], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let rows = rows(function, steps);
    let width_of = |(depth, row): (usize, &Row<'_>)| indent(depth) + row.text.chars().count();
    let column = rows.iter().enumerate().map(width_of).max().unwrap_or_default() + 3;
    for (depth, row) in rows.iter().enumerate() {
        if depth > 0 {
            write!(f, "\n{:1$}└─ ", "", indent(depth - 1))?;
        }
        f.write_str(row.text)?;
        if !row.note.is_empty() {
            write!(f, "{:2$}{}", "", row.note, column - width_of((depth, row)))?;
        }
    }
    Ok(())
}

fn indent(depth: usize) -> usize {
    3 * depth
}
