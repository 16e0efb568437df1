//! What is wrong with a configuration, all of it at once, for people.

use std::{collections::HashSet, fmt};

use super::tree::{Flaw, Place, position};

/// Every problem of a configuration, in the order of the file.
#[derive(Debug)]
pub struct Report {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One problem. Nothing in it shows a value that was not read as public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named, or the environment variable.
    pub source: String,
    /// From 1; 0 for a problem without a line.
    pub line: usize,
    /// From 1, in characters; 0 for a problem without a line.
    pub column: usize,
    /// What is wrong, and what was wanted.
    pub message: String,
    /// The line, with marks beneath.
    snippet: Option<Snippet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Snippet {
    line: String,
    /// Characters before the marks.
    indent: usize,
    /// Marks.
    width: usize,
}

impl Report {
    /// A file that could not be read at all.
    pub(super) fn unreadable(file: &str, message: String) -> Self {
        Self { problems: vec![Problem { source: file.to_owned(), line: 0, column: 0, message, snippet: None }] }
    }

    /// Puts flaws into lines and columns.
    pub(super) fn new(mut flaws: Vec<Flaw>, source: &Source<'_>) -> Self {
        flaws.sort();
        // An alias brings the same flaw as what it names.
        flaws.dedup();
        Self { problems: flaws.into_iter().map(|flaw| source.problem(flaw)).collect() }
    }
}

/// A file, with what of it may be shown.
pub(super) struct Source<'t> {
    pub file: &'t str,
    pub text: &'t str,
    /// Byte ranges of keys and scalars in order; `None` when the text is no YAML.
    pub scalars: Option<&'t [(usize, usize)]>,
    /// Where those start that are no secrets.
    pub shown: &'t HashSet<usize>,
}

impl Source<'_> {
    /// `FILE:LINE`, or the variable.
    pub(super) fn describe(&self, place: &Place) -> String {
        match place {
            Place::File { start, .. } => format!("{}:{}", self.file, position(self.text, *start).0),
            Place::Environment(name) => format!("environment variable {name}"),
            Place::Default => self.file.to_owned(),
        }
    }

    fn problem(&self, flaw: Flaw) -> Problem {
        let Flaw { place, message } = flaw;
        match place {
            Place::File { start, end } => {
                let (line, column) = position(self.text, start);
                let snippet = Some(self.snippet(start, end));
                Problem { source: self.file.to_owned(), line, column, message, snippet }
            }
            place => Problem { source: self.describe(&place), line: 0, column: 0, message, snippet: None },
        }
    }

    fn snippet(&self, start: usize, end: usize) -> Snippet {
        let line_start = self.text.get(..start).and_then(|text| text.rfind('\n')).map_or(0, |at| at + 1);
        let line = self.text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        match self.scalars {
            Some(scalars) => self.masked(scalars, line, line_start, start, end),
            None => outlined(line, start - line_start),
        }
    }

    /// The line without its comment, and with `***` for every scalar that nobody read as public.
    fn masked(&self, scalars: &[(usize, usize)], line: &str, line_start: usize, start: usize, end: usize) -> Snippet {
        let line_end = line_start + line.len();
        let on_line = || scalars.iter().copied().filter(|(from, to)| *from < line_end && *to > line_start);
        let hidden = |at: usize| on_line().find(|(from, to)| (*from..*to).contains(&at) && !self.shown.contains(from));
        let last_token = on_line().map(|(_, to)| to.min(line_end)).max().unwrap_or(line_start);
        let comment = self.text.get(last_token..line_end).and_then(|rest| rest.find('#')).map(|at| last_token + at);

        let mut shown = String::new();
        let (mut indent, mut width) = (None, 0_usize);
        let mut masked_to = line_start;
        for (offset, character) in line.char_indices() {
            let at = line_start + offset;
            if Some(at) == comment {
                break;
            }
            if at >= start && indent.is_none() {
                indent = Some(shown.chars().count());
            }
            if at < masked_to {
                continue;
            }
            let marked = (start..end).contains(&at);
            if let Some((_, to)) = hidden(at) {
                masked_to = to;
                shown.push_str("***");
                width += if marked { 3 } else { 0 };
            } else {
                shown.push(if character == '\t' { ' ' } else { character });
                width += usize::from(marked);
            }
        }
        let shown = shown.trim_end();
        Snippet { line: shown.to_owned(), indent: indent.unwrap_or_else(|| shown.chars().count()), width: width.max(1) }
    }
}

/// A line of a file that is no YAML: what is a value cannot be told, so only what stands before the first colon is
/// shown.
fn outlined(line: &str, at: usize) -> Snippet {
    let key = line.find(':').map_or(0, |colon| colon + 1);
    let blank = line.len() - line.trim_start().len();
    let shown = line.get(..key.max(blank)).unwrap_or_default().replace('\t', " ");
    let rest = if line.len() > shown.len() { " …" } else { "" };
    let before = line.get(..at.min(shown.len())).unwrap_or_default().chars().count();
    let indent = if at > shown.len() { shown.chars().count() + 1 } else { before };
    Snippet { line: shown + rest, indent, width: 1 }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        match self.problems.len() {
            1 => write!(f, "1 problem"),
            count => write!(f, "{count} problems"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, line, column, message, snippet } = self;
        writeln!(f, "error: {message}")?;
        match snippet {
            None => writeln!(f, "  --> {source}"),
            Some(Snippet { line: text, indent, width }) => {
                let margin = line.to_string().len();
                writeln!(f, "{:margin$}--> {source}:{line}:{column}", "")?;
                writeln!(f, "{:margin$} |", "")?;
                writeln!(f, "{line} | {text}")?;
                writeln!(f, "{:margin$} | {:indent$}{}", "", "", "^".repeat(*width))
            }
        }
    }
}

impl std::error::Error for Report {}
