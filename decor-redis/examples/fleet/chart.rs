//! The admissions of the processes over time, stacked, as an SVG.

use crate::{LASTS, LIMIT, records::Record};
use std::{fmt::Write, ops::Range};

/// Time of a column, in nanoseconds.
const COLUMN: u64 = 100_000_000;
/// Width of a column in the picture.
const STEP: u64 = 9;
const HEIGHT: u64 = 220;
const LEFT: u64 = 36;
const TOP: u64 = 34;
const COLORS: [&str; 4] = ["#3b6ea8", "#5fa37a", "#c98b3b", "#8a5aa3"];

pub(crate) fn chart(records: &[Record], down: Option<&Range<u64>>) -> String {
    let columns = u64::try_from(LASTS.as_nanos()).unwrap() / COLUMN + 5;
    let width = LEFT + columns * STEP + 20;
    // A burst of the whole limit fits.
    let scale = |calls: usize| calls as u64 * HEIGHT / u64::from(LIMIT);
    let x = |moment: u64| LEFT + moment * STEP / COLUMN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        TOP + HEIGHT + 40,
    );
    let mut add = |line: String| writeln!(out, "{line}").unwrap();
    add(format!("<text x=\"{LEFT}\" y=\"18\">calls in 100 ms, by process: {LIMIT} per second for all</text>"));
    if let Some(down) = down {
        let (from, to) = (x(down.start), x(down.end));
        add(format!("<rect x=\"{from}\" y=\"{TOP}\" width=\"{}\" height=\"{HEIGHT}\" fill=\"#f3d6d6\"/>", to - from));
        add(format!("<text x=\"{}\" y=\"{}\" fill=\"#a33\">no server</text>", from + 4, TOP + 14));
    }
    for column in 0..columns {
        let stretch = column * COLUMN..(column + 1) * COLUMN;
        let mut below = 0;
        for (record, color) in records.iter().zip(COLORS.iter().cycle()) {
            let calls = record.moments.iter().filter(|moment| stretch.contains(moment)).count();
            let (from, to) = (scale(below), scale(below + calls));
            below += calls;
            if to > from {
                let (x, y) = (x(stretch.start), TOP + HEIGHT.saturating_sub(to));
                add(format!(
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"{color}\"/>",
                    STEP - 1,
                    to - from
                ));
            }
        }
    }
    for calls in [0, LIMIT / 2, LIMIT] {
        let y = TOP + HEIGHT - scale(calls as usize);
        add(format!("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{calls}</text>", LEFT - 6, y + 4));
        add(format!("<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#ddd\"/>", width - 20));
    }
    for second in 0..=LASTS.as_secs() {
        let x = x(second * 1_000_000_000);
        add(format!("<text x=\"{x}\" y=\"{}\">{second} s</text>", TOP + HEIGHT + 18));
    }
    out + "</svg>\n"
}
