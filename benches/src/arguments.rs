//! The command line.

use crate::cases::ALL;
use std::path::PathBuf;

/// The usage text.
pub const USAGE: &str = "\
decor beside its peers, measured in the same run.

    cargo run --release -p decor-benches -- peers [--case PREFIX].. [--json FILE] [--svg FILE] [--markdown FILE]
    cargo run --release -p decor-benches -- spin CASE [PEER]
    cargo run --release -p decor-benches -- build
    cargo bench -p decor-benches [-- FILTER]

peers  prints the table of decor beside each peer; takes about two minutes
    --case PREFIX    only the cases with this prefix, such as `retry`; may be repeated
    --json FILE      writes the table as JSON as well
    --svg FILE       writes the table as a chart as well
    --markdown FILE  writes the table between the lines `<!-- peers -->` and `<!-- /peers -->` of FILE
spin   runs one side of a case for three seconds, for a profiler
build  builds decor and its peers from scratch: crates and seconds; takes minutes, and needs the network
";

/// A command of the command line.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Prints the table.
    Peers(Peers),
    /// Runs one side for a profiler: the case, and the peer; `None` for decor.
    Spin(String, Option<String>),
    /// Builds from scratch.
    Build,
    /// Prints the usage.
    Help,
}

/// The contents and the destinations of the table.
#[derive(Debug, Default, PartialEq)]
pub struct Peers {
    /// Prefixes of the cases; empty for all.
    pub cases: Vec<String>,
    /// The file for the JSON.
    pub json: Option<PathBuf>,
    /// The file for the chart.
    pub svg: Option<PathBuf>,
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
            Some("build") => Self::Build,
            Some(other) => return Err(format!("`{other}` is not a command: `peers`, `spin` or `build`")),
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
        let mut value = |what: &str| {
            let given = arguments.next().filter(|value| !value.starts_with("--"));
            given.ok_or_else(|| format!("`{option}` needs {what}"))
        };
        match option.as_str() {
            "--case" => {
                let prefix = value("the beginning of a case's name")?;
                if !ALL.iter().any(|case| case.id.starts_with(&prefix)) {
                    let names: Vec<_> = ALL.iter().map(|case| case.id).collect();
                    return Err(format!("no case begins with `{prefix}`; the cases are {}", names.join(", ")));
                }
                peers.cases.push(prefix);
            }
            "--json" => peers.json = Some(value("a file")?.into()),
            "--svg" => peers.svg = Some(value("a file")?.into()),
            "--markdown" => peers.markdown = Some(value("a file")?.into()),
            other => return Err(format!("`{other}` is not an option of `peers`")),
        }
    }
    Ok(peers)
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
        assert_eq!(parse("build"), Ok(Command::Build));
        assert_eq!(parse("spin retry_ok"), Ok(Command::Spin("retry_ok".into(), None)));
        assert_eq!(parse("spin retry_ok backon"), Ok(Command::Spin("retry_ok".into(), Some("backon".into()))));
        assert_eq!(parse("peers"), Ok(Command::Peers(Peers::default())));
        let expected = Peers {
            cases: vec!["retry".into(), "memo_cold".into()],
            json: Some("a.json".into()),
            svg: Some("a.svg".into()),
            markdown: Some("a.md".into()),
        };
        let line = "peers --case retry --case memo_cold --json a.json --svg a.svg --markdown a.md";
        assert_eq!(parse(line), Ok(Command::Peers(expected)));
    }

    #[test]
    fn wrong_arguments_are_named() {
        let error = |line| parse(line).unwrap_err();
        assert_eq!(error("peer"), "`peer` is not a command: `peers`, `spin` or `build`");
        assert_eq!(error("spin"), "`spin` needs a case");
        assert_eq!(error("build now"), "unexpected argument `now`");
        assert_eq!(error("peers --fast"), "`--fast` is not an option of `peers`");
        assert_eq!(error("peers --json"), "`--json` needs a file");
        assert_eq!(error("peers --json --svg a"), "`--json` needs a file");
        assert!(error("peers --case x").starts_with("no case begins with `x`; the cases are retry_ok, retry_3, "));
    }
}
