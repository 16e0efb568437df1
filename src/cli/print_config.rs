//! `passgate print-config`

use std::path::Path;

use super::Failure;
use crate::config;

pub const EXAMPLES: &str = "\
Examples:
  passgate print-config --config passgate.yaml
  PASSGATE__TOKENS__ACCESS__TTL=5m passgate print-config | grep -A 3 tokens:";

pub fn run(config: &Path) -> Result<(), Failure> {
    let text = config::print(config, super::environment()?.into_iter())?;
    super::print(&text)
}
