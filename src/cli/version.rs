//! `passgate version`

use std::env::consts::{ARCH, OS};

use super::Failure;

pub const EXAMPLES: &str = "\
Examples:
  passgate version
  passgate --version      The number alone";

pub fn run() -> Result<(), Failure> {
    let commit = option_env!("PASSGATE_COMMIT").filter(|commit| !commit.is_empty()).unwrap_or("unknown");
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    super::print(&format!(
        "passgate {}\ncommit:   {commit}\nbuild:    {build}\nplatform: {ARCH} {OS}\n",
        env!("CARGO_PKG_VERSION")
    ))
}
