//! What the command line says.

use crate::cases::ALL;
use std::path::PathBuf;

/// How to use it.
pub const USAGE: &str = "\
decor beside its peers, measured in the same run.

    cargo run --release -p decor-benches -- peers [--case PREFIX].. [--json FILE] [--svg FILE] [--markdown FILE]
    cargo run --release -p decor-benches -- spin CASE [PEER]
    cargo run --release -p decor-benches -- build
    cargo bench -p decor-benches [-- FILTER]

peers  the table: decor beside each peer; in two minutes or so
    --case PREFIX  only the cases that begin so, `retry` or `memo_hit_1t`; may be said several times
    --json FILE    writes the table as JSON too
    --svg FILE     writes it as a chart too
    --markdown FILE  puts it into this file, between the lines `<!-- peers -->` and `<!-- /peers -->`
spin   one side of one case for three seconds, decor's or the peer's: for a profiler
build  a clean build of decor and of its peers: crates and seconds; takes minutes, and the network
";

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// The table.
    Peers(Peers),
    /// One side, for a profiler: the case, and the peer if it is not decor.
    Spin(String, Option<String>),
    /// Clean builds.
    Build,
    /// The usage.
    Help,
}

/// What the table is to hold, and where it goes.
#[derive(Debug, Default, PartialEq)]
pub struct Peers {
    /// What the cases begin with; all of them if there is none.
    pub cases: Vec<String>,
    /// Where the JSON goes.
    pub json: Option<PathBuf>,
    /// Where the chart goes.
    pub svg: Option<PathBuf>,
    /// The document that the table is put into.
    pub markdown: Option<PathBuf>,
}

impl Command {
    /// Reads the arguments, without the program's name.
    ///
    /// # Errors
    ///
    /// What is wrong with them, for people.
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
            Some(more) => Err(format!("`{more}` is one argument too many")),
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
                    return Err(format!("no case begins with `{prefix}`; there are {}", names.join(", ")));
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
    fn what_is_said_is_read() {
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
    fn what_is_wrong_is_named() {
        let error = |line| parse(line).unwrap_err();
        assert_eq!(error("peer"), "`peer` is not a command: `peers`, `spin` or `build`");
        assert_eq!(error("spin"), "`spin` needs a case");
        assert_eq!(error("build now"), "`now` is one argument too many");
        assert_eq!(error("peers --fast"), "`--fast` is not an option of `peers`");
        assert_eq!(error("peers --json"), "`--json` needs a file");
        assert_eq!(error("peers --json --svg a"), "`--json` needs a file");
        assert!(error("peers --case x").starts_with("no case begins with `x`; there are retry_ok, retry_3, "));
    }
}
