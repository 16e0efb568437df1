//! `passgate version`

use std::env::consts::{ARCH, OS};

use super::Failure;
use crate::telemetry::metrics::COMMIT;

pub const EXAMPLES: &str = "\
Examples:
  passgate version
  passgate --version      The number alone";

pub fn run() -> Result<(), Failure> {
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    super::print(&format!(
        "passgate {}\ncommit:   {COMMIT}\nbuild:    {build}\nplatform: {ARCH} {OS}\n",
        env!("CARGO_PKG_VERSION")
    ))
}
