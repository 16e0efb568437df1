//! Why a command failed, in words and as an exit code.

use std::{fmt, process::ExitCode};

use crate::{app, config, import, master, store::StoreError, token};

/// Wrong usage, or a configuration that does not hold (`EX_USAGE`).
pub const USAGE: u8 = 64;
/// A port or the store is out of reach (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// Anything else (`EX_SOFTWARE`).
pub const INTERNAL: u8 = 70;

/// A command that failed, told in plain words.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Exit code 64.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    /// Exit code 69.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { code: UNAVAILABLE, message: message.into() }
    }

    /// Exit code 70.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { code: INTERNAL, message: message.into() }
    }

    /// What the process exits with.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<config::Report> for Failure {
    fn from(report: config::Report) -> Self {
        Self::usage(format!("the configuration does not hold\n\n{report}"))
    }
}

impl From<app::Error> for Failure {
    fn from(error: app::Error) -> Self {
        Self { code: error.exit_code(), message: error.to_string() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Unavailable(_) => Self::unavailable(message),
            StoreError::Corrupt(_) => Self::internal(message),
        }
    }
}

/// What a subcommand says in its own words, which is about what it was asked to do; a store or a system that failed it
/// is found beneath them.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let code = match error.downcast_ref::<StoreError>() {
            Some(StoreError::Unavailable(_)) => UNAVAILABLE,
            None if error.chain().nth(1).is_none() && (error.is::<String>() || error.is::<&'static str>()) => USAGE,
            _ => INTERNAL,
        };
        let mut message = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            // Many an error tells its cause in its own text.
            if !message.ends_with(&cause) {
                message = format!("{message}: {cause}");
            }
        }
        Self { code, message }
    }
}

impl From<import::Error> for Failure {
    fn from(error: import::Error) -> Self {
        let message = error.to_string();
        match error {
            import::Error::Input(_) => Self::usage(message),
            import::Error::Unavailable(_) | import::Error::Scratch(_) => Self::unavailable(message),
            import::Error::Report(_) => Self::internal(message),
            import::Error::Store(error) => error.into(),
        }
    }
}

impl From<master::OpenError> for Failure {
    fn from(error: master::OpenError) -> Self {
        match error {
            master::OpenError::Store(error) => error.into(),
            // No secret that can be used, or another than the store's own.
            error => Self::usage(error.to_string()),
        }
    }
}

impl From<token::keys::OpenError> for Failure {
    fn from(error: token::keys::OpenError) -> Self {
        let message = error.to_string();
        match error {
            token::keys::OpenError::Store(error) => error.into(),
            token::keys::OpenError::Sealed(_) => Self::usage(message),
            _ => Self::internal(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_out_of_reach_is_worth_another_try_and_an_unreadable_one_is_not() {
        let gone = Failure::from(StoreError::Unavailable("connection refused".into()));
        assert_eq!((gone.code, &*gone.message), (69, "the store is unavailable: connection refused"));
        assert_eq!(Failure::from(StoreError::Corrupt("a row of two epochs".into())).code, 70);

        let gone = anyhow::Error::new(StoreError::Unavailable("locked".into())).context("ada was not promoted");
        let gone = Failure::from(gone);
        assert_eq!((gone.code, &*gone.message), (69, "ada was not promoted: the store is unavailable: locked"));
    }

    #[test]
    fn a_request_that_cannot_be_carried_out_is_wrong_usage_and_a_failure_beneath_is_not() {
        assert_eq!(Failure::from(anyhow::anyhow!("no account has the address {:?}", "x@example.com")).code, 64);
        assert_eq!(Failure::from(anyhow::anyhow!("the two differ")).code, 64);
        let broken = anyhow::Error::new(std::io::Error::other("gone"));
        assert_eq!(Failure::from(broken).code, 70);
        let broken = anyhow::Error::new(std::io::Error::other("gone")).context("cannot ask at the terminal");
        assert_eq!(Failure::from(broken).code, 70);
    }

    #[test]
    fn keys_sealed_under_another_master_secret_are_a_mistake_of_the_configuration() {
        assert_eq!(Failure::from(token::keys::OpenError::Sealed("k1".into())).code, 64);
    }
}
