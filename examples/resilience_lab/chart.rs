//! A retry storm as a chart: the load on the service, and the answers of its callers.

use super::{
    chains::Chain,
    numbers::float,
    scenarios::{Results, Scenario},
    service::CAPACITY,
};
use std::{fmt::Write, time::Duration};

/// Span of time that a point of a line counts.
const SPAN: Duration = Duration::from_millis(500);
const SECONDS: f64 = 30.0;

const LEFT: f64 = 60.0;
const RIGHT: f64 = 640.0;

/// A diagram with an axis of time.
struct Panel {
    title: &'static str,
    top: f64,
    bottom: f64,
    /// Number of calls in a second at the top.
    most: f64,
    /// Numbers with a line across the panel.
    marks: &'static [u32],
}

impl Panel {
    fn x(second: f64) -> f64 {
        LEFT + second / SECONDS * (RIGHT - LEFT)
    }

    fn y(&self, per_second: f64) -> f64 {
        self.bottom - per_second / self.most * (self.bottom - self.top)
    }

    fn frame(&self, svg: &mut String) {
        let Self { title, top, bottom, .. } = *self;
        let [begin, end] = [5.0, 10.0].map(Self::x);
        let (width, height) = (end - begin, bottom - top);
        let _ = writeln!(svg, r#"<text x="{LEFT}" y="{}" class="strong">{title}</text>"#, top - 14.0);
        let _ =
            writeln!(svg, r#"<rect class="outage" x="{begin:.1}" y="{top}" width="{width:.1}" height="{height}"/>"#);
        for mark in self.marks {
            let y = self.y(f64::from(*mark));
            let _ = writeln!(svg, r#"<path class="grid" d="M{LEFT} {y:.1}H{RIGHT}"/>"#);
            let _ = writeln!(
                svg,
                r#"<text x="{}" y="{:.1}" class="note" text-anchor="end">{mark}</text>"#,
                LEFT - 8.0,
                y + 4.0
            );
        }
        for second in [0, 5, 10, 15, 20, 25, 30] {
            let x = Self::x(f64::from(second));
            let _ = writeln!(
                svg,
                r#"<text x="{x:.1}" y="{}" class="note" text-anchor="middle">{second} s</text>"#,
                bottom + 18.0
            );
        }
    }

    fn line(&self, svg: &mut String, class: &str, label: &str, counts: &[usize]) {
        let points: Vec<_> = counts
            .iter()
            .enumerate()
            .map(|(n, count)| {
                let per_second = float(*count) / SPAN.as_secs_f64();
                format!("{:.1} {:.1}", Self::x((float(n) + 0.5) * SPAN.as_secs_f64()), self.y(per_second))
            })
            .collect();
        let _ = writeln!(svg, r#"<path class="{class}line" d="M{}"/>"#, points.join("L"));
        // The label stands beside the end of the line.
        let end = float(counts[counts.len() - 6..].iter().sum()) / 6.0 / SPAN.as_secs_f64();
        let _ =
            writeln!(svg, r#"<text x="{}" y="{:.1}" class="{class}">{label}</text>"#, RIGHT + 6.0, self.y(end) + 4.0);
    }
}

pub(crate) fn storm(results: &Results) -> String {
    let [naive, budget] = [Chain::Retry, Chain::Budget].map(|chain| results.of(Scenario::Down, chain));
    let load = Panel {
        title: "calls that arrive at the service, per second",
        top: 50.0,
        bottom: 210.0,
        most: 350.0,
        marks: &[0, 100, 200, 300],
    };
    let answers = Panel {
        title: "answers that callers get, per second",
        top: 286.0,
        bottom: 386.0,
        most: 120.0,
        marks: &[0, 50, 100],
    };

    let mut svg = HEAD.to_owned();
    for panel in [&load, &answers] {
        panel.frame(&mut svg);
    }
    let y = load.y(f64::from(CAPACITY));
    let _ = writeln!(svg, r#"<path class="dash" d="M{LEFT} {y:.1}H{RIGHT}"/>"#);
    let _ = writeln!(svg, r#"<text x="{}" y="{:.1}" class="note">room for {CAPACITY}</text>"#, LEFT + 4.0, y - 6.0);
    load.line(&mut svg, "bad", "retry", &naive.arrivals_each(SPAN));
    load.line(&mut svg, "good", "retry + budget", &budget.arrivals_each(SPAN));
    answers.line(&mut svg, "bad", "retry", &naive.answers_each(SPAN));
    answers.line(&mut svg, "good", "retry + budget", &budget.answers_each(SPAN));
    let outage = Panel::x(7.5);
    let _ = writeln!(svg, r#"<text x="{outage:.1}" y="66" class="note" text-anchor="middle">down</text>"#);
    svg + "</svg>\n"
}

const HEAD: &str = r#"<svg xmlns="http://www.w3.org/2000/svg" id="decor-storm" viewBox="0 0 760 420" width="760" height="420" role="img" aria-labelledby="decor-storm-title decor-storm-desc">
<title id="decor-storm-title">A retry storm, and a budget that prevents it</title>
<desc id="decor-storm-desc">The service is down for five seconds. With retries alone, some 250 calls a second arrive, the service has room for 100, and callers get no answers even after the outage. With a budget, 85 calls a second arrive, and callers have their answers as soon as the outage ends.</desc>
<style>
#decor-storm { background: #ffffff; max-width: 100%; height: auto; }
#decor-storm text { font: 13px system-ui, sans-serif; fill: #1f2328; }
#decor-storm .strong { font-weight: 600; }
#decor-storm .note { fill: #59636e; }
#decor-storm .good { fill: #1a7f37; }
#decor-storm .bad { fill: #bc4c00; }
#decor-storm .outage { fill: #bc4c00; fill-opacity: 0.08; }
#decor-storm .grid { stroke: #8c959f; stroke-width: 0.6; stroke-opacity: 0.5; fill: none; }
#decor-storm .dash { stroke: #59636e; stroke-width: 1.2; stroke-dasharray: 4 3; fill: none; }
#decor-storm .goodline { stroke: #1a7f37; stroke-width: 2; fill: none; stroke-linejoin: round; }
#decor-storm .badline { stroke: #bc4c00; stroke-width: 2; fill: none; stroke-linejoin: round; }
@media (prefers-color-scheme: dark) {
#decor-storm { background: #0d1117; }
#decor-storm text { fill: #f0f6fc; }
#decor-storm .note { fill: #9198a1; }
#decor-storm .good { fill: #3fb950; }
#decor-storm .bad { fill: #f0883e; }
#decor-storm .outage { fill: #f0883e; fill-opacity: 0.12; }
#decor-storm .dash { stroke: #9198a1; }
#decor-storm .goodline { stroke: #3fb950; }
#decor-storm .badline { stroke: #f0883e; }
}
</style>
"#;
