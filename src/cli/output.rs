//! What commands print: aligned tables for people, JSON for scripts. A list goes through [`List`], a single thing through
//! [`show`], and a value that stands in a sentence through [`visible`].
//!
//! Everything is written as for a terminal that shows colours, to be given to [`anstream`], which takes them out
//! where nobody would see them: into a file or a pipe, and with `NO_COLOR`. What is printed comes from strangers, and a
//! terminal obeys what it is sent, so that control characters and whatever else cannot be seen are always escaped.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use clap::{Args, builder::styling::Style};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use unicode_width::UnicodeWidthStr;

const TITLE: Style = Style::new().bold();

/// Widest that a column becomes. A longer value moves the rest of its own row alone.
const WIDEST: usize = 48;

/// For whom to print; flatten it into the arguments of a command that lists or shows.
///
/// JSON is lines, of one object each, so that a list can be read while it is written, and begun and cut anywhere.
#[derive(Args, Clone, Copy, Default)]
pub struct Format {
    /// Print JSON for scripts, one object a line, so that lists of any length can be piped; `jq -s` makes an array of it
    #[arg(long)]
    pub json: bool,
}

/// A list, printed as its rows come.
pub struct List<W, const N: usize> {
    out: W,
    format: Format,
    titles: [&'static str; N],
    widths: [usize; N],
    begun: bool,
}

impl<W: Write, const N: usize> List<W, N> {
    /// A list with these columns. Nothing is printed before the first row.
    pub fn new(out: W, format: Format, titles: [&'static str; N]) -> Self {
        Self { out, format, titles, widths: titles.map(UnicodeWidthStr::width), begun: false }
    }

    /// Prints some rows: of each record its JSON, or its cells. Columns are as wide as what was printed so far needs; a
    /// list that comes in pages may get wider on the way.
    pub fn rows<T: Serialize>(&mut self, records: &[T], cells: impl Fn(&T) -> [String; N]) -> io::Result<()> {
        if self.format.json {
            return records.iter().try_for_each(|record| json(&mut self.out, record));
        }
        if records.is_empty() {
            return Ok(());
        }
        let rows: Vec<[String; N]> = records.iter().map(|record| cells(record).map(|cell| visible(&cell))).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.width().min(WIDEST).max(*width);
            }
        }
        let mut text = String::new();
        if !self.begun {
            self.begun = true;
            let _ = writeln!(text, "{TITLE}{}{TITLE:#}", self.line(&self.titles));
        }
        for row in &rows {
            text.push_str(&self.line(row));
            text.push('\n');
        }
        self.out.write_all(text.as_bytes())
    }

    /// Whether no row was printed: time to say so, to a person.
    pub fn is_empty(&self) -> bool {
        !self.begun
    }

    fn line(&self, cells: &[impl AsRef<str>; N]) -> String {
        let mut line = String::new();
        for (cell, width) in cells.iter().map(AsRef::as_ref).zip(self.widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width()) + 2));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Prints one thing: its JSON, or its fields, one a line. A field without a name goes on with the one before.
pub fn show(mut out: impl Write, format: Format, record: &impl Serialize, fields: &[(&str, String)]) -> io::Result<()> {
    if format.json {
        return json(&mut out, record);
    }
    let width = fields.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    for (name, value) in fields {
        let gap = width.saturating_sub(name.width()) + 2;
        let line = format!("{TITLE}{name}{TITLE:#}{:gap$}{}", "", visible(value));
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A stranger's text for a terminal: what cannot be seen is escaped as in Rust (`\n`, `\u{1b}`), and so is whatever would
/// change the order or the look of what stands beside it.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for part in text.split_inclusive(QUOTES) {
        let plain = part.trim_end_matches(QUOTES);
        shown.extend(plain.escape_debug());
        shown.extend(part.chars().skip(plain.chars().count()));
    }
    shown
}

/// What Rust escapes besides, and everybody can see.
const QUOTES: [char; 3] = ['"', '\'', '\\'];

fn json(out: &mut impl Write, record: &impl Serialize) -> io::Result<()> {
    let mut line = Vec::new();
    record.serialize(&mut Serializer::with_formatter(&mut line, Visible))?;
    line.push(b'\n');
    out.write_all(&line)
}

