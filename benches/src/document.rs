//! A document with generated text between two marker lines.

use std::{
    fs,
    path::{Path, PathBuf},
};

const BEGIN: &str = "<!-- peers -->\n";
const END: &str = "<!-- /peers -->\n";

/// A Markdown file with the two marker lines.
#[derive(Debug)]
pub struct Document {
    path: PathBuf,
    before: String,
    after: String,
}

impl Document {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or lacks the marker lines.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, String> {
        let path = path.as_ref().to_owned();
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let place = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let Some((before, after)) = place else {
            return Err(format!("{} lacks the lines `{}` and `{}`", path.display(), BEGIN.trim(), END.trim()));
        };
        let (before, after) = (before.to_owned(), after.to_owned());
        Ok(Self { path, before, after })
    }

    /// Replaces the text between the marker lines.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn fill(self, text: &str) -> Result<(), String> {
        let Self { path, before, after } = self;
        let filled = format!("{before}{BEGIN}\n{text}\n{END}{after}");
        fs::write(&path, filled).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_between_the_markers_is_replaced() {
        let path = std::env::temp_dir().join(format!("decor-document-{}.md", std::process::id()));
        fs::write(&path, "# Head\n\n<!-- peers -->\nold\n<!-- /peers -->\n\nfoot\n").unwrap();
        for text in ["new", "newer"] {
            Document::open(&path).unwrap().fill(text).unwrap();
            let expected = format!("# Head\n\n<!-- peers -->\n\n{text}\n<!-- /peers -->\n\nfoot\n");
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
        fs::write(&path, "# Head\n").unwrap();
        let refused = Document::open(&path).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert!(refused.ends_with("lacks the lines `<!-- peers -->` and `<!-- /peers -->`"), "{refused}");
    }
}
