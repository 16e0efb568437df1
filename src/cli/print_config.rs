//! `passgate print-config`

use std::path::Path;

use super::Failure;
use crate::config;

pub const EXAMPLES: &str = "\
Examples:
  passgate print-config --config passgate.yaml
  PASSGATE__TOKENS__ACCESS__TTL=5m passgate print-config | grep -A 3 tokens:

What is printed is a configuration by itself. `${NAME}` stays as it was written, secrets
are masked otherwise, and files of secrets are named.";

pub fn run(config: &Path) -> Result<(), Failure> {
    let text = config::print(config, super::environment()?.into_iter())?;
    super::print(&text)
}
