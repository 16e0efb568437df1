//! How far an import is, at a terminal; nothing is shown elsewhere.

use std::cell::Cell;

use indicatif::{ProgressBar, ProgressStyle};

use crate::import::Progress;

/// A bar on standard error.
pub(super) struct Bar {
    shown: ProgressBar,
    /// Bytes of the source, where that is known.
    size: Option<u64>,
    writing: Cell<bool>,
}

impl Bar {
    pub fn new(size: Option<u64>) -> Self {
        let bar = match size {
            Some(size) => ProgressBar::new(size).with_style(style("{bar:30} reading {bytes} of {total_bytes}")),
            None => ProgressBar::no_length().with_style(style("reading {pos} rows")),
        };
        Self { shown: bar, size, writing: Cell::new(false) }
    }

    /// Takes it off the terminal.
    pub fn end(&self) {
        self.shown.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bar {
    fn reading(&self, rows: u64, bytes: u64) {
        self.shown.set_position(if self.size.is_some() { bytes } else { rows });
    }

    fn writing(&self, done: u64, of: u64) {
        if !self.writing.replace(true) {
            self.shown.set_style(style("{bar:30} {pos} of {len} accounts, {eta} to go"));
            self.shown.reset();
            self.shown.set_length(of);
        }
        self.shown.set_position(done);
    }
}
