//! The floors of the crate: a module imports from its own floor and from those below, and no
//! modules import each other in a circle.
//!
//! Tests and comments are left out. A name that a module re-exports counts where it is declared, so
//! `crate::Memo` is an import of the memo, and not of the front page.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// The floors with their rooms, from the ground up. The root is the front page.
const FLOORS: &[(&str, &[&str])] = &[
    (
        "ground",
        &["sync", "striped", "name", "error", "random", "clock", "trace", "attempt", "ring", "deadline", "serde"],
    ),
    ("outputs", &["fallible", "transient", "http", "reqwest"]),
    ("policy", &["policy", "describe"]),
    ("threads", &["thread"]),
    ("calls", &["call"]),
    ("layers", &["layer"]),
    (
        "handles",
        &["keys", "rate_limiter", "retry_budget", "hedge", "chaos", "circuit_breaker", "concurrency_limiter", "memo"],
    ),
    ("decorators", &["decorators"]),
    ("extension traits", &["fn_ext", "future_ext", "stream_ext", "diagnostics"]),
    ("facades", &["", "prelude", "calling", "blocking", "guide", "test_util", "tower"]),
];

#[test]
fn no_module_imports_a_floor_above_its_own() {
    let house = House::read(Path::new("src"));
    let mut faults = String::new();
    for import in &house.imports {
        let (own, floor) = (floor_of(&import.from), floor_of(&import.to).max(floor_of(written(import))));
        let (Some(own), Some(floor)) = (own, floor) else { continue };
        if floor > own {
            let (own, floor) = (FLOORS[own].0, FLOORS[floor].0);
            let Import { at, path, .. } = import;
            writeln!(faults, "{at}: `{path}` is on the floor `{floor}`, above its own, `{own}`").unwrap();
        }
    }
    assert!(faults.is_empty(), "imports that point upwards:\n{faults}");
}

#[test]
fn every_module_has_a_floor_and_every_room_has_a_module() {
    let house = House::read(Path::new("src"));
    let homeless = house.files.keys().filter(|module| floor_of(module).is_none()).collect::<Vec<_>>();
    assert!(homeless.is_empty(), "on no floor of `FLOORS`: {homeless:?}");
    let rooms = house.files.keys().map(|module| room_of(module)).collect::<BTreeSet<_>>();
    let empty = FLOORS.iter().flat_map(|(_, rooms)| *rooms).filter(|room| !rooms.contains(**room)).collect::<Vec<_>>();
    assert!(empty.is_empty(), "rooms of `FLOORS` without a file: {empty:?}");
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let house = House::read(Path::new("src"));
    let mut arrows = BTreeMap::<&str, BTreeSet<&str>>::new();
    for import in house.imports.iter().filter(|import| import.is_needed && import.from != import.to) {
        arrows.entry(&import.from).or_default().insert(&import.to);
    }
    let reach = arrows.keys().map(|from| (*from, reached(from, &arrows))).collect::<BTreeMap<_, _>>();
    let mutual = |a: &str, b: &str| reach[a].contains(b) && reach.get(b).is_some_and(|back| back.contains(a));
    let circles = reach
        .keys()
        .map(|from| reach.keys().filter(|to| mutual(from, to)).copied().collect::<Vec<_>>())
        .filter(|circle| !circle.is_empty())
        .collect::<BTreeSet<_>>();

    let mut faults = String::new();
    for circle in &circles {
        writeln!(faults, "{}", circle.join(", ")).unwrap();
        let within = |import: &&Import| {
            import.is_needed && [&import.from, &import.to].iter().all(|module| circle.contains(&module.as_str()))
        };
        for Import { at, path, from, to, .. } in house.imports.iter().filter(within).filter(|i| i.from != i.to) {
            writeln!(faults, "    {at}: {from} -> {to}, by `{path}`").unwrap();
        }
    }
    assert!(faults.is_empty(), "modules that import each other in a circle:\n{faults}");
}

