//! The command line: one file per subcommand, and exit codes as sysexits.h has them.

mod account;
mod audit;
mod backup;
mod check;
mod client;
mod completions;
mod config_schema;
mod desk;
mod failure;
mod health;
mod import;
mod keys;
mod man;
mod output;
mod print_config;
mod prompt;
mod restored;
mod serve;
mod session;
mod store;
#[cfg(test)]
mod testing;
mod version;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::config;

pub use failure::{Failure, INTERNAL, UNAVAILABLE, USAGE};

/// Signs people up and in at the door of your servers, and tells them who is calling.
#[derive(Parser)]
#[command(name = "passgate", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    /// The configuration file
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "PASSGATE_CONFIG",
        default_value = "passgate.yaml",
        hide_env_values = true
    )]
    config: PathBuf,

    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  passgate check --config passgate.yaml     Say everything that is wrong with the file
  passgate serve --config passgate.yaml     Start the gateway
  passgate account create ada@example.com   Make an account; asks for the password

Any key of the file can be overridden from the environment:
  PASSGATE__SERVER__LISTEN=0.0.0.0:8080 passgate serve

Exit codes:
   0  done
  64  wrong usage, an unknown account for one, or a configuration that does not hold
  69  a port or the store is out of reach
  70  anything else";

const ACCOUNT_EXAMPLES: &str = "\
Examples:
  passgate account create ada@example.com
  passgate account list --email-contains example.com
  passgate account promote ada@example.com
  passgate account deactivate ada@example.com";

const SESSION_EXAMPLES: &str = "\
Examples:
  passgate session list ada@example.com
  passgate session end --all ada@example.com";

const IMPORT_EXAMPLES: &str = "\
Examples:
  passgate import django --dry-run dump.json
  passgate import django postgres://django@db.internal/shop";

const CLIENT_EXAMPLES: &str = "\
Examples:
  passgate client create mobile
  passgate client list
  passgate client rotate-secret mobile";

#[derive(Subcommand)]
enum Command {
    /// Start the gateway, until SIGTERM or SIGINT
    #[command(after_help = serve::EXAMPLES)]
    Serve,
    /// Check the configuration and say everything that is wrong with it
    #[command(after_help = check::EXAMPLES)]
    Check,
    /// Print the configuration in force, defaults and overrides included, secrets masked
    #[command(after_help = print_config::EXAMPLES)]
    PrintConfig,
    /// Print the JSON Schema of the configuration, by which editors complete and check it
    #[command(after_help = config_schema::EXAMPLES)]
    ConfigSchema,
    /// Ask the gateway that runs with this configuration whether it is ready
    #[command(after_help = health::EXAMPLES)]
    Health,
    /// Say which Passgate this is
    #[command(after_help = version::EXAMPLES)]
    Version,
    /// Print a script by which a shell completes this command line
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::CompletionsArguments),
    /// Print the manual page, or write those of all subcommands
    #[command(after_help = man::EXAMPLES)]
    Man(man::ManArguments),
    /// Look at, make and change accounts; a running gateway follows at once
    #[command(subcommand, after_help = ACCOUNT_EXAMPLES)]
    Account(account::AccountCommand),
    /// See where accounts are signed in, and end that; a running gateway follows at once
    #[command(subcommand, after_help = SESSION_EXAMPLES)]
    Session(session::SessionCommand),
    /// Make, list and change OAuth clients kept in the store
    #[command(subcommand, after_help = CLIENT_EXAMPLES)]
    Client(client::ClientCommand),
    /// List, rotate and revoke signing keys; put the store under a new master secret
    #[command(subcommand, after_help = keys::EXAMPLES)]
    Keys(keys::KeysCommand),
    /// Copy the store into a file, beside a running gateway or without one
    #[command(after_help = backup::EXAMPLES)]
    Backup(backup::Backup),
    /// Tell the store what became of it
    #[command(subcommand, after_help = restored::STORE_EXAMPLES)]
    Store(restored::StoreCommand),
    /// Take accounts over from another system
    #[command(subcommand, after_help = IMPORT_EXAMPLES)]
    Import(import::ImportCommand),
}

/// Runs the process's own arguments to the end, telling on standard error what went wrong.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            // Nobody is left to tell when this fails.
            let _ = told.print();
            return if told.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "passgate: {failure}");
            failure.code()
        }
    }
}

