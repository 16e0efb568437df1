//! What the store has to be told of its Redis, and why it may not open.

use std::time::Duration;

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates,
    io::tcp::TcpSettings,
};

use crate::secret::Secret;

/// How long bytes may lie unacknowledged before the connection is given up: what is behind a dead link does not come
/// back on it.
const UNACKNOWLEDGED: Duration = Duration::from_secs(3);

/// The Redis, and how long it is waited for.
#[derive(Clone)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// How its servers are set up.
    pub servers: Servers,
    /// What every key begins with, so that others may have theirs beside it.
    pub namespace: String,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long an operation may take, with all of its steps.
    pub timeout: Duration,
    /// Refuse to start on a Redis that may lose what it acknowledged.
    pub require_durable: bool,
    /// Ask replicas for what is only shown, which may then be old.
    pub read_from_replica: bool,
}

/// How the servers are set up.
#[derive(Clone)]
pub enum Servers {
    /// One; any replicas are its own business.
    One,
    /// A primary that Sentinels choose, by the name that stands for the host in the address.
    Sentinel(Sentinels),
    /// A Cluster, which the address or any of these nodes tells about.
    Cluster(Vec<Node>),
}

/// Whom to ask where the primary is.
#[derive(Clone)]
pub struct Sentinels {
    /// Where they are.
    pub nodes: Vec<Node>,
    /// How to sign in to them, where that is needed.
    pub user: Option<String>,
    /// The same.
    pub password: Option<Secret>,
}

/// Host and port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Node {
    /// Reads `host:port`.
    ///
    /// # Errors
    /// What is wanted.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "an address is wanted here, such as `10.0.0.1:6379`";
        let (host, port) = text.rsplit_once(':').ok_or(FORM)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(address) if address.parse::<std::net::Ipv6Addr>().is_ok() => address,
            None if !host.is_empty() && !host.contains(['[', ']', ':', '/', '@']) => host,
            _ => return Err(FORM),
        };
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self { host: host.to_owned(), port }),
            _ => Err(FORM),
        }
    }
}

/// PEM files for TLS, as read.
#[derive(Clone, Default)]
pub struct Certificates {
    /// Who signs the certificates of the servers; without it, the system's roots.
    pub authorities: Option<Vec<u8>>,
    /// Our own certificate, and its key.
    pub own: Option<(Vec<u8>, Secret)>,
}

/// Where a Redis is, and how to sign in to it.
#[derive(Clone)]
pub struct Address {
    pub(super) info: Box<ConnectionInfo>,
    /// For those that find servers by themselves.
    pub(super) certificates: Option<TlsCertificates>,
}

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
        Ok(Self { info: Box::new(info.set_tcp_settings(tcp)), certificates: None })
    }

    /// The same, over TLS with these certificates.
    ///
    /// # Errors
    /// What is wrong with a certificate, or with the address.
    pub fn with(self, certificates: Certificates) -> Result<Self, String> {
        if !self.is_tls() {
            return Err("certificates are for TLS: `rediss://` is wanted in `url`".into());
        }
        let own = certificates.own.map(|(certificate, key)| ClientTlsConfig {
            client_cert: certificate,
            client_key: key.expose().as_bytes().to_vec(),
        });
        let certificates = TlsCertificates { client_tls: own, root_cert: certificates.authorities };
        let client = Client::build_with_tls(*self.info, certificates.clone()).map_err(|error| error.to_string())?;
        Ok(Self { info: Box::new(client.get_connection_info().clone()), certificates: Some(certificates) })
    }

    /// Host and port, as logs have it.
    pub fn place(&self) -> String {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => format!("{host}:{port}"),
            other => other.to_string(),
        }
    }

    /// Whether it is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// The host, or what stands for it.
    pub fn host(&self) -> &str {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
            _ => "",
        }
    }

    /// The number of the database.
    pub fn database(&self) -> i64 {
        self.info.redis_settings().db()
    }

    /// As [`Self::info`], of another server that is spoken to in the same way.
    pub(super) fn of(&self, node: &Node) -> ConnectionInfo {
        let Node { host, port } = node.clone();
        let address = match self.info.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        ConnectionInfo::clone(&self.info).set_addr(address)
    }
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
        "the Redis at {place} may lose what it acknowledged: {weaknesses}. Set it up otherwise, or take \
         store.redis.require_durable out"
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
