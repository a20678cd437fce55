//! The table as text, and as Markdown.

use crate::{
    cases::ALL,
    measure::{Figures, Row},
};
use std::fmt::Write;

const HEADS: [&str; 10] =
    ["case", "peer", "clock", "ours ns", "peer ns", "ratio (spread)", "allocations", "futures", "target", ""];

const AHEAD: &str = " peer ahead";

/// Maximum difference from 1 of a ratio that counts as even.
const EVEN: f64 = 0.05;

/// Returns all rows in columns.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADS.map(str::to_owned)];
    let mut case = "";
    for row in rows {
        let mut line = cells(row);
        if std::mem::replace(&mut case, &row.case) == row.case {
            line[0].clear();
        }
        lines.push(line);
    }
    columns(&lines, &[3, 4])
}

/// Returns the rows as Markdown: the rows beside peers, the chains that grow, and a list of the
/// cases.
pub fn markdown(rows: &[Row]) -> String {
    let (chains, peers): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.each_further().is_some());
    let mut sections = Vec::new();
    if !peers.is_empty() {
        let heads = [
            "case",
            "peer",
            "clock",
            "decor ns",
            "peer ns",
            "ratio (spread)",
            "decor is",
            "allocations",
            "futures",
            "",
        ];
        sections.push(section("Beside peers", &heads, peers.into_iter().map(beside_a_peer)));
    }
    if !chains.is_empty() {
        let heads = ["chain", "beside", "ns", "its ns", "ratio (spread)", "futures", "each further decorator"];
        sections.push(section("Chains that grow", &heads, chains.into_iter().map(beside_a_shorter_chain)));
    }
    let mut about = "## Cases\n\n".to_owned();
    for case in ALL.iter().filter(|case| rows.iter().any(|row| row.case == case.id)) {
        writeln!(about, "- `{}`: {}", case.id, case.about).expect("a string takes all");
    }
    sections.push(about);
    sections.join("\n")
}

/// Returns a section of a Markdown document with a table.
pub(crate) fn section<S: AsRef<str>>(
    title: &str,
    heads: &[S],
    lines: impl Iterator<Item = impl AsRef<[String]>>,
) -> String {
    let names: Vec<_> = heads.iter().map(AsRef::as_ref).collect();
    let mut text = format!("## {title}\n\n| {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for line in lines {
        writeln!(text, "| {} |", line.as_ref().join(" | ")).expect("a string takes all");
    }
    text
}

fn beside_a_peer(row: &Row) -> [String; 10] {
    let [case, peer, clock, ours, theirs, ratio, allocations, futures, ..] = cells(row);
    let more = waiting(row).trim_start_matches("; ").to_owned();
    [case, peer, clock, ours, theirs, ratio.replace(AHEAD, ""), standing(row).to_owned(), allocations, futures, more]
}

fn beside_a_shorter_chain(row: &Row) -> [String; 7] {
    let [case, peer, _, ours, theirs, ratio, _, futures, ..] = cells(row);
    [case, peer, ours, theirs, ratio.replace(AHEAD, ""), futures, further(row)]
}

/// Returns where decor stands. Within [`EVEN`], two runs differ by more than the sides do.
fn standing(row: &Row) -> &'static str {
    match row.ratio.medians {
        ratio if ratio < 1.0 - EVEN => "ahead",
        ratio if ratio > 1.0 + EVEN => "behind",
        _ => "even",
    }
}

fn cells(row: &Row) -> [String; 10] {
    let (ours, peer) = (&row.ours, &row.peer_figures);
    let (low, high) = row.ratio.spread;
    let verdicts = row.verdicts();
    let missed: Vec<_> = verdicts.iter().filter(|(_, met)| !met).map(|(target, _)| target.as_str()).collect();
    let targets: Vec<_> = verdicts.iter().map(|(target, _)| target.as_str()).collect();
    let verdict = match row.met() {
        None => String::new(),
        Some(true) => "met".to_owned(),
        Some(false) if targets.len() == 1 => "missed".to_owned(),
        Some(false) => format!("missed: {}", missed.join(", ")),
    };
    let ahead = if row.ratio.medians > 1.0 { AHEAD } else { "" };
    let more = |nanos: f64| if peer.unfinished.is_some() { format!("> {nanos}") } else { nanos.to_string() };
    let peer_nanos = more(peer.nanos.round());
    [
        row.case.clone(),
        row.peer.to_owned(),
        row.clock.clone().into_owned(),
        nanos(ours.nanos),
        if peer.unfinished.is_some() { peer_nanos } else { nanos(peer.nanos) },
        format!("{}x ({}-{}){ahead}", times(row.ratio.medians), times(low), times(high)),
        format!("{} / {}", count(ours.allocations), count(peer.allocations)),
        futures(ours, peer),
        targets.join(", "),
        verdict + &waiting(row) + &further(row),
    ]
}

