//! `passgate serve`

use std::path::Path;

use super::{Failure, check};
use crate::{app, telemetry};

pub const EXAMPLES: &str = "\
Examples:
  passgate serve --config passgate.yaml
  PASSGATE_CONFIG=/etc/passgate/passgate.yaml passgate serve
  PASSGATE__LOG__LEVEL=debug passgate serve --config passgate.yaml

Logs go to standard output: text on a terminal, JSON otherwise. SIGTERM and SIGINT
stop accepting, finish what is in flight (server.drain at most) and exit.";

pub fn run(config: &Path) -> Result<(), Failure> {
    let settings = super::load(config)?;
    let _written =
        telemetry::init(&settings.log).map_err(|error| Failure::internal(format!("cannot start logging: {error}")))?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    check::tls_files(&settings)?;
    Ok(app::serve(settings)?)
}