/// As [`visible`], in the escapes of JSON: a reader gets every character as it was.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        for c in fragment.chars() {
            let mut utf8 = [0; 4];
            if QUOTES.contains(&c) || c.escape_debug().len() == 1 {
                out.write_all(c.encode_utf8(&mut utf8).as_bytes())?;
            } else {
                c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pet {
        name: &'static str,
        legs: u32,
    }

    const PEOPLE: Format = Format { json: false };
    const SCRIPTS: Format = Format { json: true };

    fn pets(names: &[&'static str]) -> Vec<Pet> {
        names.iter().map(|name| Pet { name, legs: 4 }).collect()
    }

    fn cells(pet: &Pet) -> [String; 3] {
        [pet.name.to_owned(), pet.legs.to_string(), String::new()]
    }

    /// What a pipe gets, and what a terminal.
    fn printed(format: Format, pages: &[&[&'static str]]) -> (String, String) {
        let mut out = Vec::new();
        let mut list = List::new(&mut out, format, ["NAME", "LEGS", "NOTE"]);
        for page in pages {
            list.rows(&pets(page), cells).unwrap();
        }
        assert_eq!(list.is_empty(), format.json || pages.concat().is_empty());
        (anstream::adapter::strip_bytes(&out).into_vec().try_into().unwrap(), String::from_utf8(out).unwrap())
    }

    #[test]
    fn columns_are_aligned_and_only_their_titles_are_bold() {
        let (piped, terminal) = printed(PEOPLE, &[&["Rex", "Bello"]]);
        assert_eq!(piped, "NAME   LEGS  NOTE\nRex    4\nBello  4\n");
        assert_eq!(terminal, "\u{1b}[1mNAME   LEGS  NOTE\u{1b}[0m\nRex    4\nBello  4\n");
    }

    #[test]
    fn columns_are_as_wide_as_letters_are_on_a_screen() {
        let (piped, _) = printed(PEOPLE, &[&["犬犬犬", "Zoë", "Zoe\u{308}", "x"]]);
        assert_eq!(piped, "NAME    LEGS  NOTE\n犬犬犬  4\nZoë     4\nZoe\u{308}     4\nx       4\n");
    }

    #[test]
    fn one_overlong_value_does_not_widen_the_others_rows() {
        let long: &'static str = "x".repeat(300).leak();
        let (piped, _) = printed(PEOPLE, &[&["Rex", long]]);
        let lines: Vec<_> = piped.lines().collect();
        assert_eq!(lines[1].len(), 48 + 2 + 1);
        assert_eq!(lines[2], format!("{long}  4"), "and nothing of it is lost");
    }

    #[test]
    fn pages_go_on_with_the_columns_of_those_before_and_have_no_title_of_their_own() {
        let (piped, _) = printed(PEOPLE, &[&["Bello"], &["Rex"], &["Barbarossa", "Rex"]]);
        assert_eq!(piped, "NAME   LEGS  NOTE\nBello  4\nRex    4\nBarbarossa  4\nRex         4\n");
        assert_eq!(printed(PEOPLE, &[&[], &[]]).0, "");
    }

    #[test]
    fn json_is_an_object_a_line_and_has_no_colour() {
        let (piped, terminal) = printed(SCRIPTS, &[&["Rex"], &["O'Malley \"the\" \\cat"]]);
        assert_eq!(piped, terminal);
        assert_eq!(piped, "{\"name\":\"Rex\",\"legs\":4}\n{\"name\":\"O'Malley \\\"the\\\" \\\\cat\",\"legs\":4}\n");
    }

    /// A screen cleared, its title set, a bell, an end of line, text turned around, a space without width, private use.
    const HOSTILE: &str = "a\u{1b}[2J\u{9b}31m\u{7}\r\n\t\0\u{7f}\u{202e}b\u{200b}\u{2028}\u{e000}\u{f0000}é犬";

    #[test]
    fn nothing_of_a_stranger_reaches_the_terminal_as_it_is() {
        let mut shown = Vec::new();
        show(&mut shown, PEOPLE, &HOSTILE, &[("Name", HOSTILE.to_owned())]).unwrap();
        let tables = [String::from_utf8(shown).unwrap(), printed(PEOPLE, &[&[HOSTILE]]).1];
        for table in tables {
            let table = table.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
            assert!(
                table.contains("a\\u{1b}[2J\\u{9b}31m\\u{7}\\r\\n\\t\\0\\u{7f}\\u{202e}b\\u{200b}\\u{2028}\\u{e000}"),
                "{table}"
            );
            assert!(table.contains("é犬") && table.lines().all(|line| !line.contains(char::is_control)), "{table}");
        }
        let line = printed(SCRIPTS, &[&[HOSTILE]]).1;
        for raw in HOSTILE.chars().filter(|c| !matches!(c, '\n') && visible(&c.to_string()).chars().count() > 1) {
            assert!(!line.contains(raw), "{raw:?} in {line}");
        }
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["name"], HOSTILE, "scripts get it as it was");
    }

    #[test]
    fn what_can_be_seen_is_left_alone() {
        for text in ["O'Malley \"the\" \\cat", "'", "\\\\", "", "Zoe\u{308} Ærø 犬 🐕", "a\\'\"b"] {
            assert_eq!(visible(text), text);
        }
        assert_eq!(visible("\u{301}x"), "\\u{301}x", "an accent would sit on what stands before");
        assert_eq!(visible("\"\u{1b}\""), "\"\\u{1b}\"");
    }

    #[test]
    fn one_thing_has_a_field_a_line() {
        let fields = [("Name", "Rex".to_owned()), ("Friends", "Bello".to_owned()), ("", "Ada".to_owned())];
        let mut out = Vec::new();
        show(&mut out, PEOPLE, &(), &fields).unwrap();
        let piped = String::from_utf8(anstream::adapter::strip_bytes(&out).into_vec()).unwrap();
        assert_eq!(piped, "Name     Rex\nFriends  Bello\n         Ada\n");
        let mut out = Vec::new();
        show(&mut out, SCRIPTS, &pets(&["Rex"])[0], &fields).unwrap();
        assert_eq!(out, b"{\"name\":\"Rex\",\"legs\":4}\n");
    }
}
