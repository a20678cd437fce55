//! Measures clean builds: each library as the only dependency of an empty crate.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, id},
    time::Instant,
};

/// Names of libraries, with the lines of their dependencies in `Cargo.toml`.
const LIBRARIES: [(&str, &str); 4] = [
    ("decor", concat!("decor = { path = \"", env!("CARGO_MANIFEST_DIR"), "/..\" }")),
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

/// Builds each library, and prints the number of crates and the seconds.
///
/// # Errors
///
/// If a build fails, or its directory cannot be made.
pub fn measure() -> Result<(), String> {
    let scratch = Scratch::new()?;
    println!("{:20} {:>8} {:>10} {:>10}", "", "crates", "debug", "release");
    for (name, dependencies) in LIBRARIES {
        let project = project(&scratch.0, name, dependencies)?;
        cargo(&project, &["fetch"])?;
        let (crates, debug) = build(&project, &["build", "--offline"])?;
        let (_, release) = build(&project, &["build", "--offline", "--release"])?;
        println!("{name:20} {crates:>8} {debug:>8.1} s {release:>8.1} s");
    }
    Ok(())
}

fn project(scratch: &Path, name: &str, dependencies: &str) -> Result<PathBuf, String> {
    let project = scratch.join(name.replace(' ', ""));
    let manifest = format!(
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependencies}\n"
    );
    fs::create_dir_all(project.join("src"))
        .and_then(|()| fs::write(project.join("Cargo.toml"), manifest))
        .and_then(|()| fs::write(project.join("src/lib.rs"), ""))
        .map_err(|error| format!("cannot write {}: {error}", project.display()))?;
    Ok(project)
}

/// Builds a project. Returns the number of dependencies that were compiled, and the seconds.
fn build(project: &Path, arguments: &[&str]) -> Result<(usize, f64), String> {
    let begun = Instant::now();
    let output = cargo(project, arguments)?;
    let seconds = begun.elapsed().as_secs_f64();
    // The empty crate does not count.
    Ok((compiled(&String::from_utf8_lossy(&output.stderr)).saturating_sub(1), seconds))
}

fn cargo(project: &Path, arguments: &[&str]) -> Result<Output, String> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
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
        let messages = "   Compiling a v1.0.0\n  Downloaded b\n   Compiling empty v0.0.0 (/tmp)\n    Finished `dev`";
        assert_eq!(compiled(messages), 2);
    }

    #[test]
    fn a_scratch_directory_is_removed() {
        let scratch = Scratch::new().unwrap();
        let project = project(&scratch.0, "a + b", "").unwrap();
        assert!(project.ends_with("a+b") && project.join("Cargo.toml").exists());
        drop(scratch);
        assert!(!project.exists());
    }
}
