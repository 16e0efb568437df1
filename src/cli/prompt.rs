//! Secrets from the person at the terminal or from standard input; never from an argument, which others on the
//! machine can see and shells remember. And whether that person means it.

use std::io::{self, BufRead, IsTerminal, Write as _};

use anyhow::{Context, bail, ensure};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Longest line that is read, bytes. Above every password and client secret that is taken.
const MAX_LINE: u64 = 4096;

/// Asks whether to do what `question` says, which names all that is lost by it. With `yes` the answer is known.
///
/// # Errors
///
/// Unless the answer is yes: also when there is no terminal to ask at.
pub fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    let (stdin, mut stderr) = (io::stdin(), io::stderr());
    if !(stdin.is_terminal() && stderr.is_terminal()) {
        bail!("{question}\nThere is no terminal to ask at, and nothing was done: `--yes` says yes");
    }
    write!(stderr, "{question}\nGo on? [y/N] ").context("cannot ask at the terminal")?;
    is_yes(stdin.lock())
}

fn is_yes(input: impl BufRead) -> anyhow::Result<()> {
    let mut answer = String::new();
    input.take(MAX_LINE).read_line(&mut answer).context("cannot read the answer")?;
    ensure!(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()), "nothing was done");
    Ok(())
}

/// Asks for a new secret, called `what`: twice at a terminal, else the first line of standard input.
/// `from_stdin` reads the line from a terminal too.
pub fn new_secret(what: &str, from_stdin: bool) -> anyhow::Result<Secret> {
    let stdin = io::stdin();
    if from_stdin || !stdin.is_terminal() {
        return first_line(what, stdin.lock());
    }
    let ask =
        |prompt: String| rpassword::prompt_password(prompt).map(Secret::new).context("cannot ask at the terminal");
    let secret = ask(format!("New {what}: "))?;
    ensure!(secret.expose() == ask("Once more: ".to_owned())?.expose(), "the two differ; nothing was changed");
    Ok(secret)
}

/// The first line without its end; spaces are part of it.
fn first_line(what: &str, input: impl BufRead) -> anyhow::Result<Secret> {
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut line = Zeroizing::new(String::with_capacity(usize::try_from(MAX_LINE)? + 1));
    let mut bounded = input.take(MAX_LINE + 1);
    bounded.read_line(&mut line).with_context(|| format!("cannot read the {what} from standard input"))?;
    if bounded.limit() == 0 {
        bail!("the first line of standard input is too long for a {what}");
    }
    let text = line.strip_suffix('\n').map_or(line.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    ensure!(!text.is_empty(), "there is no {what} on standard input; give it as the first line");
    Ok(Secret::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<String, String> {
        first_line("password", input).map(|secret| secret.expose().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_line_is_the_secret_as_it_stands() {
        for (input, secret) in [
            (&b"tea for two\n"[..], "tea for two"),
            (b"tea for two", "tea for two"),
            (b"tea for two\r\n", "tea for two"),
            (b"  padded \nmore\n", "  padded "),
            ("crème\n".as_bytes(), "crème"),
        ] {
            assert_eq!(read(input).as_deref(), Ok(secret));
        }
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        for yes in ["y\n", "Y\r\n", "yes", " YES \n"] {
            assert!(is_yes(yes.as_bytes()).is_ok(), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "no\n", "yep\n", "y y\n", "\ny\n"] {
            assert!(is_yes(no.as_bytes()).is_err(), "{no:?}");
        }
    }

    #[test]
    fn no_line_a_long_one_or_no_text_is_told() {
        let none = Err("there is no password on standard input; give it as the first line".to_owned());
        assert_eq!(read(b""), none);
        assert_eq!(read(b"\nsecond line\n"), none);
        let long = Err("the first line of standard input is too long for a password".to_owned());
        assert_eq!(read("x".repeat(1_000_000).as_bytes()), long);
        assert!(read(b"\xff\xfe\n").is_err());
    }
}
