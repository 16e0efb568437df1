//! What an operator sees: log lines here, [`metrics`], and the [`admin`] listener's answers.
//!
//! All lines go to standard output, one event each. Only `serve` writes logs there, so nothing else competes for it; of a
//! command beside it there are security events alone, on standard error, where no person sees them.
//! Three kinds of lines are told apart by their target: `passgate::…` (what the program does), [`ACCESS`] (one
//! per request) and [`AUDIT`] (who did what to accounts, sessions and keys: [`audit`]).

mod access;
pub mod admin;
pub mod audit;
mod line;
pub mod metrics;
mod output;

use std::{error::Error, io::IsTerminal};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::{Layer, SubscriberExt},
    util::SubscriberInitExt,
};

use self::line::OneLine;
pub use self::{
    access::{Access, access},
    output::Written,
};

/// Target of the line per request.
pub const ACCESS: &str = "access";

/// Target of security events. They are written at every level.
pub const AUDIT: &str = "audit";

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The form of a line.
    pub format: Format,
    /// `error`, `warn`, `info`, `debug` or `trace`, for our own events.
    pub level: tracing::Level,
    /// Whether each request is a line, whatever the level.
    pub access: bool,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Sends this process's events, and the `log` records of its dependencies, to standard output. Fails when that
/// was done before.
pub fn init(settings: &Settings) -> Result<Written, Box<dyn Error + Send + Sync>> {
    let terminal = std::io::stdout().is_terminal();
    let (output, written) = output::start(std::io::stdout())?;
    subscriber(settings, terminal, output.clone()).try_init()?;
    if settings.access && !is_text(settings, terminal) {
        access::write_to(output);
    }
    Ok(written)
}

/// For a command beside a gateway: sends security events and errors to standard error, in the form that `settings` ask
/// for, unless that is a terminal. The person there is told in words what was done.
pub fn init_beside(settings: &Settings) {
    if std::io::stderr().is_terminal() {
        return;
    }
    let settings = Settings { level: tracing::Level::ERROR, access: false, ..settings.clone() };
    // Whoever has set up another was faster, and gets them.
    let _ = subscriber(&settings, false, std::io::stderr).try_init();
}

fn subscriber<W>(settings: &Settings, terminal: bool, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let text = is_text(settings, terminal);
    let lines = if text {
        let coloured = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        fmt::layer().with_writer(OneLine { writer, coloured }).with_ansi(coloured).boxed()
    } else {
        let lines = fmt::layer().with_writer(writer).json();
        lines.flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    };
    tracing_subscriber::registry().with(targets(settings)).with(lines)
}

const fn is_text(settings: &Settings, terminal: bool) -> bool {
    match settings.format {
        Format::Auto => terminal,
        Format::Text => true,
        Format::Json => false,
    }
}

/// Which events pass. Only our own follow the level: dependencies print what clients send (pingora and h2
/// whole request heads at DEBUG), so that a raised level must not reach them.
fn targets(settings: &Settings) -> Targets {
    let level = LevelFilter::from_level(settings.level);
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_PKG_NAME"), level)
        // At WARN it quotes header values that it cannot read.
        .with_target("pingora", LevelFilter::ERROR)
        // At ERROR it quotes request targets with their query, and bytes of broken heads. Why a request failed
        // is the `reason` of its access line.
        .with_target("pingora_proxy", LevelFilter::OFF)
        .with_target(ACCESS, if settings.access { LevelFilter::INFO } else { LevelFilter::OFF })
        .with_target(AUDIT, LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        net::Ipv4Addr,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use tracing::Level;

    use super::*;
    use crate::model::AccountId;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, level: Level, access: bool, events: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let settings = Settings { format, level, access };
        tracing::subscriber::with_default(subscriber(&settings, false, move || writer.clone()), events);
        String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
    }

    pub(super) fn logged_as_json(events: impl FnOnce()) -> String {
        logged(Format::Json, Level::INFO, true, events)
    }

    pub(super) fn request() -> Access<'static> {
        Access {
            request_id: "0198c5a4",
            method: "GET",
            path: "/orders/7",
            route: Some("/orders/"),
            upstream: None,
            status: 401,
            duration: Duration::from_micros(1_234),
            sub: Some(AccountId::from_bytes([0x11; 16])),
            source: Ipv4Addr::LOCALHOST.into(),
            bytes: 58,
            reason: Some("expired"),
        }
    }

    #[test]
    fn a_request_is_one_json_line_with_its_fields_at_the_top() {
        let line = logged(Format::Auto, Level::INFO, true, || access(&request()));
        let mut line: serde_json::Value = serde_json::from_str(line.trim_end()).unwrap();
        assert!(line.as_object_mut().unwrap().remove("timestamp").is_some());
        let expected = serde_json::json!({
            "level": "INFO", "target": "access", "request_id": "0198c5a4", "method": "GET", "path": "/orders/7",
            "route": "/orders/", "status": 401, "duration_ms": 1.234, "sub": "11111111-1111-1111-1111-111111111111",
            "source": "127.0.0.1", "bytes": 58, "reason": "expired",
        });
        assert_eq!(line, expected, "what is absent, here the upstream, is left out");
    }

    #[test]
    fn a_line_of_text_cannot_be_forged_by_a_line_break() {
        let lines = logged(Format::Text, Level::INFO, true, || {
            let evil = "a\nforged \r\t\0\u{7f}\u{9b}\u{1b}[2J line";
            tracing::info!(target: "passgate", name = evil, shown = %evil, debugged = ?evil, "read");
            tracing::info!(target: "passgate", "{evil}");
            tracing::info!(target: "passgate", error = &std::io::Error::other(evil) as &dyn Error);
        });
        assert_eq!(lines.lines().count(), 3, "{lines}");
        assert!(lines.chars().all(|c| c == '\n' || !c.is_control()), "{lines:?}");
        assert!(lines.contains("a\\nforged"), "and nothing is lost: {lines}");
    }

    #[test]
    fn the_line_per_request_is_a_switch_of_its_own_and_security_events_are_always_written() {
        let events = || {
            access(&request());
            tracing::info!(target: AUDIT, event = "refresh.theft");
            tracing::info!("started");
        };
        let quiet = logged(Format::Json, Level::ERROR, true, events);
        assert!(quiet.contains("/orders/7") && quiet.contains("refresh.theft") && !quiet.contains("started"));
        let without = logged(Format::Json, Level::INFO, false, events);
        assert!(!without.contains("/orders/7") && without.contains("refresh.theft") && without.contains("started"));
    }

    #[test]
    fn a_raised_level_does_not_make_dependencies_print_what_clients_sent() {
        let lines = logged(Format::Json, Level::TRACE, true, || {
            tracing::trace!(target: "passgate::proxy", "ours");
            tracing::error!(target: "pingora_proxy", "Fail to proxy: GET /reset?token=canary");
            tracing::warn!(target: "pingora_core::protocols::http::v1::common", "invalid content-length canary");
            tracing::debug!(target: "pingora_core::protocols::http::v1::server", "buf: canary");
            tracing::info!(target: "h2::codec", "canary");
            tracing::error!(target: "pingora_core::server", "shutdown failed");
            tracing::warn!(target: "sqlx::query", "slow statement");
        });
        assert!(!lines.contains("canary"), "{lines}");
        for kept in ["ours", "shutdown failed", "slow statement"] {
            assert!(lines.contains(kept), "{kept} is missing of {lines}");
        }
    }
}