#[test]
fn the_parser_sees_every_kind_of_import_and_no_test() {
    let house = House::of([
        ("", "mod error; mod policy; mod thread; pub use policy::{Backoff, limit::Quota as Q};"),
        ("error", "pub struct Error; // use crate::thread::X;"),
        ("policy", "mod limit; pub use limit::Permits;\n pub struct Backoff;"),
        (
            "policy::limit",
            r#"
            use super::{super::error::Error, Backoff};
            /// use crate::thread::Doc;
            pub(in crate::policy) fn f() { "crate::thread::Text"; '"'; crate::thread::park::<'a'>() }
            macro_rules! m { () => { $crate::thread::at() }; }
            #[cfg(all(not(shuttle), test, feature = "x"))] mod tests { use crate::thread::Test; }
            #[cfg(any(not(all(test, shuttle)), unix))] use crate::Q;
            mod inner { use super::Backoff as B; use super::super::super::thread; }
            "#,
        ),
        ("thread", ""),
    ]);
    let found = house.imports.iter().filter(|import| import.from == "policy::limit");
    let found = found.map(|import| format!("{} {} -> {}", import.at, import.path, import.to)).collect::<Vec<_>>();
    assert_eq!(
        found,
        [
            "policy::limit:2 super::super::error::Error -> error",
            "policy::limit:2 super::Backoff -> policy",
            "policy::limit:4 crate::thread::park -> thread",
            "policy::limit:5 crate::thread::at -> thread",
            "policy::limit:7 crate::Q -> policy::limit",
            "policy::limit:8 super::Backoff -> policy",
            "policy::limit:8 super::super::super::thread -> thread",
        ]
    );
    let root = house.imports.iter().filter(|import| import.from.is_empty()).map(|import| (&*import.path, &*import.to));
    assert_eq!(root.collect::<Vec<_>>(), [("policy::Backoff", "policy"), ("policy::limit::Quota", "policy::limit")]);
}

/// The facade that the path goes through, if any. The front page does not count.
fn written(import: &Import) -> &str {
    if import.written.is_empty() { &import.to } else { &import.written }
}

fn room_of(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|(_, rooms)| rooms.contains(&room_of(module)))
}

fn reached<'a>(from: &str, arrows: &BTreeMap<&str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut left = arrows[from].iter().copied().collect::<Vec<_>>();
    while let Some(module) = left.pop() {
        if found.insert(module) {
            left.extend(arrows.get(module).into_iter().flatten());
        }
    }
    found
}

/// All modules that are files, by their paths without `crate::`; the root is "".
#[derive(Default)]
struct House {
    files: BTreeMap<String, File>,
    imports: Vec<Import>,
}

#[derive(Default)]
struct File {
    /// Path of the file, for messages.
    name: String,
    tokens: Vec<Token>,
    /// Names that `use` imports, with their paths as written.
    names: BTreeMap<String, Vec<String>>,
}

struct Import {
    /// File and line of the import.
    at: String,
    path: String,
    from: String,
    /// The module that the path names. The root stands for what it re-exports.
    written: String,
    /// The module that declares the named item.
    to: String,
    /// `false` if the module only re-exports the name.
    is_needed: bool,
}

impl House {
    fn read(directory: &Path) -> Self {
        let mut files = Vec::new();
        rust_files(directory, &mut files);
        assert!(files.len() > 50, "only {files:?}");
        let mut sources = files.iter().map(|file| (module_of(file, directory), file)).collect::<Vec<_>>();
        sources.sort();
        Self::parse(sources.iter().map(|(module, file)| {
            (module.clone(), file.display().to_string(), fs::read_to_string(file).expect("a source file"))
        }))
    }

    fn of<const N: usize>(sources: [(&str, &str); N]) -> Self {
        Self::parse(sources.map(|(module, text)| (module.to_owned(), module.to_owned(), text.to_owned())))
    }

    fn parse(sources: impl IntoIterator<Item = (String, String, String)>) -> Self {
        let mut house = Self::default();
        let mut tests = BTreeSet::new();
        for (module, name, text) in sources {
            let (tokens, test_modules) = without_tests(tokens(&text));
            tests.extend(test_modules.into_iter().map(|test| child(&module, &test)));
            house.files.insert(module, File { name, tokens, names: BTreeMap::new() });
        }
        house.files.retain(|module, _| !tests.contains(module));

        let found = house.files.iter().map(|(module, file)| (module.clone(), paths(&file.tokens)));
        let found = found.collect::<Vec<_>>();
        for (module, paths) in &found {
            let file = house.files.get_mut(module).expect("listed");
            file.names.extend(paths.iter().filter_map(|path| Some((path.name.clone()?, path.absolute(module)))));
        }
        for (module, paths) in &found {
            for path in paths {
                let absolute = path.absolute(module);
                let Some((written, to)) = house.resolve(module, &absolute, 0) else { continue };
                let file = &house.files[module];
                let has_rooms = house.files.keys().any(|other| other.starts_with(&child(module, "")));
                let uses = |name: &String| file.tokens.iter().filter(|token| token.text == *name).count() > 1;
                house.imports.push(Import {
                    at: format!("{}:{}", file.name, path.line),
                    path: path.segments.join("::"),
                    from: module.clone(),
                    written,
                    to,
                    is_needed: !has_rooms || path.name.as_ref().is_none_or(uses),
                });
            }
        }
        house
    }

