//! `passgate config-schema`

use super::Failure;
use crate::config;

pub const EXAMPLES: &str = "\
Examples:
  passgate config-schema > passgate.schema.json

With the YAML language server (VS Code, Neovim, Helix and others), this as the first line of the
configuration makes the editor complete keys, explain them and underline mistakes:
  # yaml-language-server: $schema=passgate.schema.json";

pub fn run() -> Result<(), Failure> {
    super::print(config::SCHEMA)
}