fn nanos(nanos: f64) -> String {
    if nanos < 100.0 { format!("{nanos:.1}") } else { format!("{nanos:.0}") }
}

/// Formats a ratio with at least two significant digits.
pub(crate) fn times(ratio: f64) -> String {
    if ratio < 0.095 && ratio > 0.0 { format!("{ratio:.4}") } else { format!("{ratio:.2}") }
}

fn count(count: f64) -> String {
    if count.fract() == 0.0 { format!("{count}") } else { format!("{count:.2}") }
}

fn futures(ours: &Figures, peer: &Figures) -> String {
    match (ours.future, peer.future) {
        (None, None) => String::new(),
        (ours, peer) => {
            let shown = |size: Option<usize>| size.map_or_else(|| "-".to_owned(), |size| size.to_string());
            format!("{} / {}", shown(ours), shown(peer))
        }
    }
}

/// Formats the figures that only waiters have.
fn waiting(row: &Row) -> String {
    let (ours, peer) = (&row.ours, &row.peer_figures);
    let (Some(polls), Some(bytes), Some(ideal)) = (ours.polls, ours.bytes, ours.ideal) else { return String::new() };
    let (peer_polls, peer_bytes) = (peer.polls.unwrap_or(f64::NAN), peer.bytes.unwrap_or(f64::NAN));
    let late = |nanos: f64| format!("{:+.2} %", (nanos / ideal - 1.0) * 100.0);
    let mut text = format!(
        "; off the schedule {} / {}, polls {polls:.2} / {peer_polls:.2}, bytes {bytes:.0} / {peer_bytes:.0}",
        late(ours.nanos),
        late(peer.nanos)
    );
    if let Some(unfinished) = peer.unfinished {
        write!(text, "; {} was cut off with {unfinished} still waiting", row.peer).expect("a string takes all");
    }
    text
}

/// Formats the figures that only growing chains have.
fn further(row: &Row) -> String {
    row.each_further().map_or_else(String::new, |(nanos, bytes)| {
        format!("{nanos:+.1} ns, {bytes:+.0} bytes for each further decorator")
    })
}

/// Aligns the columns. The `right` ones are figures, and stand to the right.
pub(crate) fn columns(lines: &[impl AsRef<[String]>], right: &[usize]) -> String {
    let width = |column: usize| lines.iter().map(|line| line.as_ref()[column].len()).max().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        let mut shown = String::new();
        for (column, cell) in line.as_ref().iter().enumerate() {
            let width = width(column);
            let _ = if right.contains(&column) {
                write!(shown, "{cell:>width$}  ")
            } else {
                write!(shown, "{cell:<width$}  ")
            };
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure::tests::row, target::Target};

    #[test]
    fn a_row_names_a_peer_that_is_ahead_and_a_missed_target() {
        let ours = Figures { nanos: 12.0, future: Some(64), ..Figures::default() };
        let peer = Figures { nanos: 10.0, allocations: 2.0, ..Figures::default() };
        let text = table(&[row(ours, peer, &[Target::Ratio(1.0)]), row(peer, ours, &[Target::Ratio(1.0)])]);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].contains("1.20x (1.20-1.20) peer ahead"), "{text}");
        assert!(lines[1].ends_with("<= 1.00x  missed"), "{text}");
        assert!(lines[1].contains("0 / 2") && lines[1].contains("64 / -"), "{text}");
        assert!(lines[2].ends_with("<= 1.00x  met") && !lines[2].contains("ahead"), "{text}");
        assert!(lines[2].starts_with("          backon"), "the case is named once: {text}");
    }

    #[test]
    fn markdown_has_a_line_for_each_row_with_decors_standing() {
        let figures = |nanos| Figures { nanos, ..Figures::default() };
        let rows = [(12.0, 10.0), (9.0, 10.0), (10.4, 10.0)].map(|(ours, peer)| row(figures(ours), figures(peer), &[]));
        let text = markdown(&rows);
        let lines: Vec<_> = text.lines().filter(|line| line.contains("backon")).collect();
        assert_eq!(lines.len(), 3, "{text}");
        for (line, standing) in lines.into_iter().zip(["behind", "ahead", "even"]) {
            assert!(line.contains(&format!(" | {standing} | ")), "{line}");
            assert_eq!(line.matches('|').count(), 11, "{line}");
        }
        assert!(!text.contains("missed") && !text.contains("Chains"), "{text}");
    }
}
