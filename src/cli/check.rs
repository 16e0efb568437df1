//! `passgate check`

use std::{io::Write, path::Path};

use super::Failure;

pub const EXAMPLES: &str = "\
Examples:
  passgate check --config passgate.yaml
  passgate check --config new.yaml && systemctl restart passgate

Tells all problems at once, with line and column, and exits with 64. Warnings go to
standard error and fail nothing.";

pub fn run(config: &Path) -> Result<(), Failure> {
    let settings = super::load(config)?;
    for warning in &settings.warnings {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    super::print("OK\n")
}
