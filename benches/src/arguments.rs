//! The command line.

use crate::cases::{ALL, SHARED};
use std::path::PathBuf;

/// The usage text.
pub const USAGE: &str = "\
decor beside its peers, measured in the same run.

    cargo run --release -p decor-benches -- peers [--case PREFIX].. [--threads N] [--json FILE] [--svg FILE] [--markdown FILE]
    cargo run --release -p decor-benches -- scaling [--json FILE] [--markdown FILE]
    cargo run --release -p decor-benches -- build [--json FILE] [--markdown FILE]
    cargo run --release -p decor-benches -- spin CASE [PEER]
    cargo bench -p decor-benches [-- FILTER]

peers    prints the table of decor beside each peer; takes about two minutes
    --case PREFIX    only the cases with this prefix, such as `retry`; may be repeated
    --threads N      only the cases with a handle that threads share, on N threads
    --json FILE      writes the table as JSON as well
    --svg FILE       writes the table as a chart as well
    --markdown FILE  writes the table between the lines `<!-- peers -->` and `<!-- /peers -->` of FILE;
                     with `--features fast-clock`, between `<!-- fast-clock -->` and `<!-- /fast-clock -->`
scaling  prints the calls a second of 1, 2 and 4 threads together; takes a minute
    --markdown FILE  writes the table between the lines `<!-- scaling -->` and `<!-- /scaling -->` of FILE
build    builds decor and its peers from scratch, and a program with and without a chain: seconds and bytes;
         takes minutes
    --markdown FILE  writes the tables between the lines `<!-- build -->` and `<!-- /build -->` of FILE
spin     runs one side of a case for three seconds, for a profiler
";

/// A command of the command line.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Prints the table.
    Peers(Peers),
    /// Prints the throughput of several threads.
    Scaling(Files),
    /// Builds from scratch.
    Build(Files),
    /// Runs one side for a profiler: the case, and the peer; `None` for decor.
    Spin(String, Option<String>),
    /// Prints the usage.
    Help,
}

/// The contents and the destinations of the table.
#[derive(Debug, Default, PartialEq)]
pub struct Peers {
    /// Prefixes of the cases; empty for all.
    pub cases: Vec<String>,
    /// Number of threads of the cases with a shared handle; `None` for all cases, each on its own
    /// number.
    pub threads: Option<usize>,
    /// The file for the chart.
    pub svg: Option<PathBuf>,
    /// The other files.
    pub files: Files,
}

impl Peers {
    /// Returns `true` if a case is wanted.
    pub fn wants(&self, id: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|prefix| id.starts_with(prefix))
    }

    fn names(&self) -> Vec<String> {
        match self.threads {
            None => ALL.iter().map(|case| case.id.to_owned()).collect(),
            Some(threads) => SHARED.iter().map(|shared| shared.on(threads)).collect(),
        }
    }

    fn checked(self) -> Result<Self, String> {
        let names = self.names();
        match self.cases.iter().find(|prefix| !names.iter().any(|name| name.starts_with(*prefix))) {
            Some(prefix) => Err(format!("no case begins with `{prefix}`; the cases are {}", names.join(", "))),
            None => Ok(self),
        }
    }
}

/// The files that a command writes.
#[derive(Debug, Default, PartialEq)]
pub struct Files {
    /// The file for the JSON.
    pub json: Option<PathBuf>,
    /// The document for the table.
    pub markdown: Option<PathBuf>,
}

impl Command {
    /// Reads the arguments, without the program's name.
    ///
    /// # Errors
    ///
    /// A message that says what is wrong with the arguments.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        let command = match arguments.next().as_deref() {
            None | Some("help" | "--help" | "-h") => return Ok(Self::Help),
            Some("peers") => Self::Peers(peers(&mut arguments)?),
            Some("spin") => Self::Spin(arguments.next().ok_or("`spin` needs a case")?, arguments.next()),
            Some("scaling") => Self::Scaling(files("scaling", &mut arguments)?),
            Some("build") => Self::Build(files("build", &mut arguments)?),
            Some(other) => {
                return Err(format!("`{other}` is not a command: `peers`, `scaling`, `build` or `spin`"));
            }
        };
        match arguments.next() {
            Some(more) => Err(format!("unexpected argument `{more}`")),
            None => Ok(command),
        }
    }
}