impl Cli {
    fn run(self) -> Result<(), Failure> {
        let config = &*self.config;
        match self.command {
            Command::Serve => serve::run(config),
            Command::Check => check::run(config),
            Command::PrintConfig => print_config::run(config),
            Command::ConfigSchema => config_schema::run(),
            Command::Health => health::run(config),
            Command::Version => version::run(),
            Command::Completions(arguments) => completions::run(&arguments),
            Command::Man(arguments) => man::run(&arguments),
            Command::Account(command) => store::account(command, config),
            Command::Session(command) => store::session(command, config),
            Command::Client(command) => store::client(command, config),
            Command::Keys(command) => store::keys(command, config),
            Command::Backup(backup) => backup::run(&backup, config),
            Command::Store(command) => store::store(command, config),
            Command::Import(command) => import::run(command, config),
        }
    }
}

/// The configuration in force: the file, overridden by the environment.
fn load(config: &Path) -> Result<config::Settings, Failure> {
    Ok(config::load(config, environment()?.into_iter())?)
}

/// The environment as text. A variable that is no UTF-8 counts as not set, unless it is meant for us.
fn environment() -> Result<Vec<(String, String)>, Failure> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => variables.push((name, value)),
            (Ok(name), Err(_)) if name.starts_with("PASSGATE__") => {
                return Err(Failure::usage(format!("the value of {name} in the environment is not UTF-8")));
            }
            _ => {}
        }
    }
    Ok(variables)
}

/// Writes a result to standard output. That nobody reads on, as in `passgate print-config | head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::internal(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_file_may_be_named_before_or_after_the_subcommand() {
        for arguments in [["passgate", "--config", "a.yaml", "check"], ["passgate", "check", "-c", "a.yaml"]] {
            assert_eq!(Cli::try_parse_from(arguments).ok().unwrap().config, Path::new("a.yaml"));
        }
    }

    #[test]
    fn bad_usage_is_told_on_standard_error_and_help_is_not() {
        let wrong = |arguments: &[&str]| Cli::try_parse_from(arguments).err().unwrap();
        assert!(wrong(&["passgate"]).use_stderr());
        assert_eq!(wrong(&["passgate", "sreve"]).kind(), ErrorKind::InvalidSubcommand);
        assert!(wrong(&["passgate", "serve", "--port", "80"]).use_stderr());
        assert!(!wrong(&["passgate", "serve", "--help"]).use_stderr());
        assert!(!wrong(&["passgate", "--version"]).use_stderr());
    }

    #[test]
    fn the_help_of_every_command_shows_examples() {
        fn search(command: &clap::Command, path: &str, without: &mut Vec<String>) {
            let path = format!("{path} {}", command.get_name());
            if !command.clone().render_help().to_string().contains("Examples:") {
                without.push(path.clone());
            }
            command.get_subcommands().for_each(|below| search(below, &path, without));
        }
        let mut without = Vec::new();
        search(&Cli::command(), "", &mut without);
        assert_eq!(without, Vec::<String>::new());
    }

    /// The command lines of ours in a text that has one a line.
    fn command_lines(text: &str) -> Vec<Vec<String>> {
        let lines = text.lines().filter_map(|line| line.split(" #").next());
        let calls = lines.flat_map(|line| line.split(['|', '&', '>'])).filter_map(|part| {
            let words = part.split_whitespace().map(str::to_owned);
            let words: Vec<_> = words.skip_while(|word| word.starts_with("PASSGATE_")).collect();
            (words.first()? == "passgate").then_some(words)
        });
        calls.collect()
    }

    #[test]
    fn every_command_line_in_help_and_manual_is_one() {
        fn examples(command: &clap::Command, all: &mut String) {
            let help = command.clone().render_long_help().to_string();
            let shown = help.split("Examples:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
            // In the first of them, words beside each other tell what a line does.
            for line in shown.lines().map(|line| line.trim().split("   ").next().unwrap_or_default()) {
                all.push_str(line);
                all.push('\n');
            }
            command.get_subcommands().for_each(|below| examples(below, all));
        }
        let mut all = String::new();
        examples(&Cli::command(), &mut all);
        let manual = include_str!("../docs/operations.md");
        for fenced in manual.split("```sh\n").skip(1) {
            all.push_str(fenced.split("```").next().unwrap_or_default());
        }
        let lines = command_lines(&all.replace("$(date -u +%Y%m%dT%H%M%SZ)", "now"));
        assert!(lines.len() > 60, "{}", lines.len());
        for line in lines {
            if let Err(error) = Cli::try_parse_from(&line) {
                assert_eq!(error.exit_code(), 0, "{}: {error}", line.join(" "));
            }
        }
    }
}
