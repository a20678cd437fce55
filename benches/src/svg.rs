//! The table as a chart with a bar for each row, to the left if decor is faster. The colours follow
//! the light or the dark theme.

use crate::{measure::Row, table::times};
use std::fmt::Write;

const LINE: f64 = 22.0;
const TOP: f64 = 62.0;
/// Horizontal range of the bars. In the middle both sides are equally fast.
const LEFT: f64 = 300.0;
const RIGHT: f64 = 780.0;
const MIDDLE: f64 = f64::midpoint(LEFT, RIGHT);
/// Ratio at either end of the scale.
const END: f64 = 32.0;
const WIDTH: f64 = 980.0;

const STYLE: &str = "
  svg { background: #ffffff; }
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .head { font-size: 17px; font-weight: 600; }
  .small { font-size: 11px; fill: #59636e; }
  .grid { stroke: #d1d9e0; }
  .even { stroke: #59636e; stroke-width: 1.5; }
  .ahead { fill: #1a7f37; }
  .behind { fill: #bc4c00; }
  .spread { stroke: #1f2328; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; }
    text { fill: #f0f6fc; }
    .small { fill: #9198a1; }
    .grid { stroke: #3d444d; }
    .even { stroke: #9198a1; }
    .ahead { fill: #3fb950; }
    .behind { fill: #f0883e; }
    .spread { stroke: #f0f6fc; }
  }
";

/// Returns the chart of all rows.
pub fn svg(rows: &[Row]) -> String {
    let height = TOP + LINE * rows.len() as f64 + 16.0;
    let mut chart = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">Time of decor to that of its peers</title>\n<style>{STYLE}</style>\n"
    );
    line(&mut chart, 16.0, 24.0, "head", "start", "Time of decor to that of its peers");
    for times in [32.0, 8.0, 2.0, 1.0, 0.5, 0.125, 1.0 / 32.0] {
        let x = place(1.0 / times);
        let class = if (1.0 - times).abs() < f64::EPSILON { "even" } else { "grid" };
        writeln!(chart, r#"<line class="{class}" x1="{x:.1}" x2="{x:.1}" y1="{}" y2="{}"/>"#, TOP - 8.0, height - 12.0)
            .expect("a string takes all");
        let label = match times {
            times if times > 1.0 => format!("{times}x faster"),
            times if times < 1.0 => format!("{}x slower", 1.0 / times),
            _ => "even".to_owned(),
        };
        line(&mut chart, x, TOP - 14.0, "small", "middle", &label);
    }
    for (place, row) in rows.iter().enumerate() {
        bar(&mut chart, TOP + LINE * place as f64, row);
    }
    chart.push_str("</svg>\n");
    chart
}

fn bar(chart: &mut String, top: f64, row: &Row) {
    let text = top + LINE * 0.68;
    line(chart, 16.0, text, "", "start", &row.case);
    line(chart, LEFT - 12.0, text, "small", "end", row.peer);
    let (end, class) = (place(row.ratio.medians), if row.ratio.medians > 1.0 { "behind" } else { "ahead" });
    let (x, width) = (end.min(MIDDLE), (end - MIDDLE).abs().max(1.0));
    let (y, height) = (top + 4.0, LINE - 8.0);
    writeln!(chart, r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2"/>"#)
        .expect("a string takes all");
    let (low, high) = (place(row.ratio.spread.0), place(row.ratio.spread.1));
    let y = top + LINE / 2.0;
    writeln!(chart, r#"<line class="spread" x1="{low:.1}" x2="{high:.1}" y1="{y:.1}" y2="{y:.1}"/>"#)
        .expect("a string takes all");
    let shown = format!("{}x  ({} / {})", times(row.ratio.medians), time(row.ours.nanos), time(row.peer_figures.nanos));
    line(chart, RIGHT + 12.0, text, "small", "start", &shown);
}

/// Returns the position of a ratio on a logarithmic scale. Ratios beyond an end are drawn at that
/// end.
fn place(ratio: f64) -> f64 {
    let part = ratio.clamp(1.0 / END, END).ln() / END.ln();
    MIDDLE + part * (RIGHT - MIDDLE)
}

/// Formats nanoseconds with a fitting unit.
fn time(nanos: f64) -> String {
    let (value, unit) = match nanos {
        nanos if nanos < 1e3 => (nanos, "ns"),
        nanos if nanos < 1e6 => (nanos / 1e3, "\u{b5}s"),
        nanos if nanos < 1e9 => (nanos / 1e6, "ms"),
        nanos => (nanos / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

fn line(chart: &mut String, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(chart, r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#)
        .expect("a string takes all");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Figures, tests::row};

    #[test]
    fn faster_is_left_slower_is_right_within_the_scale() {
        assert!((place(1.0) - MIDDLE).abs() < 1e-9);
        assert!((place(0.001) - LEFT).abs() < 1e-9 && (place(0.0) - LEFT).abs() < 1e-9);
        assert!((place(1_000.0) - RIGHT).abs() < 1e-9);
        assert!(place(0.5) < MIDDLE && place(2.0) > MIDDLE);
    }

    #[test]
    fn times_are_short() {
        let shown: Vec<_> = [4.7, 32.04, 320.4, 1_500.0, 2_165_323.0, 1_002_855_964.0].into_iter().map(time).collect();
        assert_eq!(shown, ["4.70 ns", "32.0 ns", "320 ns", "1.50 \u{b5}s", "2.17 ms", "1.00 s"]);
    }

    #[test]
    fn a_bar_for_each_row() {
        let (ours, peer) =
            (Figures { nanos: 20.0, ..Figures::default() }, Figures { nanos: 10.0, ..Figures::default() });
        let chart = svg(&[row(ours, peer, &[]), row(peer, ours, &[])]);
        assert_eq!((chart.matches("<rect").count(), chart.matches(r#"class="behind""#).count()), (2, 1));
        assert!(chart.starts_with("<svg ") && chart.ends_with("</svg>\n"));
    }
}
