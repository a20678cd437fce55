//! The command `decor-benches`: see [`USAGE`].

use decor_benches::{
    arguments::{Command, Files, Peers, USAGE},
    build,
    cases::{ALL, SHARED, sides},
    document::{Document, Part},
    host::{ProcessorTime, machine},
    json::json,
    measure::Row,
    scaling,
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
        Ok(Command::Scaling(files)) => scaling(&files),
        Ok(Command::Build(files)) => build(&files),
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
    refuse_debug()?;
    let Peers { svg: chart, files, .. } = wanted;
    let document = open(files, if decor::HAS_FAST_CLOCK { Part::FastClock } else { Part::Peers })?;
    if let Some(file) = chart {
        write(file, "")?;
    }
    let (begun, processors) = (Instant::now(), ProcessorTime::now());
    let rows = rows(wanted);
    print!("{}", table(&rows));
    let missed = rows.iter().filter(|row| row.met() == Some(false)).count();
    let promised = rows.iter().filter(|row| row.met().is_some()).count();
    println!("\n{} of {promised} rows meet their target; {:.0} s", promised - missed, begun.elapsed().as_secs_f64());
    let stolen = stolen_since(processors);
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
    if let Some(file) = chart {
        write(file, &svg(&rows))?;
    }
    fill(files, document, &json(&rows), || format!("{}\n{}", machine(stolen), markdown(&rows)))
}

/// Measures the cases that are wanted.
fn rows(wanted: &Peers) -> Vec<Row> {
    let mut rows = Vec::new();
    match wanted.threads {
        None => {
            for case in ALL.iter().filter(|case| wanted.wants(case.id)) {
                eprintln!("{}: {}", case.id, case.about);
                rows.extend(case.measure());
            }
        }
        Some(threads) => {
            for case in SHARED.iter().filter(|case| wanted.wants(&case.on(threads))) {
                eprintln!("{}: {}, on {threads} threads", case.on(threads), case.about);
                rows.extend(case.measure(threads));
            }
        }
    }
    rows
}

fn scaling(files: &Files) -> Result<(), String> {
    refuse_debug()?;
    let document = open(files, Part::Scaling)?;
    let processors = ProcessorTime::now();
    let lines = scaling::measure();
    let machine = machine(stolen_since(processors));
    print!("{}\n{machine}", scaling::table(&lines));
    println!("Million calls a second of all threads together: decor / peer, and how many times as many.");
    fill(files, document, &scaling::json(&lines), || format!("{machine}\n{}", scaling::markdown(&lines)))
}

fn build(files: &Files) -> Result<(), String> {
    let document = open(files, Part::Build)?;
    let processors = ProcessorTime::now();
    let built = build::measure()?;
    let machine = machine(stolen_since(processors));
    print!("{}\n{machine}", built.table());
    fill(files, document, &built.json(), || format!("{machine}\n{}", built.markdown()))
}

fn refuse_debug() -> Result<(), String> {
    if cfg!(debug_assertions) {
        return Err("a debug build has no meaningful figures: use `cargo run --release`".to_owned());
    }
    Ok(())
}

/// Opens the document. A file that cannot be written fails here, before the measurement.
fn open(files: &Files, part: Part) -> Result<Option<Document>, String> {
    if let Some(file) = &files.json {
        write(file, "")?;
    }
    files.markdown.as_ref().map(|file| Document::open(file, part)).transpose()
}

fn fill(
    files: &Files,
    document: Option<Document>,
    json: &str,
    markdown: impl FnOnce() -> String,
) -> Result<(), String> {
    if let Some(file) = &files.json {
        write(file, json)?;
    }
    document.map_or(Ok(()), |document| document.fill(&markdown()))
}

fn stolen_since(earlier: Option<ProcessorTime>) -> Option<f64> {
    earlier.zip(ProcessorTime::now()).map(|(earlier, now)| now.stolen_since(earlier))
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