    /// Returns the module that the path names, and the module that declares the named item; `None`
    /// outside of the crate.
    fn resolve(&self, from: &str, path: &[String], depth: usize) -> Option<(String, String)> {
        assert!(depth < 9, "{from} goes in circles by {path:?}");
        let (mut module, mut path) = match path.split_first()? {
            (first, rest) if first == "crate" => (String::new(), rest),
            (first, _) if self.files.contains_key(&child(from, first)) => (from.to_owned(), path),
            _ => return None,
        };
        while let Some((first, rest)) = path.split_first() {
            let below = child(&module, first);
            if self.files.contains_key(&below) {
                (module, path) = (below, rest);
                continue;
            }
            let handed_on = self.files[&module].names.get(first);
            let home = handed_on.and_then(|target| {
                let target = target.iter().chain(rest).cloned().collect::<Vec<_>>();
                self.resolve(&module, &target, depth + 1)
            });
            return Some(match home {
                Some((_, home)) => (module, home),
                None => (module.clone(), module),
            });
        }
        Some((module.clone(), module))
    }
}

fn child(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension() == Some(OsStr::new("rs")) {
            found.push(path);
        }
    }
}

fn module_of(file: &Path, directory: &Path) -> String {
    let path = file.strip_prefix(directory).expect("within").with_extension("");
    let segments = path.iter().map(|segment| segment.to_string_lossy()).filter(|segment| segment != "mod");
    segments.filter(|segment| segment != "lib").collect::<Vec<_>>().join("::")
}

/// A word, `::`, or a single character.
#[derive(Debug)]
struct Token {
    text: String,
    line: usize,
}

/// Splits code into tokens, without comments and without the text of literals.
fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (text, 1);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").expect("the literal ends") + 5
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.expect("the literal ends") + 2
        } else if first == '\'' {
            let mut characters = rest[1..].char_indices();
            match (characters.next(), characters.next()) {
                (Some((_, '\\')), _) => rest[3..].find('\'').expect("the literal ends") + 4,
                (_, Some((end, '\''))) => end + 2,
                _ => 1, // a lifetime
            }
        } else {
            let length = match rest.find(|c| !is_word(c)) {
                _ if rest.starts_with("::") => 2,
                None => rest.len(),
                Some(0) => first.len_utf8(),
                Some(word) => word,
            };
            if !first.is_whitespace() {
                found.push(Token { text: rest[..length].to_owned(), line });
            }
            length
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// Removes the items under a `#[cfg(..)]` that asks for `test`, and returns the names of the
/// modules among them.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if token.text != "#" {
            kept.push(token);
            continue;
        }
        let mut attribute = vec![token];
        let mut depth = 0;
        for token in tokens.by_ref() {
            depth += i32::from(token.text == "[") - i32::from(token.text == "]");
            let is_start = token.text == "!";
            attribute.push(token);
            if depth == 0 && !is_start {
                break;
            }
        }
        if !asks_for_test(&attribute) {
            kept.extend(attribute);
            continue;
        }
        let (mut depth, mut before) = (0, String::new());
        for token in tokens.by_ref() {
            depth += i32::from(token.text == "{") - i32::from(token.text == "}");
            if before == "mod" {
                modules.push(token.text.clone());
            }
            if depth == 0 && (token.text == ";" || token.text == "}") {
                break;
            }
            before = token.text;
        }
    }
    (kept, modules)
}

