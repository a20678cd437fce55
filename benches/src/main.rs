//! The command `decor-benches`: see [`USAGE`].

use decor_benches::{
    arguments::{Command, Peers, USAGE},
    build,
    cases::{ALL, sides},
    document::Document,
    host::{ProcessorTime, machine},
    json::json,
    svg::svg,
    table::{markdown, table},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

fn main() -> ExitCode {
    let outcome = match Command::parse(env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{USAGE}");
            Ok(())
        }
        Ok(Command::Peers(wanted)) => peers(&wanted),
        Ok(Command::Spin(case, peer)) => spin(&case, peer.as_deref().unwrap_or("decor")),
        Ok(Command::Build) => build::measure(),
        Err(error) => Err(format!("{error}\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn peers(wanted: &Peers) -> Result<(), String> {
    if cfg!(debug_assertions) {
        return Err("a debug build has no meaningful figures: use `cargo run --release`".to_owned());
    }
    // A file that cannot be written should fail before the measurement.
    for file in [&wanted.json, &wanted.svg].into_iter().flatten() {
        write(file, "")?;
    }
    let document = wanted.markdown.as_ref().map(Document::open).transpose()?;
    let (begun, processors) = (Instant::now(), ProcessorTime::now());
    let mut rows = Vec::new();
    for case in ALL {
        if wanted.cases.is_empty() || wanted.cases.iter().any(|prefix| case.id.starts_with(prefix)) {
            eprintln!("{}: {}", case.id, case.about);
            rows.extend(case.measure());
        }
    }
    print!("{}", table(&rows));
    let missed = rows.iter().filter(|row| row.met() == Some(false)).count();
    let promised = rows.iter().filter(|row| row.met().is_some()).count();
    println!("\n{} of {promised} rows meet their target; {:.0} s", promised - missed, begun.elapsed().as_secs_f64());
    let stolen = processors.zip(ProcessorTime::now()).map(|(earlier, now)| now.stolen_since(earlier));
    if let Some(stolen) = stolen {
        println!("The host took {:.0} % of the processor time meanwhile.", 100.0 * stolen);
    }
    println!(
        "Nanoseconds a call; for waiters, until the last is admitted. decor / peer. The spread is the middle half of the rounds."
    );
    if cfg!(feature = "tryhard") {
        println!("With tryhard, which switches tokio's `test-util` on for all.");
    } else {
        println!("Without tryhard, which switches tokio's `test-util` on for all: `--features tryhard`.");
    }
    if let Some(file) = &wanted.json {
        write(file, &json(&rows))?;
    }
    if let Some(file) = &wanted.svg {
        write(file, &svg(&rows))?;
    }
    match document {
        Some(document) => document.fill(&format!("{}\n{}", machine(stolen), markdown(&rows))),
        None => Ok(()),
    }
}

fn spin(case: &str, peer: &str) -> Result<(), String> {
    let name = format!("{case}: {peer}");
    let sides = sides(case);
    let Some(named) = sides.iter().find(|named| named.to_string() == name) else {
        let names: Vec<_> = sides.iter().map(ToString::to_string).collect();
        return Err(format!("there is no `{name}`; the sides of `{case}` are [{}]", names.join(", ")));
    };
    let (begun, mut calls) = (Instant::now(), 0_u64);
    while begun.elapsed() < Duration::from_secs(3) {
        named.side.run(1_000);
        calls += 1_000;
    }
    println!("{name}: {:.1} ns a call", begun.elapsed().as_nanos() as f64 / calls as f64);
    Ok(())
}

fn write(file: &PathBuf, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", Path::display(file)))
}
