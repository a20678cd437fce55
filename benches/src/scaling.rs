//! The calls a second of several threads that share a handle.

use crate::{
    cases::SHARED,
    json::{field, number, text},
    measure::{Pair, Side},
    statistics::median,
    table::{columns, section},
};
use std::{
    borrow::Cow,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// Numbers of threads.
pub const THREADS: [usize; 3] = [1, 2, 4];

/// Duration of a round of one side. Long, because threads that share a core take turns of some
/// milliseconds.
const ROUND: Duration = Duration::from_millis(100);
const ROUNDS: usize = 5;

/// Calls a second of all threads together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throughput {
    /// decor.
    pub ours: f64,
    /// The peer.
    pub peer: f64,
}

/// A line of the table.
#[derive(Debug)]
pub struct Scaled {
    /// The job.
    pub case: &'static str,
    /// The name of the peer.
    pub peer: &'static str,
    /// The clocks that the two sides read.
    pub clock: Cow<'static, str>,
    /// The throughput on each number of [`THREADS`].
    pub on: [Throughput; THREADS.len()],
}

/// Measures all cases with a shared handle.
pub fn measure() -> Vec<Scaled> {
    let mut lines = Vec::new();
    for case in SHARED {
        eprintln!("{}: {}", case.id, case.about);
        for pair in case.pairs() {
            let on = THREADS.map(|threads| beside(&pair, threads));
            lines.push(Scaled { case: case.id, peer: pair.peer, clock: pair.clock, on });
        }
    }
    lines
}

/// Measures both sides in turns.
fn beside(pair: &Pair, threads: usize) -> Throughput {
    let sides = [&pair.ours, &pair.theirs];
    let batches = sides.map(Side::batch);
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (side, counted) in rounds.iter_mut().enumerate() {
            counted.push(throughput(threads, ROUND, batches[side], |times| sides[side].run(times)));
        }
    }
    let [ours, peer] = rounds.map(|counted| median(&counted));
    Throughput { ours, peer }
}

/// Returns the calls a second that end within a round.
fn throughput(threads: usize, round: Duration, batch: u64, run: impl Fn(u64) + Sync) -> f64 {
    let start = Barrier::new(threads);
    let work = || {
        run(1); // makes what a thread has of its own, such as a runtime
        start.wait();
        let begun = Instant::now();
        let mut calls = 0;
        loop {
            run(batch);
            if begun.elapsed() > round {
                return calls;
            }
            calls += batch;
        }
    };
    let calls: u64 = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("no side panics")).sum()
    });
    calls as f64 / round.as_secs_f64()
}

impl Scaled {
    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.case.to_owned(), self.peer.to_owned(), self.clock.clone().into_owned()];
        cells.extend(self.on.iter().map(|Throughput { ours, peer }| {
            format!("{} / {} ({:.2}x)", millions(*ours), millions(*peer), ours / peer)
        }));
        cells
    }
}

fn millions(calls: f64) -> String {
    let millions = calls / 1e6;
    if millions < 10.0 { format!("{millions:.2}") } else { format!("{millions:.1}") }
}

fn heads() -> Vec<String> {
    let threads =
        THREADS.map(|threads| if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") });
    ["case", "peer", "clock"].map(str::to_owned).into_iter().chain(threads).collect()
}

/// Returns all lines in columns.
pub fn table(lines: &[Scaled]) -> String {
    let cells: Vec<_> = std::iter::once(heads()).chain(lines.iter().map(Scaled::cells)).collect();
    columns(&cells, &[])
}

/// Returns the lines as Markdown.
pub fn markdown(lines: &[Scaled]) -> String {
    section("Throughput of a shared handle", &heads(), lines.iter().map(Scaled::cells))
}

/// Returns the lines as a JSON list.
pub fn json(lines: &[Scaled]) -> String {
    let object = |line: &Scaled| {
        let on = THREADS.iter().zip(&line.on).map(|(threads, Throughput { ours, peer })| {
            let fields = [
                field("threads", &threads.to_string()),
                field("ours_per_second", &number(*ours)),
                field("peer_per_second", &number(*peer)),
            ];
            format!("{{{}}}", fields.join(", "))
        });
        let fields = [
            field("case", &text(line.case)),
            field("peer", &text(line.peer)),
            field("clock", &text(&line.clock)),
            field("on", &format!("[{}]", on.collect::<Vec<_>>().join(", "))),
        ];
        format!("  {{{}}}", fields.join(", "))
    };
    format!("[\n{}\n]\n", lines.iter().map(object).collect::<Vec<_>>().join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    fn line() -> Scaled {
        let on = [(20e6, 10e6), (30e6, 10e6), (4e6, 8e6)].map(|(ours, peer)| Throughput { ours, peer });
        Scaled { case: "paced", peer: "governor", clock: "tokio / std".into(), on }
    }

    #[test]
    fn only_calls_that_end_within_the_round_count() {
        let calls = AtomicU64::new(0);
        let round = Duration::from_millis(20);
        let counted = throughput(4, round, 10, |times| {
            calls.fetch_add(times, Relaxed);
            thread::sleep(Duration::from_millis(1));
        });
        let made = calls.load(Relaxed) as f64;
        // Each thread makes one call before the round, and a batch that ends after it.
        assert!((counted * round.as_secs_f64() - (made - 4.0 * 11.0)).abs() < 1e-6, "{counted} of {made}");
        let slow = throughput(1, round, 10, |_| thread::sleep(2 * round));
        assert!(slow.abs() < f64::EPSILON, "{slow}");
    }

    #[test]
    fn a_line_has_both_sides_on_each_number_of_threads() {
        let text = table(&[line()]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        let heads: Vec<_> = lines[0].split("  ").map(str::trim).filter(|head| !head.is_empty()).collect();
        assert_eq!(heads, ["case", "peer", "clock", "1 thread", "2 threads", "4 threads"]);
        assert!(lines[1].contains("20.0 / 10.0 (2.00x)") && lines[1].ends_with("4.00 / 8.00 (0.50x)"), "{text}");
    }

    #[test]
    fn markdown_has_a_line_for_each_pair() {
        let text = markdown(&[line(), line()]);
        assert!(text.starts_with("## Throughput of a shared handle\n\n| case | peer | clock | 1 thread | "), "{text}");
        let row =
            "| paced | governor | tokio / std | 20.0 / 10.0 (2.00x) | 30.0 / 10.0 (3.00x) | 4.00 / 8.00 (0.50x) |\n";
        assert_eq!(text.matches(row).count(), 2, "{text}");
    }

    #[test]
    fn json_has_an_object_for_each_pair() {
        let expected = r#"[
  {"case": "paced", "peer": "governor", "clock": "tokio / std", "on": [{"threads": 1, "ours_per_second": 20000000, "peer_per_second": 10000000}, {"threads": 2, "ours_per_second": 30000000, "peer_per_second": 10000000}, {"threads": 4, "ours_per_second": 4000000, "peer_per_second": 8000000}]}
]
"#;
        assert_eq!(json(&[line()]), expected);
    }
}
