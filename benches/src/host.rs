//! What the host of a virtual machine did meanwhile.

use std::fs;

/// The processors' time since the machine started, as Linux counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessorTime {
    all: u64,
    /// Given to others by the host, while somebody here wanted it.
    stolen: u64,
}

impl ProcessorTime {
    /// As of now; `None` where nobody counts it.
    pub fn now() -> Option<Self> {
        Self::read(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// Of the first line: user, nice, system, idle, iowait, irq, softirq, steal (and of guests, who are users already): proc(5).
    fn read(stat: &str) -> Option<Self> {
        let mut words = stat.lines().next()?.split_whitespace();
        if words.next()? != "cpu" {
            return None;
        }
        let times: Vec<u64> = words.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { all: times.iter().sum(), stolen: *times.get(7)? })
    }

    /// The part of the time between them that was stolen.
    pub fn stolen_since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        self.stolen.saturating_sub(earlier.stolen) as f64 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eighth_number_is_what_the_host_took() {
        let stat = "cpu  100 20 30 800 5 0 5 40 7 0\ncpu0 50 10 15 400 2 0 3 20 3 0\n";
        assert_eq!(ProcessorTime::read(stat), Some(ProcessorTime { all: 1_000, stolen: 40 }));
        assert_eq!(ProcessorTime::read("cpu  1 2 3 4"), None, "an old kernel");
        assert_eq!(ProcessorTime::read("intr 1 2 3 4 5 6 7 8"), None);
        assert_eq!(ProcessorTime::read(""), None);
    }

    #[test]
    fn the_part_is_that_of_the_time_between() {
        let (earlier, later) = (ProcessorTime { all: 1_000, stolen: 40 }, ProcessorTime { all: 1_200, stolen: 90 });
        assert!((later.stolen_since(earlier) - 0.25).abs() < f64::EPSILON);
        assert!(later.stolen_since(later) < f64::EPSILON);
    }
}
