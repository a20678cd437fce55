//! Measures what a library costs to build: each library as the only dependency of an empty crate,
//! and programs with a chain of decor's beside the same program without it.

mod program;
mod report;

use program::Program;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, id},
    time::Instant,
};

const DECOR: &str = concat!("decor = { path = \"", env!("CARGO_MANIFEST_DIR"), "/..\" }");

const WITH_MACROS: &str =
    concat!("decor = { path = \"", env!("CARGO_MANIFEST_DIR"), "/..\", features = [\"macros\"] }");

/// Names of libraries, with the lines of their dependencies in `Cargo.toml`.
const LIBRARIES: [(&str, &str); 6] = [
    ("decor", DECOR),
    ("decor, with macros", WITH_MACROS),
    ("decor, no memo", concat!("decor = { path = \"", env!("CARGO_MANIFEST_DIR"), "/..\", default-features = false }")),
    ("backon", "backon = \"1.6\""),
    (
        "tower-resilience",
        "tower = \"0.5\"\n\
         tower-resilience-cache = \"0.14\"\n\
         tower-resilience-ratelimiter = \"0.14\"\n\
         tower-resilience-retry = \"0.14\"\n\
         tower-resilience-timelimiter = \"0.14\"",
    ),
    ("governor + moka", "governor = \"0.10\"\nmoka = { version = \"0.12.16\", features = [\"future\", \"sync\"] }"),
];

/// The cost of building.
#[derive(Debug)]
pub struct Built {
    libraries: Vec<Library>,
    programs: Vec<Program>,
}

/// A clean build of a library and its dependencies.
#[derive(Debug)]
struct Library {
    name: &'static str,
    /// Number of crates that were compiled.
    crates: usize,
    /// Seconds.
    debug: f64,
    /// Seconds.
    release: f64,
}

/// Builds each library and each program.
///
/// # Errors
///
/// If a build fails, or its directory cannot be made.
pub fn measure() -> Result<Built, String> {
    let scratch = Scratch::new()?;
    let libraries = LIBRARIES.iter().map(|(name, dependencies)| library(&scratch.0, name, dependencies));
    let libraries = libraries.collect::<Result<_, _>>()?;
    Ok(Built { libraries, programs: program::measure(&scratch.0)? })
}

fn library(scratch: &Path, name: &'static str, dependencies: &str) -> Result<Library, String> {
    eprintln!("{name}");
    let project = project(scratch, name, dependencies)?;
    write(&project.join("src/lib.rs"), "")?;
    cargo(&project, &["fetch"])?;
    let (crates, debug) = build(&project, &["build", "--offline"])?;
    let (_, release) = build(&project, &["build", "--offline", "--release"])?;
    Ok(Library { name, crates, debug, release })
}

/// Makes the directory of a crate, without its source. Its dependencies have the versions of this
/// repository.
fn project(scratch: &Path, name: &str, dependencies: &str) -> Result<PathBuf, String> {
    let project = scratch.join(name.replace(' ', ""));
    let manifest = format!(
        "[package]\nname = \"measured\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [profile.release]\nstrip = true\n\n[dependencies]\n{dependencies}\n"
    );
    fs::create_dir_all(project.join("src")).map_err(|error| format!("cannot make {}: {error}", project.display()))?;
    write(&project.join("Cargo.toml"), &manifest)?;
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    fs::copy(lock, project.join("Cargo.lock")).map_err(|error| format!("cannot copy {lock}: {error}"))?;
    Ok(project)
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// Builds a project. Returns the number of dependencies that were compiled, and the seconds.
fn build(project: &Path, arguments: &[&str]) -> Result<(usize, f64), String> {
    let begun = Instant::now();
    let output = cargo(project, arguments)?;
    let seconds = begun.elapsed().as_secs_f64();
    // The crate itself does not count.
    Ok((compiled(&String::from_utf8_lossy(&output.stderr)).saturating_sub(1), seconds))
}

/// Runs cargo without the settings of this machine that change a build.
fn cargo(project: &Path, arguments: &[&str]) -> Result<Output, String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let shown = name.to_string_lossy();
        if shown.starts_with("CARGO_PROFILE_") || shown == "CARGO_INCREMENTAL" || shown.ends_with("RUSTFLAGS") {
            command.env_remove(name);
        }
    }
    let output = command
        .args(arguments)
        .current_dir(project)
        .env("CARGO_TARGET_DIR", project.join("target"))
        .env("CARGO_TERM_COLOR", "never")
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(format!("cargo {}:\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
    }
}

/// Returns the number of crates that cargo has compiled.
fn compiled(messages: &str) -> usize {
    messages.lines().filter(|line| line.trim_start().starts_with("Compiling ")).count()
}

/// A directory that is removed on drop.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = env::temp_dir().join(format!("decor-benches-{}", id()));
        fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If this fails, the files stay in the directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compiled_crates_are_counted() {
        let messages = "   Compiling a v1.0.0\n  Downloaded b\n   Compiling measured v0.0.0 (/tmp)\n    Finished `dev`";
        assert_eq!(compiled(messages), 2);
    }

    #[test]
    fn a_scratch_directory_is_removed() {
        let scratch = Scratch::new().unwrap();
        let project = project(&scratch.0, "a + b", "").unwrap();
        assert!(project.ends_with("a+b") && project.join("Cargo.toml").exists() && project.join("Cargo.lock").exists());
        drop(scratch);
        assert!(!project.exists());
    }
}
