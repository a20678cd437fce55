//! The machine, and the processor time that the host of a virtual machine took.

use std::{
    env, fs,
    process::{Command, Stdio},
    thread,
};

/// Describes the run in a sentence: the day, the machine, the compiler, and the share of processor
/// time that the host took.
pub fn machine(stolen: Option<f64>) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| model(&text).map(str::to_owned));
    let processor = processor.unwrap_or_else(|| env::consts::ARCH.to_owned());
    let day = output("date", &["-u", "+%Y-%m-%d"]).unwrap_or_else(|| "an unknown day".to_owned());
    let compiler = output("rustc", &["--version"]).unwrap_or_else(|| "an unknown rustc".to_owned());
    let stolen = stolen.map_or_else(String::new, |part| {
        format!(" The host took {:.0} % of the processor time meanwhile.", 100.0 * part)
    });
    format!("Run on {day}, on {cores} cores ({processor}), {compiler}.{stolen}\n")
}

fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The processor time since the machine started, in ticks of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessorTime {
    all: u64,
    /// Ticks that the host took while a task here was ready to run.
    stolen: u64,
}

impl ProcessorTime {
    /// Reads the current time; `None` on systems without `/proc/stat`.
    pub fn now() -> Option<Self> {
        Self::read(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// Reads the first line, as proc(5) describes: user, nice, system, idle, iowait, irq, softirq,
    /// steal. The columns of guests follow; they are part of user and nice already.
    fn read(stat: &str) -> Option<Self> {
        let mut words = stat.lines().next()?.split_whitespace();
        if words.next()? != "cpu" {
            return None;
        }
        let times: Vec<u64> = words.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { all: times.iter().sum(), stolen: *times.get(7)? })
    }

    /// Returns the fraction of the time since `earlier` that the host took.
    pub fn stolen_since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        self.stolen.saturating_sub(earlier.stolen) as f64 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_name_is_on_its_line() {
        assert_eq!(model("processor\t: 0\nmodel name\t: A Processor\nflags\t: x\n"), Some("A Processor"));
        assert_eq!(model("processor\t: 0\n"), None);
    }

    #[test]
    fn the_eighth_number_is_stolen_time() {
        let stat = "cpu  100 20 30 800 5 0 5 40 7 0\ncpu0 50 10 15 400 2 0 3 20 3 0\n";
        assert_eq!(ProcessorTime::read(stat), Some(ProcessorTime { all: 1_000, stolen: 40 }));
        assert_eq!(ProcessorTime::read("cpu  1 2 3 4"), None, "an old kernel");
        assert_eq!(ProcessorTime::read("intr 1 2 3 4 5 6 7 8"), None);
        assert_eq!(ProcessorTime::read(""), None);
    }

    #[test]
    fn the_fraction_is_of_the_time_between() {
        let (earlier, later) = (ProcessorTime { all: 1_000, stolen: 40 }, ProcessorTime { all: 1_200, stolen: 90 });
        assert!((later.stolen_since(earlier) - 0.25).abs() < f64::EPSILON);
        assert!(later.stolen_since(later) < f64::EPSILON);
    }
}
