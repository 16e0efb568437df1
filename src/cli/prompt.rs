//! What the person at the terminal is asked. Secrets come from there or from standard input; never from an argument, which
//! others on the machine can see and shells remember.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use anyhow::{Context, bail, ensure};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Longest line that is read, bytes. Above every password and client secret that is taken.
const MAX_LINE: u64 = 4096;

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

/// Asks whether to go on with what cannot be undone; an error unless the answer is yes. Nobody is taken to mean it who
/// cannot be asked: that is for `--yes` to say.
pub fn confirm(question: &str) -> anyhow::Result<()> {
    let stdin = io::stdin();
    let mut stderr = io::stderr();
    ensure!(
        stdin.is_terminal() && stderr.is_terminal(),
        "nobody can be asked here whether that is meant, and nothing was changed; say --yes to do it without asking"
    );
    let mut line = String::new();
    write!(stderr, "{question} Type yes to go on: ").context("cannot ask at the terminal")?;
    stdin.lock().take(MAX_LINE).read_line(&mut line).context("cannot ask at the terminal")?;
    ensure!(is_yes(&line), "nothing was changed");
    Ok(())
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "yes" | "y")
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
    fn only_a_yes_is_one() {
        for yes in ["yes\n", "YES\r\n", " y \n", "y"] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "no\n", "yes please\n", "ye\n", "nyes\n", "ja\n"] {
            assert!(!is_yes(no), "{no:?}");
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
