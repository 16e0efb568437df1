//! The way to the Redis: what is asked on which connection, and what is tried again.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, RedisError, RedisResult,
    ServerErrorKind, Value,
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    cluster_read_routing::RandomReplicaStrategy,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo},
};

use super::{
    line::{Asked, Line, Way},
    script::Call,
    settings::{OpenError, Servers, Settings},
};
use crate::store::StoreError;

/// How often what has not reached the Redis is tried again.
const RETRIES: u32 = 2;

/// Pause before the first of these; the next ones take longer.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// How long a wait for the change log takes when there is nothing new.
pub(super) const LISTENS_FOR: Duration = Duration::from_secs(1);

/// Connections that come back by themselves: one that all share, one on which to wait, and one that may lead to
/// replicas.
pub(super) struct Connection {
    shared: Channel,
    waiting: Channel,
    reading: Option<Channel>,
}

/// To one server at a time, or to all of a Cluster.
enum Channel {
    Line(Box<Line>),
    Cluster(ClusterConnection),
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
        let connection = Self::connect(settings).await.map_err(|error| failed(&error))?;
        connection.shared.query::<Value>(&redis::cmd("PING")).await.map_err(|error| failed(&error))?;
        Ok(connection)
    }

    async fn connect(settings: &Settings) -> RedisResult<Self> {
        let patient = settings.timeout + LISTENS_FOR;
        let mut reading = None;
        if settings.read_from_replica {
            reading = Some(Channel::open(settings, settings.timeout, true).await?);
        }
        Ok(Self {
            shared: Channel::open(settings, settings.timeout, false).await?,
            waiting: Channel::open(settings, patient, false).await?,
            reading,
        })
    }

    /// A command that may be given twice.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        persistently(|| self.shared.query(command)).await
    }

    /// As [`Self::query`], where an answer that is a little old does no harm.
    pub async fn read<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let channel = self.reading.as_ref().unwrap_or(&self.shared);
        persistently(|| channel.query(command)).await
    }

    /// A script that may run twice: it says so of itself.
    pub async fn run<T: FromRedisValue>(&self, script: &Call<'_>) -> Result<T, StoreError> {
        persistently(|| self.shared.invoke(script)).await
    }

    /// A script of which a second run would answer something else.
    pub async fn run_once<T: FromRedisValue>(&self, script: &Call<'_>) -> Result<T, StoreError> {
        Ok(self.shared.invoke(script).await?)
    }

    /// A command that waits, for up to [`LISTENS_FOR`].
    pub async fn wait<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        Ok(self.waiting.query(command).await?)
    }

    /// What each primary says to it, of which a Cluster has several, told apart by where they are.
    pub async fn ask_each<T: FromRedisValue>(&self, command: &Cmd) -> Result<Vec<(String, T)>, StoreError> {
        persistently(|| self.shared.ask_each(command)).await
    }

    /// Whether there may be several primaries.
    pub const fn is_cluster(&self) -> bool {
        matches!(self.shared, Channel::Cluster(_))
    }
}

impl Channel {
    /// One that waits for answers for so long; with `replica`, one to read from only.
    async fn open(settings: &Settings, timeout: Duration, replica: bool) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.connect_timeout))
            .set_response_timeout(Some(timeout));
        let address = &settings.address;
        let way = match &settings.servers {
            Servers::One => Way::To(Client::open(ConnectionInfo::clone(&address.info))?),
            Servers::Sentinel(sentinels) if replica => Way::Replica(Asked::new(address, sentinels)?),
            Servers::Sentinel(sentinels) => Way::Primary(Asked::new(address, sentinels)?),
            Servers::Cluster(nodes) => {
                let first = ConnectionInfo::clone(&address.info);
                let all = std::iter::once(first).chain(nodes.iter().map(|node| address.of(node)));
                let mut builder = ClusterClientBuilder::new(all)
                    .connection_timeout(settings.connect_timeout)
                    .response_timeout(timeout)
                    .tcp_settings(address.info.tcp_settings().clone())
                    .retries(RETRIES);
                if let Some(certificates) = &address.certificates {
                    builder = builder.certs(certificates.clone());
                }
                if replica {
                    builder = builder.read_routing_strategy(RandomReplicaStrategy);
                }
                return Ok(Self::Cluster(builder.build()?.get_async_connection().await?));
            }
        };
        Ok(Self::Line(Box::new(Line::new(way, config))))
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Line(line) => line.ask(async |mut connection| command.query_async(&mut connection).await).await,
            Self::Cluster(cluster) => command.query_async(&mut cluster.clone()).await,
        }
    }

    async fn invoke<T: FromRedisValue>(&self, script: &Call<'_>) -> RedisResult<T> {
        match self.query(&script.by_hash()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.query(&script.in_full()).await
            }
            answer => answer,
        }
    }

    async fn ask_each<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<Vec<(String, T)>> {
        let Self::Cluster(cluster) = self else { return Ok(vec![(String::new(), self.query(command).await?)]) };
        let everywhere = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answers = cluster.clone().route_command(command.clone(), everywhere).await?;
        Ok(redis::from_redis_value(answers)?)
    }
}

/// Tries again what may be given twice.
async fn persistently<T, F: Future<Output = RedisResult<T>>>(attempt: impl Fn() -> F) -> Result<T, StoreError> {
    let mut tries = 0;
    loop {
        match attempt().await {
            Err(error) if tries < RETRIES && passes(&error) => {
                tries += 1;
                tokio::time::sleep(jittered(RETRY_PAUSE * tries)).await;
            }
            answer => return Ok(answer?),
        }
    }
}

/// Whether the next try may well be answered: the connection broke, the server has just started, is no primary any
/// more, or the nodes of a Cluster do not agree yet.
fn passes(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, MasterDown, ReadOnly};
    let passing = [BusyLoading, MasterDown, ReadOnly].map(ErrorKind::Server);
    (error.is_io_error() && !error.is_timeout()) || error.is_cluster_error() || passing.contains(&error.kind())
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
