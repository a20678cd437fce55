//! The cost of building, as text, as Markdown and as JSON.

use super::{
    Built, Library,
    program::{Program, Seconds},
};
use crate::{
    json::{field, number, text},
    table::{columns, section},
};

const LIBRARIES: [&str; 4] = ["library", "crates", "debug", "release"];
const PROGRAMS: [&str; 6] =
    ["program", "debug", "debug, after a change", "release", "release, after a change", "stripped binary"];

impl Built {
    /// Returns both tables in columns.
    pub fn table(&self) -> String {
        let libraries: Vec<_> =
            [LIBRARIES.map(str::to_owned)].into_iter().chain(self.libraries.iter().map(Library::cells)).collect();
        let programs: Vec<_> =
            [PROGRAMS.map(str::to_owned)].into_iter().chain(self.programs.iter().map(Program::cells)).collect();
        format!("{}\n{}", columns(&libraries, &[1, 2, 3]), columns(&programs, &[1, 2, 3, 4, 5]))
    }

    /// Returns both tables as Markdown.
    pub fn markdown(&self) -> String {
        let libraries = section("Clean builds", &LIBRARIES, self.libraries.iter().map(Library::cells));
        let programs = section("A program with a chain", &PROGRAMS, self.programs.iter().map(Program::cells));
        format!("{libraries}\n{programs}")
    }

    /// Returns both tables as a JSON object.
    pub fn json(&self) -> String {
        let list = |objects: Vec<String>| format!("[\n    {}\n  ]", objects.join(",\n    "));
        let libraries = field("libraries", &list(self.libraries.iter().map(Library::object).collect()));
        let programs = field("programs", &list(self.programs.iter().map(Program::object).collect()));
        format!("{{\n  {libraries},\n  {programs}\n}}\n")
    }
}

impl Library {
    fn cells(&self) -> [String; 4] {
        let Self { name, crates, debug, release } = self;
        [(*name).to_owned(), crates.to_string(), seconds(*debug), seconds(*release)]
    }

    fn object(&self) -> String {
        let fields = [
            field("name", &text(self.name)),
            field("crates", &self.crates.to_string()),
            field("debug_s", &number(self.debug)),
            field("release_s", &number(self.release)),
        ];
        format!("{{{}}}", fields.join(", "))
    }
}

impl Program {
    fn cells(&self) -> [String; 6] {
        let Self { name, debug, release, binary } = self;
        let times = [debug.clean, debug.changed, release.clean, release.changed].map(seconds);
        let [debug, debug_changed, release, release_changed] = times;
        let binary = format!("{:.0} KB", *binary as f64 / 1_000.0);
        [(*name).to_owned(), debug, debug_changed, release, release_changed, binary]
    }

    fn object(&self) -> String {
        let profile = |Seconds { clean, changed }| {
            format!("{{{}, {}}}", field("clean_s", &number(clean)), field("changed_s", &number(changed)))
        };
        let fields = [
            field("name", &text(self.name)),
            field("debug", &profile(self.debug)),
            field("release", &profile(self.release)),
            field("binary_bytes", &self.binary.to_string()),
        ];
        format!("{{{}}}", fields.join(", "))
    }
}

fn seconds(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built() -> Built {
        let seconds = |clean, changed| Seconds { clean, changed };
        Built {
            libraries: vec![Library { name: "decor", crates: 40, debug: 12.34, release: 20.0 }],
            programs: vec![Program {
                name: "a call",
                debug: seconds(1.5, 0.5),
                release: seconds(2.25, 2.0),
                binary: 812_345,
            }],
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_library_and_each_program() {
        let table = built().table();
        let lines: Vec<_> = table.lines().map(|line| line.split("  ").map(str::trim)).collect();
        let cells: Vec<Vec<_>> = lines.into_iter().map(|line| line.filter(|cell| !cell.is_empty()).collect()).collect();
        assert_eq!(cells[0], LIBRARIES);
        assert_eq!(cells[1], ["decor", "40", "12.3 s", "20.0 s"]);
        assert_eq!(cells[3], PROGRAMS);
        assert_eq!(cells[4], ["a call", "1.50 s", "0.50 s", "2.25 s", "2.00 s", "812 KB"]);
    }

    #[test]
    fn markdown_has_a_section_for_each() {
        let text = built().markdown();
        assert!(text.starts_with("## Clean builds\n\n| library | crates | debug | release |\n|---|---|---|---|\n"));
        assert!(
            text.contains("| decor | 40 | 12.3 s | 20.0 s |\n\n## A program with a chain\n\n| program | "),
            "{text}"
        );
        assert!(text.ends_with("| a call | 1.50 s | 0.50 s | 2.25 s | 2.00 s | 812 KB |\n"), "{text}");
    }

    #[test]
    fn json_has_a_list_for_each() {
        let expected = r#"{
  "libraries": [
    {"name": "decor", "crates": 40, "debug_s": 12.34, "release_s": 20}
  ],
  "programs": [
    {"name": "a call", "debug": {"clean_s": 1.5, "changed_s": 0.5}, "release": {"clean_s": 2.25, "changed_s": 2}, "binary_bytes": 812345}
  ]
}
"#;
        assert_eq!(built().json(), expected);
    }
}
