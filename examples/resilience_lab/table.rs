//! The table: a block for each scenario, and a row for each chain.

use super::{
    chains::Chain,
    numbers::Numbers,
    scenarios::{Results, Scenario},
};
use std::{
    fmt::{self, Display},
    time::Duration,
};

pub(crate) struct Table<'a>(pub(crate) &'a Results);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for scenario in Scenario::ALL {
            let naive = self.0.of(scenario, Chain::Retry);
            writeln!(f, "{}: {} calls asked", scenario.says(), naive.asked())?;
            row(f, "", ["made", "per call", "saved", "in vain", "answered", "p50", "p99"].map(String::from))?;
            for chain in Chain::ALL {
                row(f, chain.name(), cells(self.0.of(scenario, chain), naive))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "made      calls that arrived at the service")?;
        writeln!(f, "per call  the same, for each call asked")?;
        writeln!(f, "saved     calls that the chain `retry` made, and this chain did not")?;
        writeln!(f, "in vain   calls that the service worked for although their callers had gone")?;
        writeln!(f, "answered  share of the calls asked; the others had an error")?;
        writeln!(f, "p50, p99  time until a caller had its answer or its error\n")
    }
}

fn cells(run: &Numbers, naive: &Numbers) -> [String; 7] {
    [
        run.made().to_string(),
        format!("{:.2}", run.load()),
        difference(naive.made(), run.made()),
        run.in_vain.to_string(),
        percent(run.answered()),
        millis(run.wait(50)),
        millis(run.wait(99)),
    ]
}

/// Returns `more - less`, with a minus if it is negative.
fn difference(more: usize, less: usize) -> String {
    let sign = if less > more { "-" } else { "" };
    format!("{sign}{}", more.abs_diff(less))
}

fn row(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    [made, load, saved, in_vain, answered, p50, p99]: [String; 7],
) -> fmt::Result {
    let line = format!("  {name:<22}{made:>7}{load:>10}{saved:>8}{in_vain:>9}{answered:>10}{p50:>9}{p99:>9}");
    writeln!(f, "{}", line.trim_end())
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

pub(crate) fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
