//! A document with generated text between two marker lines.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A part of the document that a command writes. It lies between two marker lines, such as
/// `<!-- peers -->` and `<!-- /peers -->`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The rows beside peers.
    Peers,
    /// The same with the fast clock.
    FastClock,
    /// The throughput of several threads.
    Scaling,
    /// The cost of building.
    Build,
}

impl Part {
    fn markers(self) -> [String; 2] {
        let name = match self {
            Self::Peers => "peers",
            Self::FastClock => "fast-clock",
            Self::Scaling => "scaling",
            Self::Build => "build",
        };
        [format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n")]
    }
}

/// A Markdown file with a part that is to be replaced.
#[derive(Debug)]
pub struct Document {
    path: PathBuf,
    /// With the first marker line.
    before: String,
    /// With the second marker line.
    after: String,
}

impl Document {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or lacks the marker lines.
    pub fn open(path: impl AsRef<Path>, part: Part) -> Result<Self, String> {
        let path = path.as_ref().to_owned();
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let [begin, end] = part.markers();
        let place = text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
        let Some((before, after)) = place else {
            return Err(format!("{} lacks the lines `{}` and `{}`", path.display(), begin.trim(), end.trim()));
        };
        let (before, after) = (format!("{before}{begin}"), format!("{end}{after}"));
        Ok(Self { path, before, after })
    }

    /// Replaces the text between the marker lines.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn fill(self, text: &str) -> Result<(), String> {
        let Self { path, before, after } = self;
        let filled = format!("{before}\n{text}\n{after}");
        fs::write(&path, filled).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_between_the_markers_is_replaced() {
        let path = std::env::temp_dir().join(format!("decor-document-{}.md", std::process::id()));
        for (part, name) in [
            (Part::Peers, "peers"),
            (Part::FastClock, "fast-clock"),
            (Part::Scaling, "scaling"),
            (Part::Build, "build"),
        ] {
            let head = format!("# Head\n\n<!-- other -->\n<!-- /other -->\n<!-- {name} -->\n");
            let foot = format!("<!-- /{name} -->\n\nfoot\n");
            fs::write(&path, format!("{head}old\n{foot}")).unwrap();
            for text in ["new", "newer"] {
                Document::open(&path, part).unwrap().fill(text).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), format!("{head}\n{text}\n{foot}"));
            }
        }
        fs::write(&path, "# Head\n").unwrap();
        let refused = Document::open(&path, Part::Peers).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert!(refused.ends_with("lacks the lines `<!-- peers -->` and `<!-- /peers -->`"), "{refused}");
    }
}
