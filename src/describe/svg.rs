//! The picture as an SVG: nested boxes, readable on light and on dark pages.

use super::picture::Row;
use std::fmt::{self, Display, Write};

/// Height of the row of a box, in pixels.
const ROW: usize = 34;
/// Distance between a box and the box around it, in pixels.
const GAP: usize = 12;
/// Distance between the border of a box and its text, in pixels.
const PADDING: usize = 12;
/// Width of a character of the font, in pixels, rounded up.
const CHARACTER: usize = 8;

/// The classes are scoped by the class of the picture, so that several pictures on a page do not
/// disturb each other or the page.
const STYLE: &str = "<style>
.decor-chain { background: #ffffff; max-width: 100%; height: auto; }
.decor-chain text { font: 13px ui-monospace, monospace; fill: #1f2328; white-space: pre; }
.decor-chain .note { fill: #59636e; text-anchor: end; }
.decor-chain rect { fill: none; stroke: #8c959f; stroke-width: 1.2; }
.decor-chain .core { fill: #ddf4ff; stroke: #0969da; }
@media (prefers-color-scheme: dark) {
.decor-chain { background: #0d1117; }
.decor-chain text { fill: #f0f6fc; }
.decor-chain .note { fill: #9198a1; }
.decor-chain .core { fill: #121d2f; stroke: #4493f8; }
}
</style>
";

/// Draws the rows, of which the first is the outermost box.
pub(super) fn draw(rows: &[Row<'_>], title: impl Display) -> String {
    let mut svg = String::new();
    let _ = write(&mut svg, rows, &title); // writing to a `String` cannot fail
    svg
}

fn write(svg: &mut String, rows: &[Row<'_>], title: &dyn Display) -> fmt::Result {
    let boxes = rows.len();
    let width_of = |(depth, row): (usize, &Row<'_>)| {
        let characters = row.text.chars().count() + row.note.chars().count();
        2 * (GAP * (depth + 1) + PADDING) + (characters + 3) * CHARACTER
    };
    let width = rows.iter().enumerate().map(width_of).max().unwrap_or_default();
    let height = boxes * (ROW + GAP) + GAP;
    write!(svg, r#"<svg xmlns="http://www.w3.org/2000/svg" class="decor-chain" viewBox="0 0 {width} {height}""#)?;
    writeln!(svg, r#" width="{width}" height="{height}" role="img">"#)?;
    writeln!(svg, "<title>{}</title>", Escaped(title))?;
    svg.write_str(STYLE)?;
    for (depth, row) in rows.iter().enumerate() {
        let (x, y) = (GAP * (depth + 1), GAP + ROW * depth);
        let (wide, high) = (width - 2 * x, height - y - GAP * (depth + 1));
        let class = if depth + 1 == boxes { r#" class="core""# } else { "" };
        writeln!(svg, r#"<rect{class} x="{x}" y="{y}" width="{wide}" height="{high}" rx="6"/>"#)?;
        let (left, right, baseline) = (x + PADDING, width - x - PADDING, y + 22);
        writeln!(svg, r#"<text x="{left}" y="{baseline}">{}</text>"#, Escaped(&row.text))?;
        if !row.note.is_empty() {
            writeln!(svg, r#"<text class="note" x="{right}" y="{baseline}">{}</text>"#, Escaped(&row.note))?;
        }
    }
    svg.write_str("</svg>\n")
}

/// A text that is safe between tags and in quotes.
struct Escaped<'a>(&'a dyn Display);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| match character {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            // XML has no other control characters.
            '\t' | '\n' | '\r' => self.0.write_char(' '),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => {
                self.0.write_char(char::REPLACEMENT_CHARACTER)
            }
            character => self.0.write_char(character),
        })
    }
}
