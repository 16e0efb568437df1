//! `passgate completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure};

pub const EXAMPLES: &str = "\
Examples:
  passgate completions bash > /etc/bash_completion.d/passgate
  passgate completions zsh > /usr/local/share/zsh/site-functions/_passgate
  passgate completions fish > ~/.config/fish/completions/passgate.fish
  eval \"$(passgate completions bash)\"       For this shell alone";

/// For whom.
#[derive(Args)]
pub struct CompletionsArguments {
    /// The shell that is to complete
    shell: Shell,
}

pub fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "passgate", &mut script);
    super::print(&String::from_utf8_lossy(&script))
}
