//! `passgate man`: manual pages, out of what `--help` says.

use std::{fs, io, path::PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::{Cli, Failure};

pub const EXAMPLES: &str = "\
Examples:
  passgate man | man -l -                   Read this program's page
  passgate man --to /usr/local/share/man/man1";

/// Where to.
#[derive(Args)]
pub struct ManArguments {
    /// Write the pages of all subcommands, too, into this directory, which is made if need be
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    to: Option<PathBuf>,
}

pub fn run(arguments: &ManArguments) -> Result<(), Failure> {
    let program = program();
    let Some(directory) = &arguments.to else {
        let page = page(&program).map_err(|error| Failure::internal(error.to_string()))?;
        return super::print(&page);
    };
    let write = || {
        fs::create_dir_all(directory)?;
        pages(&program).iter().try_for_each(|command| {
            let name = format!("{}.1", name(command));
            fs::write(directory.join(name), page(command)?)
        })
    };
    write().map_err(|error: io::Error| Failure::usage(format!("cannot write to {}: {error}", directory.display())))
}

/// The command line as a whole, with each subcommand knowing its full name.
fn program() -> Command {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    program
}

/// The command and all below it.
fn pages(command: &Command) -> Vec<&Command> {
    std::iter::once(command).chain(command.get_subcommands().flat_map(pages)).collect()
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command) -> io::Result<String> {
    let page = Man::new(command.clone())
        // An empty one would be left out, and what follows taken for it.
        .date(" ")
        .source(concat!("passgate ", env!("CARGO_PKG_VERSION")))
        .manual("Passgate");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    notes(command).to_writer(&mut text)?;
    // Each section begins with what defines the apostrophe; once is enough.
    let text = String::from_utf8_lossy(&text);
    let (define, _) = text.split_at(text.find(".TH").unwrap_or_default());
    Ok(format!("{define}{}", text.replace(define, "")))
}

/// What stands below the options in `--help`. clap_mangen would run its lines together.
fn notes(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut verbatim = false;
    for line in text.lines() {
        let indented = line.starts_with(' ');
        if indented != verbatim && !line.is_empty() {
            roff.control(if indented { "nf" } else { "fi" }, []);
            verbatim = indented;
        }
        match line.strip_suffix(':') {
            Some(title) if !indented && title.split_whitespace().count() <= 2 => {
                roff.control("SH", [title.to_uppercase().as_str()]);
            }
            _ if line.is_empty() => drop(roff.control("PP", [])),
            _ => drop(roff.text([roman(line)])),
        }
    }
    if verbatim {
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples_line_by_line() {
        let program = program();
        let all = pages(&program);
        let names: Vec<_> = all.iter().map(|command| name(command)).collect();
        for expected in ["passgate", "passgate-serve", "passgate-account-create", "passgate-man"] {
            assert!(names.contains(&expected), "{names:?}");
        }
        for command in all {
            let page = page(command).unwrap();
            assert!(page.contains(".SH NAME\n") && page.contains("\n.SH EXAMPLES\n.nf\n"), "{page}");
            assert_eq!(page.matches("\n.nf").count(), page.matches("\n.fi").count(), "{page}");
        }
    }

    #[test]
    fn the_program_s_page_tells_options_subcommands_and_exit_codes() {
        let page = page(&program()).unwrap();
        for part in [
            ".TH passgate 1 \" \" \"passgate ",
            "PASSGATE_CONFIG",
            "passgate\\-serve(1)",
            "\n.SH \"EXIT CODES\"\n.nf\n   0  done\n",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