fn peers(arguments: &mut impl Iterator<Item = String>) -> Result<Peers, String> {
    let mut peers = Peers::default();
    while let Some(option) = arguments.next() {
        let mut value = |what| value(&option, arguments, what);
        match option.as_str() {
            "--case" => peers.cases.push(value("the beginning of a case's name")?),
            "--threads" => {
                let number = value("a number of threads")?.parse().ok().filter(|threads| *threads > 0);
                peers.threads = Some(number.ok_or("`--threads` needs a number of threads, at least 1")?);
            }
            "--svg" => peers.svg = Some(value("a file")?.into()),
            "--json" => peers.files.json = Some(value("a file")?.into()),
            "--markdown" => peers.files.markdown = Some(value("a file")?.into()),
            other => return Err(format!("`{other}` is not an option of `peers`")),
        }
    }
    peers.checked()
}

fn files(command: &str, arguments: &mut impl Iterator<Item = String>) -> Result<Files, String> {
    let mut files = Files::default();
    while let Some(option) = arguments.next() {
        match option.as_str() {
            "--json" => files.json = Some(value(&option, arguments, "a file")?.into()),
            "--markdown" => files.markdown = Some(value(&option, arguments, "a file")?.into()),
            other => return Err(format!("`{other}` is not an option of `{command}`")),
        }
    }
    Ok(files)
}

fn value(option: &str, arguments: &mut impl Iterator<Item = String>, what: &str) -> Result<String, String> {
    let given = arguments.next().filter(|value| !value.starts_with("--"));
    given.ok_or_else(|| format!("`{option}` needs {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_parsed() {
        assert_eq!(parse(""), Ok(Command::Help));
        assert_eq!(parse("build"), Ok(Command::Build(Files::default())));
        assert_eq!(parse("scaling"), Ok(Command::Scaling(Files::default())));
        let files = Files { json: Some("a.json".into()), markdown: Some("a.md".into()) };
        assert_eq!(parse("build --json a.json --markdown a.md"), Ok(Command::Build(files)));
        assert_eq!(parse("spin retry_ok"), Ok(Command::Spin("retry_ok".into(), None)));
        assert_eq!(parse("spin retry_ok backon"), Ok(Command::Spin("retry_ok".into(), Some("backon".into()))));
        assert_eq!(parse("peers"), Ok(Command::Peers(Peers::default())));
        let expected = Peers {
            cases: vec!["retry".into(), "memo_cold".into()],
            threads: None,
            svg: Some("a.svg".into()),
            files: Files { json: Some("a.json".into()), markdown: Some("a.md".into()) },
        };
        let line = "peers --case retry --case memo_cold --json a.json --svg a.svg --markdown a.md";
        assert_eq!(parse(line), Ok(Command::Peers(expected)));
        let expected = Peers { cases: vec!["paced_4t".into()], threads: Some(4), ..Peers::default() };
        assert_eq!(parse("peers --case paced_4t --threads 4"), Ok(Command::Peers(expected)));
    }

    #[test]
    fn a_case_is_wanted_by_its_prefix() {
        let only = Peers { cases: vec!["memo".into(), "exact_1".into()], ..Peers::default() };
        assert_eq!(["memo_hit_1t", "exact_1t", "exact_2t"].map(|id| only.wants(id)), [true, true, false]);
        assert!(Peers::default().wants("memo_hit_1t"));
    }

    #[test]
    fn wrong_arguments_are_named() {
        let error = |line| parse(line).unwrap_err();
        assert_eq!(error("peer"), "`peer` is not a command: `peers`, `scaling`, `build` or `spin`");
        assert_eq!(error("spin"), "`spin` needs a case");
        assert_eq!(error("spin exact_1t floor now"), "unexpected argument `now`");
        assert_eq!(error("build now"), "`now` is not an option of `build`");
        assert_eq!(error("scaling --svg a"), "`--svg` is not an option of `scaling`");
        assert_eq!(error("peers --threads"), "`--threads` needs a number of threads");
        assert_eq!(error("peers --threads 0"), "`--threads` needs a number of threads, at least 1");
        assert_eq!(error("peers --threads many"), "`--threads` needs a number of threads, at least 1");
        assert!(
            error("peers --threads 4 --case retry")
                .ends_with("the cases are paced_4t, exact_4t, memo_hit_4t, chain_4t, chain_hit_4t")
        );
        assert_eq!(error("peers --fast"), "`--fast` is not an option of `peers`");
        assert_eq!(error("peers --json"), "`--json` needs a file");
        assert_eq!(error("peers --json --svg a"), "`--json` needs a file");
        assert!(error("peers --case x").starts_with("no case begins with `x`; the cases are retry_ok, retry_3, "));
    }
}
