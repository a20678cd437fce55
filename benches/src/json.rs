//! The table as JSON: a list of objects, one for each case and peer.

use crate::measure::{Figures, Row};
use std::fmt::Write;

/// Returns all rows as a JSON list.
pub fn json(rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| format!("  {}", object(row))).collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}

fn object(row: &Row) -> String {
    let mut fields = vec![
        field("case", &text(&row.case)),
        field("peer", &text(row.peer)),
        field("ours_ns", &number(row.ours.nanos)),
        field("peer_ns", &number(row.peer_figures.nanos)),
        field("ratio", &number(row.ratio.medians)),
        field("spread", &format!("[{}, {}]", number(row.ratio.spread.0), number(row.ratio.spread.1))),
        field("ours_allocs", &number(row.ours.allocations)),
        field("peer_allocs", &number(row.peer_figures.allocations)),
        field("clock", &text(&row.clock)),
        field("rounds", &row.rounds.to_string()),
    ];
    more(&mut fields, "ours", &row.ours);
    more(&mut fields, "peer", &row.peer_figures);
    if let Some((nanos, bytes)) = row.each_further() {
        fields.push(field("ns_per_further", &number(nanos)));
        fields.push(field("bytes_per_further", &number(bytes)));
    }
    let verdicts = row.verdicts();
    let targets: Vec<_> = verdicts
        .iter()
        .map(|(target, met)| format!("{{{}, {}}}", field("target", &text(target)), field("met", &met.to_string())))
        .collect();
    fields.push(field("targets", &format!("[{}]", targets.join(", "))));
    format!("{{{}}}", fields.join(", "))
}

/// Adds the figures that only some rows have.
fn more(fields: &mut Vec<String>, side: &str, figures: &Figures) {
    let counts = [("future_bytes", figures.future), ("unfinished", figures.unfinished)];
    let numbers = [("polls", figures.polls), ("bytes_per_waiter", figures.bytes), ("ideal_ns", figures.ideal)];
    fields.extend(
        counts.iter().filter_map(|(name, count)| Some(field(&format!("{side}_{name}"), &(*count)?.to_string()))),
    );
    fields
        .extend(numbers.iter().filter_map(|(name, value)| Some(field(&format!("{side}_{name}"), &number((*value)?)))));
}

pub(crate) fn field(name: &str, value: &str) -> String {
    format!("{}: {value}", text(name))
}

/// Formats a number with up to six decimals; `null` for a `NaN`, which JSON lacks.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "null".to_owned();
    }
    let shown = format!("{value:.6}");
    shown.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(crate) fn text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => write!(quoted, "\\u{:04x}", u32::from(char)).expect("a string takes all"),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure::tests::row, target::Target};

    #[test]
    fn an_object_for_each_row() {
        let ours = Figures { nanos: 10.0, future: Some(64), ..Figures::default() };
        let peer = Figures { nanos: 40.0, allocations: 2.0, polls: Some(1.5), ..Figures::default() };
        let expected = r#"[
  {"case": "retry_ok", "peer": "backon", "ours_ns": 10, "peer_ns": 40, "ratio": 0.25, "spread": [0.25, 0.25], "ours_allocs": 0, "peer_allocs": 2, "clock": "none", "rounds": 15, "ours_future_bytes": 64, "peer_polls": 1.5, "targets": [{"target": "<= 0.30x", "met": true}]},
  {"case": "retry_ok", "peer": "backon", "ours_ns": 10, "peer_ns": 40, "ratio": 0.25, "spread": [0.25, 0.25], "ours_allocs": 0, "peer_allocs": 2, "clock": "none", "rounds": 15, "ours_future_bytes": 64, "peer_polls": 1.5, "targets": []}
]
"#;
        assert_eq!(json(&[row(ours, peer, &[Target::Ratio(0.3)]), row(ours, peer, &[])]), expected);
    }

    #[test]
    fn numbers_are_short_and_always_valid() {
        let shown: Vec<_> = [0.0, 100.0, 1.25, 0.000_356_49, f64::NAN, f64::INFINITY].into_iter().map(number).collect();
        assert_eq!(shown, ["0", "100", "1.25", "0.000356", "null", "null"]);
    }

    #[test]
    fn text_is_quoted() {
        assert_eq!(text("a \"b\" \\ \n"), r#""a \"b\" \\ \u000a""#);
    }
}