/// Returns `true` for a `#[cfg(..)]` with a `test` outside of `not(..)`.
fn asks_for_test(attribute: &[Token]) -> bool {
    let words = attribute.iter().map(|token| token.text.as_str()).collect::<Vec<_>>();
    // The depth of parentheses, and the depth of the `not(..)` around.
    let (mut depth, mut negated) = (0, None);
    for (at, word) in words.iter().enumerate() {
        match *word {
            "(" => depth += 1,
            ")" => depth -= 1,
            "not" if negated.is_none() => negated = Some(depth),
            "test" if words.contains(&"cfg") && negated.is_none() => return true,
            _ => {}
        }
        if negated == Some(depth) && words[at] == ")" {
            negated = None;
        }
    }
    false
}

#[derive(Debug)]
struct ImportPath {
    line: usize,
    /// The path as written, with `use` trees made flat.
    segments: Vec<String>,
    /// The name that a `use` gives the item in the file; `None` in an inline module, and for a path
    /// in an expression.
    name: Option<String>,
    /// Number of inline modules around the path.
    depth: usize,
}

impl ImportPath {
    /// Returns the path from the root if it begins with `self` or `super`; otherwise the path as it
    /// is.
    fn absolute(&self, module: &str) -> Vec<String> {
        let supers = self.segments.iter().take_while(|segment| *segment == "super").count();
        let selfs = usize::from(self.segments[0] == "self");
        if supers + selfs == 0 || supers < self.depth {
            return self.segments.clone();
        }
        let here = module.split("::").filter(|segment| !segment.is_empty()).collect::<Vec<_>>();
        let above = &here[..here.len() - (supers - self.depth)];
        let above = ["crate"].iter().chain(above).map(|segment| (*segment).to_owned());
        above.chain(self.segments[supers + selfs..].iter().cloned()).collect()
    }
}

/// The paths of all imports, in `use` and inline.
fn paths(tokens: &[Token]) -> Vec<ImportPath> {
    let mut found = Vec::new();
    // The depth of braces, and the depths of the braces of inline modules.
    let (mut depth, mut modules) = (0, Vec::new());
    let mut at = 0;
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let is_word = |text: &str| text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    while at < tokens.len() {
        match text(at) {
            "mod" if text(at + 2) == "{" => modules.push(depth),
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if modules.last() == Some(&depth) {
                    modules.pop();
                }
            }
            "use" if text(at + 1) != "<" => {
                // not the `use<..>` of a return type
                let end = (at..tokens.len()).find(|at| text(*at) == ";").expect("`use` ends");
                let mut tree = UseTree { tokens: &tokens[at + 1..end], found: &mut found, depth: modules.len() };
                tree.parse(&[]);
                at = end;
            }
            word if is_word(word) && text(at + 1) == "::" && (at == 0 || !["::", "in"].contains(&text(at - 1))) => {
                let line = tokens[at].line;
                let mut segments = vec![word.to_owned()];
                while text(at + 1) == "::" && is_word(text(at + 2)) {
                    at += 2;
                    segments.push(text(at).to_owned());
                }
                found.push(ImportPath { line, segments, name: None, depth: modules.len() });
            }
            _ => {}
        }
        at += 1;
    }
    found
}

struct UseTree<'t> {
    tokens: &'t [Token],
    found: &'t mut Vec<ImportPath>,
    depth: usize,
}

impl UseTree<'_> {
    /// Parses one tree, up to its comma or closing brace.
    fn parse(&mut self, above: &[String]) {
        let mut segments = above.to_vec();
        let mut name = None;
        let mut line = 0;
        while let Some((token, rest)) = self.tokens.split_first() {
            match token.text.as_str() {
                "," | "}" => break,
                "::" => {}
                "{" => {
                    self.tokens = rest;
                    while self.tokens.first().is_some_and(|token| token.text != "}") {
                        self.parse(&segments);
                        if self.tokens.first().is_some_and(|token| token.text == ",") {
                            self.tokens = &self.tokens[1..];
                        }
                    }
                    self.tokens = &self.tokens[1..];
                    return;
                }
                "as" => {
                    name = Some(rest[0].text.clone());
                    self.tokens = &rest[1..];
                    continue;
                }
                "self" if !segments.is_empty() => {}
                "*" => name = Some("_".to_owned()),
                segment => {
                    line = token.line;
                    segments.push(segment.to_owned());
                }
            }
            line = line.max(token.line);
            self.tokens = rest;
        }
        let name = name.or_else(|| segments.last().cloned()).filter(|name| name != "_" && self.depth == 0);
        self.found.push(ImportPath { line, segments, name, depth: self.depth });
    }
}
