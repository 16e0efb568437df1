//! The way to the Redis: addresses, time-outs, what is tried again.

use std::time::Duration;

use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo as _, RedisError,
    ScriptInvocation, ServerErrorKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::TcpSettings,
};

use crate::store::StoreError;

/// How often what has not reached the Redis is tried again.
const RETRIES: u32 = 2;

/// Pause before the first of these; the next ones take longer.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// How long bytes may lie unacknowledged before the connection is given up: what is behind a dead link does not come
/// back on it.
const UNACKNOWLEDGED: Duration = Duration::from_secs(3);

/// How long a wait for the change log takes when there is nothing new.
pub(super) const LISTENS_FOR: Duration = Duration::from_secs(1);

/// Where a Redis is, and how to sign in to it.
#[derive(Clone)]
pub struct Address(Box<ConnectionInfo>);

impl Address {
    /// Reads `redis://[user:password@]host[:port][/database]`; with `rediss://`, over TLS.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "a URL is wanted here, such as `redis://user:password@host:6379/0`, or `rediss://` for TLS";
        let url = url::Url::parse(text).map_err(|_| FORM)?;
        if !matches!(url.scheme(), "redis" | "rediss") || url.host_str().is_none_or(str::is_empty) {
            return Err(FORM);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("nothing may follow the database: no `?` and no `#`");
        }
        let info = text.into_connection_info().map_err(|_| FORM)?;
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(UNACKNOWLEDGED);
        Ok(Self(Box::new(info.set_tcp_settings(tcp))))
    }

    /// Host and port, as logs have it.
    pub fn place(&self) -> String {
        match self.0.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => format!("{host}:{port}"),
            other => other.to_string(),
        }
    }
}

/// The Redis, and how long it is waited for.
#[derive(Clone)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// What every key begins with, so that others may have theirs beside it.
    pub namespace: String,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long an operation may take, with all of its steps.
    pub timeout: Duration,
    /// Refuse to start on a Redis that may lose what it acknowledged.
    pub require_durable: bool,
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not answer.
    #[error("the Redis at {place} cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        place: String,
        /// What went wrong.
        reason: String,
    },
    /// It answers, and does not let us in.
    #[error(
        "the Redis at {0} does not let us in: set user and password in store.redis.url, \
         `redis://user:password@host:6379`"
    )]
    Refused(String),
    /// `require_durable` asks for more than it keeps.
    #[error(
        "the Redis at {place} may lose what it acknowledged: {weaknesses}. Set it up otherwise, or take          store.redis.require_durable out"
    )]
    NotDurable {
        /// Host and port.
        place: String,
        /// What can be lost.
        weaknesses: String,
    },
}

impl OpenError {
    /// As sysexits.h has them: 69 for what is out of reach, 64 for what the operator wrote.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } => 69,
            Self::Refused(_) | Self::NotDurable { .. } => 64,
        }
    }
}

/// Two connections that come back by themselves: one that all share, and one on which to wait.
pub(super) struct Connection {
    shared: ConnectionManager,
    waiting: ConnectionManager,
}

impl Connection {
    /// Connects. Later losses of the connection are made good in passing.
    pub async fn open(settings: &Settings) -> Result<Self, OpenError> {
        let place = settings.address.place();
        let failed = |error: &RedisError| match error.kind() {
            ErrorKind::AuthenticationFailed => OpenError::Refused(place.clone()),
            _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => OpenError::Refused(place.clone()),
            _ => OpenError::Unreachable { place: place.clone(), reason: error.to_string() },
        };
        let client = Client::open(ConnectionInfo::clone(&settings.address.0)).map_err(|error| failed(&error))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(settings.connect_timeout))
            .set_response_timeout(Some(settings.timeout))
            .set_number_of_retries(1)
            .set_min_delay(RETRY_PAUSE)
            .set_max_delay(Duration::from_millis(200));
        let patient = config.clone().set_response_timeout(Some(settings.timeout + LISTENS_FOR));
        let connection = Self {
            shared: ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(|error| failed(&error))?,
            waiting: ConnectionManager::new_lazy_with_config(client, patient).map_err(|error| failed(&error))?,
        };
        let answer = redis::cmd("PING").query_async::<()>(&mut connection.shared.clone()).await;
        answer.map_err(|error| failed(&error))?;
        Ok(connection)
    }

    /// A command that may be given twice.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut tries = 0;
        loop {
            match command.query_async(&mut self.shared.clone()).await {
                Err(error) if tries < RETRIES && passes(&error) => tries = pause(tries).await,
                answer => return Ok(answer?),
            }
        }
    }

    /// A script that may run twice: it says so of itself.
    pub async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        let mut tries = 0;
        loop {
            match script.invoke_async(&mut self.shared.clone()).await {
                Err(error) if tries < RETRIES && passes(&error) => tries = pause(tries).await,
                answer => return Ok(answer?),
            }
        }
    }

    /// A script of which a second run would answer something else.
    pub async fn run_once<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        Ok(script.invoke_async(&mut self.shared.clone()).await?)
    }

    /// A command that waits, for up to [`LISTENS_FOR`].
    pub async fn wait<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        Ok(command.query_async(&mut self.waiting.clone()).await?)
    }
}

/// Whether the next try may well be answered: the connection broke, or the server has just started.
fn passes(error: &RedisError) -> bool {
    let starting = [ServerErrorKind::BusyLoading, ServerErrorKind::TryAgain].map(ErrorKind::Server);
    (error.is_io_error() && !error.is_timeout()) || starting.contains(&error.kind())
}

async fn pause(tries: u32) -> u32 {
    tokio::time::sleep(jittered(RETRY_PAUSE * (tries + 1))).await;
    tries + 1
}

/// Between half of it and all of it, so that those who were turned away at once do not come back at once.
pub(super) fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness all pauses are the same, which is no reason to stop.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    pause.mul_f64(0.5 + f64::from(byte[0]) / 512.0)
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        match (error.kind(), error.code()) {
            (ErrorKind::UnexpectedReturnType | ErrorKind::Parse, _) | (_, Some("WRONGTYPE")) => {
                Self::Corrupt(error.to_string())
            }
            _ => Self::Unavailable(error.into()),
        }
    }
}
