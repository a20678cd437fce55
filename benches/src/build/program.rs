//! Programs with a chain of twelve decorators, and the same program without decor.

use super::{DECOR, WITH_MACROS, build, cargo, project, write};
use crate::statistics::median;
use std::{fs, path::Path};

/// Number of builds of each kind. The median counts.
const ROUNDS: usize = 3;

/// The programs: the name, the additional dependency, and the source.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("a call", "", include_str!("bare.rs.txt")),
    ("in a chain of twelve", DECOR, include_str!("chain.rs.txt")),
    ("by the attribute", WITH_MACROS, include_str!("attribute.rs.txt")),
];

const TOKIO: &str =
    "tokio = { version = \"1.49\", default-features = false, features = [\"macros\", \"rt\", \"time\"] }";

/// The line of the sources that each build changes.
const CHANGED: &str = "const SALT: u64 = 0;";

/// The builds of a program of which the dependencies are built already.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) debug: Seconds,
    pub(super) release: Seconds,
    /// Bytes of the release binary without symbols.
    pub(super) binary: u64,
}

/// The build of a program, and its next build after a change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seconds {
    pub(super) clean: f64,
    pub(super) changed: f64,
}

pub(super) fn measure(scratch: &Path) -> Result<Vec<Program>, String> {
    PROGRAMS.iter().map(|(name, dependency, source)| program(scratch, name, dependency, source)).collect()
}

fn program(scratch: &Path, name: &'static str, dependency: &str, source: &str) -> Result<Program, String> {
    eprintln!("{name}");
    let project = project(scratch, name, &format!("{TOKIO}\n{dependency}"))?;
    let mut changes = 0;
    let mut change = || {
        changes += 1;
        write(&project.join("src/main.rs"), &changed(source, changes))
    };
    change()?;
    cargo(&project, &["fetch"])?;
    let mut builds = |profile: &str| -> Result<Seconds, String> {
        let arguments = ["build", "--offline", "--profile", profile];
        let clean = ["clean", "--offline", "--package", "measured", "--profile", profile];
        build(&project, &arguments)?; // the dependencies
        let (mut cleans, mut changes) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            cargo(&project, &clean)?;
            cleans.push(build(&project, &arguments)?.1);
            change()?;
            changes.push(build(&project, &arguments)?.1);
        }
        Ok(Seconds { clean: median(&cleans), changed: median(&changes) })
    };
    let (debug, release) = (builds("dev")?, builds("release")?);
    let binary = project.join("target/release/measured").with_extension(std::env::consts::EXE_EXTENSION);
    let size = fs::metadata(&binary).map_err(|error| format!("cannot find {}: {error}", binary.display()))?;
    Ok(Program { name, debug, release, binary: size.len() })
}

fn changed(source: &str, change: u64) -> String {
    source.replace(CHANGED, &format!("const SALT: u64 = {change};"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_another_source() {
        for (name, _, source) in PROGRAMS {
            let sources: Vec<_> = (1..4).map(|change| changed(source, change)).collect();
            assert!(source != sources[0] && sources[0] != sources[1] && sources[1] != sources[2], "{name}");
        }
    }

    #[test]
    fn both_chains_have_the_same_twelve_decorators() {
        let decorators = |(_, _, source): (&str, &str, &str)| -> Vec<String> {
            let words = source.lines().filter_map(|line| line.trim_start().strip_prefix('.'));
            words.map(|line| line.split('(').next().unwrap().to_owned()).collect()
        };
        assert_eq!(decorators(PROGRAMS[1]).len(), 12);
        assert_eq!(decorators(PROGRAMS[1]), decorators(PROGRAMS[2]));
    }
}
