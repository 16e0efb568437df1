//! `passgate check`

use std::{io::Write, path::Path};

use super::Failure;
use crate::{config::Settings, listener};

pub const EXAMPLES: &str = "\
Examples:
  passgate check --config passgate.yaml
  passgate check --config new.yaml && systemctl restart passgate

Tells all problems at once, with line and column, and exits with 64. Once the file itself
holds, the TLS files that it names are read as well. Warnings go to standard error and
fail nothing.";

pub fn run(config: &Path) -> Result<(), Failure> {
    let settings = super::load(config)?;
    for warning in &settings.warnings {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    tls_files(&settings)?;
    super::print("OK\n")
}

/// Reads the TLS files of all listeners, so that nothing is bound before each can be served.
pub(super) fn tls_files(settings: &Settings) -> Result<(), Failure> {
    let wrong = settings.listeners.iter().filter_map(|address| listener::check(address).err());
    let wrong: Vec<_> = wrong.map(|error| error.to_string()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Failure::usage(wrong.join("\npassgate: "))) }
}
