//! A line of text is one line: nothing that somebody else chose begins another, or steers a terminal.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

/// What tracing colours lines with (ECMA-48 SGR): after ESC and `[`, these. Others could hide what follows.
const COLOURS: [&str; 9] = ["0m", "1m", "2m", "3m", "31m", "32m", "33m", "34m", "35m"];

/// Writes lines there, each on one line, with control characters spelt out. `coloured`: but for colours.
#[derive(Clone)]
pub(super) struct OneLine<W> {
    pub(super) writer: W,
    pub(super) coloured: bool,
}

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = OneLine<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        OneLine { writer: self.writer.make_writer(), coloured: self.coloured }
    }
}

impl<W: Write> Write for OneLine<W> {
    /// Takes a whole line, as tracing hands it on.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
        let mut written = String::with_capacity(text.len() + 1);
        for (at, c) in text.char_indices() {
            let colour = || {
                let after = text.get(at..)?.strip_prefix("\u{1b}[")?;
                COLOURS.iter().find(|colour| after.starts_with(**colour))
            };
            match c {
                '\u{1b}' if self.coloured && colour().is_some() => written.push(c),
                // Some count the last two as ends of lines.
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => written.extend(c.escape_default()),
                c => written.push(c),
            }
        }
        written.push('\n');
        self.writer.write_all(written.as_bytes()).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &str, coloured: bool) -> String {
        let mut writer = Vec::new();
        OneLine { writer: &mut writer, coloured }.write_all(line.as_bytes()).unwrap();
        String::from_utf8(writer).unwrap()
    }

    #[test]
    fn only_colours_of_our_own_reach_a_terminal() {
        let ours = "\u{1b}[2mtime\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m \u{1b}[3mname\u{1b}[0m=é\n";
        assert_eq!(written(ours, true), ours);
        assert!(!written(ours, false).contains('\u{1b}'));
        for evil in
            ["\u{1b}[8m", "\u{1b}[2J", "\u{1b}]0;title\u{7}", "\u{1b}c", "\u{1b}", "\u{9b}2J", "\r\n", "\u{2028}"]
        {
            for coloured in [true, false] {
                let line = written(&format!("a{evil}b\n"), coloured);
                assert!(line.trim_end_matches('\n').chars().all(|c| !c.is_control() && c != '\u{2028}'), "{line:?}");
                assert!(line.starts_with('a') && line.ends_with("b\n"), "{line:?}");
            }
        }
    }
}
