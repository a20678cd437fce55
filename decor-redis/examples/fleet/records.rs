//! The notes of the processes, as a table.

use crate::{KEYS, LIMIT, PERIOD};
use std::{error::Error, fmt::Write, ops::Range};

/// Notes of one process. Moments are in nanoseconds from the start of the fleet.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) moments: Vec<u64>,
    asks: u64,
    lapsed: u64,
    alone: u64,
    /// Keys of the memo that the process has loaded.
    loads: Vec<u64>,
}

impl Record {
    pub(crate) fn read(text: &str, begun: u64) -> Result<Self, Box<dyn Error>> {
        let mut lines = text.lines();
        let stats: Vec<u64> =
            lines.next().ok_or("no statistics")?.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [asks, lapsed, alone] = stats[..] else { return Err("other statistics".into()) };
        let loads = lines.next().ok_or("no loads")?.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let moments = lines.map(|line| Ok(line.parse::<u64>()? - begun)).collect::<Result<_, Box<dyn Error>>>()?;
        Ok(Self { moments, asks, lapsed, alone, loads })
    }

    fn calls_in(&self, stretch: &Range<u64>) -> usize {
        self.moments.iter().filter(|moment| stretch.contains(moment)).count()
    }
}

fn merged(records: &[Record]) -> Vec<u64> {
    let mut moments: Vec<u64> = records.iter().flat_map(|record| record.moments.iter().copied()).collect();
    moments.sort_unstable();
    moments
}

/// The most calls of all processes in any stretch of time that is shorter than the period.
pub(crate) fn most_in_any(records: &[Record]) -> usize {
    let moments = merged(records);
    let period = u64::try_from(PERIOD.as_nanos()).unwrap();
    let (mut most, mut oldest) = (0, 0);
    for (n, moment) in moments.iter().enumerate() {
        while moments[oldest] + period <= *moment {
            oldest += 1;
        }
        most = most.max(n + 1 - oldest);
    }
    most
}

/// The most loads of one key of the memo, by all processes.
pub(crate) fn most_loads(records: &[Record]) -> usize {
    let loads: Vec<u64> = records.iter().flat_map(|record| record.loads.iter().copied()).collect();
    (0..KEYS).map(|key| loads.iter().filter(|load| **load == key).count()).max().unwrap_or(0)
}

pub(crate) fn table(records: &[Record], down: Option<&Range<u64>>) -> String {
    let mut out = String::from("process   calls  calls/s  while down  alone  requests  lapsed  loads\n");
    let end = merged(records).last().copied().unwrap_or(1);
    #[allow(clippy::cast_precision_loss)]
    let per_second = |calls: usize| calls as f64 * 1e9 / end as f64;
    let mut row = |name: String, calls: usize, while_down: usize, [alone, asks, lapsed, loads]: [u64; 4]| {
        let rate = per_second(calls);
        writeln!(out, "{name:7} {calls:7} {rate:8.1} {while_down:11} {alone:6} {asks:9} {lapsed:7} {loads:6}").unwrap();
    };
    let (mut all, mut all_down, mut sums) = (0, 0, [0; 4]);
    for (n, record) in records.iter().enumerate() {
        let calls = record.moments.len();
        let while_down = down.map_or(0, |down| record.calls_in(down));
        let counts = [record.alone, record.asks, record.lapsed, record.loads.len() as u64];
        row((n + 1).to_string(), calls, while_down, counts);
        all += calls;
        all_down += while_down;
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    row("all".into(), all, all_down, sums);
    if let Some(Range { start, end }) = down {
        writeln!(out, "the server was down from {} ms to {} ms", start / 1_000_000, end / 1_000_000).unwrap();
    }
    writeln!(out, "{KEYS} keys of the memo, loaded {} times each at most", most_loads(records)).unwrap();
    writeln!(out, "most calls in any {PERIOD:?}: {} of {LIMIT}", most_in_any(records)).unwrap();
    out
}
