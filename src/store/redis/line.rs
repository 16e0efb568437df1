//! One connection that all share, and that comes back by itself.

use std::sync::{Mutex, PoisonError};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, select_ok},
};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, FromRedisValue, RedisConnectionInfo, RedisError,
    RedisResult, ServerErrorKind, aio::MultiplexedConnection,
};

use super::{
    connection::{RETRY_PAUSE, jittered},
    settings::{Address, Node, Sentinels},
};

/// A connection about to be, or as it is.
type Connecting = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

/// See the module.
pub(super) struct Line {
    way: Way,
    config: AsyncConnectionConfig,
    current: Mutex<Option<Connecting>>,
}

/// To whom a line leads.
#[derive(Clone)]
pub(super) enum Way {
    To(Client),
    /// To the primary, as the Sentinels know it.
    Primary(Asked),
    /// To some replica that they know; to the primary, where there is none.
    Replica(Asked),
}

/// The Sentinels, and what they are asked.
#[derive(Clone)]
pub(super) struct Asked {
    sentinels: Vec<Client>,
    address: Address,
}

/// What a server must say that it is.
#[derive(Clone, Copy)]
enum Role {
    Primary,
    Replica,
}

impl Role {
    /// As `INFO` has it.
    const fn word(self) -> &'static str {
        match self {
            Self::Primary => "master",
            Self::Replica => "slave",
        }
    }
}

impl Line {
    pub fn new(way: Way, config: AsyncConnectionConfig) -> Self {
        Self { way, config, current: Mutex::new(None) }
    }

    /// Asks on the line. Whatever leaves it in doubt whether the line still leads where it should ends it: the next
    /// who asks has a new one.
    pub async fn ask<T>(&self, question: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>) -> RedisResult<T> {
        let current = self.current();
        let answer = match current.clone().await {
            Ok(connection) => question(connection).await,
            Err(error) => Err(error),
        };
        if answer.as_ref().is_err_and(puts_in_doubt) {
            self.leave(&current);
        }
        answer
    }

    fn current(&self) -> Connecting {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || {
            let connecting = connect(self.way.clone(), self.config.clone()).boxed().shared();
            // It goes on also when the one that asked first has no more time.
            tokio::spawn(connecting.clone());
            connecting
        };
        current.get_or_insert_with(begin).clone()
    }

    fn leave(&self, left: &Connecting) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.take_if(|current| current.ptr_eq(left));
    }
}

/// Whether the server may be gone, or may not be the primary any more.
fn puts_in_doubt(error: &RedisError) -> bool {
    let demoted = [ServerErrorKind::ReadOnly, ServerErrorKind::MasterDown].map(ErrorKind::Server);
    error.is_io_error() || error.is_unrecoverable_error() || demoted.contains(&error.kind())
}

async fn connect(way: Way, config: AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
    let connected = match &way {
        Way::To(client) => client.get_multiplexed_async_connection_with_config(&config).await,
        Way::Primary(asked) => asked.reach(Role::Primary, &config).await,
        Way::Replica(asked) => match asked.reach(Role::Replica, &config).await {
            Ok(replica) => Ok(replica),
            Err(_) => asked.reach(Role::Primary, &config).await,
        },
    };
    if connected.is_err() {
        // All who ask meanwhile share this failure; none of them tries by itself.
        tokio::time::sleep(jittered(RETRY_PAUSE)).await;
    }
    connected
}

impl Asked {
    pub fn new(address: &Address, sentinels: &Sentinels) -> RedisResult<Self> {
        let clients = sentinels.nodes.iter().map(|node| Client::open(sentinel(address, sentinels, node)));
        Ok(Self { sentinels: clients.collect::<Result<_, _>>()?, address: address.clone() })
    }

    /// A connection to the first server that a Sentinel takes for one of this role, and that says so itself: a
    /// Sentinel that was cut off does not know better, and is not waited for.
    async fn reach(&self, role: Role, config: &AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
        let all = self.sentinels.iter().map(|sentinel| self.reach_by(sentinel, role, config).boxed());
        select_ok(all).await.map(|(connection, _)| connection)
    }

    async fn reach_by(
        &self,
        sentinel: &Client,
        role: Role,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let (nodes, unknown) = match role {
            Role::Primary => (self.primary_by(sentinel, config).await?, "the Sentinels know no primary of this name"),
            Role::Replica => (self.replicas_by(sentinel, config).await?, "the Sentinels know no replica"),
        };
        let tried: Vec<_> = nodes.into_iter().map(|node| self.connect(role, node, config).boxed()).collect();
        if tried.is_empty() {
            return Err((ErrorKind::Client, unknown).into());
        }
        select_ok(tried).await.map(|(connection, _)| connection)
    }

    async fn primary_by(&self, sentinel: &Client, config: &AsyncConnectionConfig) -> RedisResult<Vec<Node>> {
        let found: Option<(String, u16)> = self.tell(sentinel, config, "GET-MASTER-ADDR-BY-NAME").await?;
        Ok(found.into_iter().map(|(host, port)| Node { host, port }).collect())
    }

    async fn replicas_by(&self, sentinel: &Client, config: &AsyncConnectionConfig) -> RedisResult<Vec<Node>> {
        let found: Vec<Vec<(String, String)>> = self.tell(sentinel, config, "REPLICAS").await?;
        let nodes = found.iter().filter_map(|facts| {
            let fact = |name| facts.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
            let node = Node { host: fact("ip")?.to_owned(), port: fact("port")?.parse().ok()? };
            (fact("flags") == Some("slave")).then_some(node)
        });
        Ok(nodes.collect())
    }

    /// What a Sentinel tells of our primary.
    async fn tell<T: FromRedisValue>(
        &self,
        sentinel: &Client,
        config: &AsyncConnectionConfig,
        what: &str,
    ) -> RedisResult<T> {
        let mut connection = sentinel.get_multiplexed_async_connection_with_config(config).await?;
        redis::cmd("SENTINEL").arg(what).arg(self.address.host()).query_async(&mut connection).await
    }

    /// Connects to a server, which must say that it is what is wanted.
    async fn connect(
        &self,
        role: Role,
        node: Node,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let client = Client::open(self.address.of(&node))?;
        let mut connection = client.get_multiplexed_async_connection_with_config(config).await?;
        let info: String = redis::cmd("INFO").arg("replication").query_async(&mut connection).await?;
        let is = info.lines().find_map(|line| line.strip_prefix("role:"));
        if is == Some(role.word()) {
            Ok(connection)
        } else {
            Err((ErrorKind::Client, "its role is another one").into())
        }
    }
}

/// A Sentinel is spoken to as the servers are, with a user of its own.
fn sentinel(address: &Address, sentinels: &Sentinels, node: &Node) -> ConnectionInfo {
    let mut sign_in = RedisConnectionInfo::default();
    if let Some(user) = &sentinels.user {
        sign_in = sign_in.set_username(user);
    }
    if let Some(password) = &sentinels.password {
        sign_in = sign_in.set_password(password.expose());
    }
    address.of(node).set_redis_settings(sign_in)
}
