//! The composition root: the only file that names a concrete store. It reads as the table of contents: bind,
//! open, compose, serve, drain.

mod upkeep;

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use pingora::proxy::HttpProxy;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use self::upkeep::{Upkeep, catch_up};
use crate::{
    account::Accounts,
    api::{self, Api},
    authn::Authenticator,
    change_log::View,
    clock::Clock,
    config::Settings,
    cors::Cors,
    listener::{self, BindError, Bound, Limits, RouterApp},
    master::{self, ClientSecrets, Masters},
    oauth::{
        OAuth,
        client::{LoadError, Registry},
    },
    password::{self, Hasher},
    provider::{self, Providers},
    proxy::{self, Gateway, observe::Observer, unread},
    route::Routes,
    secret::Secret,
    store::{
        self, Metered, Store, StoreError, TurnStore,
        sql::{self, Role, SqlStore},
    },
    telemetry::{
        admin::{self, Readiness},
        metrics::{self, Metrics, UpstreamMetrics},
    },
    throttle::{Counters, Throttle, memory::Memory, shared::Shared},
    token::{KeyRing, RefreshTokens, keys},
    upstream::{self, Upstreams, whoami},
};

/// The admin listener answers few, and quickly.
const ADMIN_LIMITS: Limits = Limits {
    connections: 100,
    header_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_mins(1),
    header_bytes: 16 * 1024,
    drain: Duration::from_secs(1),
};
const ADMIN_DEADLINE: Duration = Duration::from_secs(10);

/// signal(7): the file size limit was reached.
const SIGXFSZ: i32 = 25;

/// Why the gateway cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address or a TLS file.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The store's file.
    #[error(transparent)]
    OpenStore(#[from] sql::OpenError),
    /// A copy of the store's file.
    #[error(transparent)]
    BackUp(#[from] sql::BackUpError),
    /// The store's Redis.
    #[error(transparent)]
    OpenRedis(#[from] store::redis::OpenError),
    /// The store, once open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master secret.
    #[error(transparent)]
    Master(#[from] master::OpenError),
    /// The signing keys.
    #[error(transparent)]
    Keys(#[from] keys::OpenError),
    /// The clients of the configuration and the store.
    #[error(transparent)]
    Clients(#[from] LoadError),
    /// What other identity providers are asked with.
    #[error(transparent)]
    Providers(#[from] provider::Unusable),
    /// The hashing threads.
    #[error(transparent)]
    Hashing(#[from] password::SetupError),
    /// The runtime or its signals.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
}

impl Error {
    /// As sysexits.h has them: 64 for what the operator wrote, 69 for what is out of reach, 70 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Bind(error) => error.exit_code(),
            Self::OpenStore(error) => error.exit_code(),
            Self::BackUp(error) => error.exit_code(),
            Self::OpenRedis(error) => error.exit_code(),
            Self::Store(StoreError::Unavailable(_))
            | Self::Master(master::OpenError::Store(_))
            | Self::Clients(LoadError::Store(StoreError::Unavailable(_)))
            | Self::Keys(keys::OpenError::Store(_)) => 69,
            Self::Master(_)
            | Self::Clients(LoadError::Twice(_))
            | Self::Keys(keys::OpenError::Sealed(_))
            | Self::Hashing(password::SetupError::Cost(_)) => 64,
            Self::Store(StoreError::Corrupt(_))
            | Self::Clients(LoadError::Store(StoreError::Corrupt(_)))
            | Self::Keys(_)
            | Self::Providers(_)
            | Self::Hashing(_)
            | Self::System(_) => 70,
        }
    }
}

/// Serves until SIGTERM or SIGINT, then drains.
pub fn serve(settings: Settings) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(until_signalled(settings));
    // Waits for nobody: a look-up of a name may hang for long.
    runtime.shutdown_background();
    ended
}

async fn until_signalled(settings: Settings) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Once it is listened to, a file that may not grow (`ulimit -f`) fails its write instead of ending the process.
    let _file_too_large = signal(SignalKind::from_raw(SIGXFSZ))?;
    raise_descriptor_limit(settings.limits.connections);
    let app = App::build(settings, Clock::system()).await?;
    let (stop, stopped) = watch::channel(false);
    let mut run = tokio::spawn(app.run(stopped));
    tokio::select! {
        ended = &mut run => return ended.map_err(io::Error::other)?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("draining");
    stop.send_replace(true);
    // A second signal is a person who does not want to wait.
    tokio::select! {
        ended = run => ended.map_err(io::Error::other)??,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("ended");
    Ok(())
}

/// Asks for as many file descriptors as `connections` can need: one to the client and one to the upstream each, and
/// some for the store. The usual limit of 1024 is a courtesy to programs that use select(2).
fn raise_descriptor_limit(connections: usize) {
    let connections = connections as u64;
    match rlimit::increase_nofile_limit(connections.saturating_mul(2).saturating_add(200)) {
        Ok(limit) if limit < connections => tracing::warn!(
            limit,
            connections,
            "fewer files may be open than server.limits.connections allows connections: raise the hard limit \
             (`ulimit -Hn`, LimitNOFILE=), or lower the setting"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}

/// An open store and what its master secret unlocks: what the command line works with, and serving builds on.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The change log as this process knows it.
    pub changes: Arc<View>,
    /// The master secret, and those before it.
    pub masters: Masters,
    /// The deployment's id.
    pub deployment_id: [u8; 16],
    /// The store again, where gateways can count turns together in it.
    pub turns: Option<Arc<dyn TurnStore>>,
}

impl Opened {
    /// The same, with what is asked of the store counted.
    fn counted_in(self, metrics: &Arc<Metrics>) -> Self {
        let counted = |turns| Arc::new(Metered::new(turns, Arc::clone(metrics))) as Arc<dyn TurnStore>;
        Self { store: Arc::new(Metered::new(self.store, Arc::clone(metrics))), turns: self.turns.map(counted), ..self }
    }
}

/// Opens the store of `settings`, for serving or for a command beside a gateway.
pub async fn open(settings: &Settings, clock: &Clock, role: Role) -> Result<Opened, Error> {
    let changes = Arc::new(View::default());
    let (store, turns): (Arc<dyn Store>, Option<Arc<dyn TurnStore>>) = match &settings.store {
        store::Settings::Sqlite { path } => {
            (Arc::new(SqlStore::open(path, clock.clone(), Arc::clone(&changes), role).await?), None)
        }
        store::Settings::Redis(redis) => {
            let redis = store::redis::RedisStore::open(redis, clock.clone(), Arc::clone(&changes)).await?;
            (Arc::new(redis.clone()), Some(Arc::new(redis)))
        }
    };
    let (masters, deployment) = master::open(&settings.master, &settings.previous_masters, &*store).await?;
    Ok(Opened { store, changes, masters, deployment_id: deployment.id, turns })
}

/// Copies the store of `settings` into a new file, beside a gateway or without one; its size, bytes. `None` when the store
/// is not a file: others are backed up by their own means.
pub async fn back_up(settings: &Settings, to: &Path) -> Result<Option<u64>, Error> {
    match &settings.store {
        store::Settings::Sqlite { path } => Ok(Some(sql::back_up(path, to).await?)),
        store::Settings::Redis(_) => Ok(None),
    }
}

/// Where tries are counted: together, where gateways can.
fn counters(turns: Option<Arc<dyn TurnStore>>) -> Arc<dyn Counters> {
    match turns {
        Some(turns) => Arc::new(Shared::new(turns)),
        None => Arc::new(Memory::new()),
    }
}

/// What the admin listener answers.
fn admin_pages(metrics: Arc<Metrics>, readiness: Arc<Readiness>, store: Arc<dyn Store>, sampled: Sampled) -> RouterApp {
    let ping = move || {
        let store = Arc::clone(&store);
        async move { store.ping().await }
    };
    let sample = move |metrics: &Metrics| sampled.tell(metrics);
    RouterApp::new(admin::router(metrics, readiness, ping, sample), ADMIN_DEADLINE)
}

/// What is asked when the figures are read, and not counted as it happens.
struct Sampled {
    hasher: Arc<Hasher>,
    changes: Arc<View>,
    authenticator: Arc<Authenticator>,
    keys: Arc<KeyRing>,
    clock: Clock,
}

impl Sampled {
    fn tell(&self, metrics: &Metrics) {
        let now = self.clock.now();
        metrics::set(&metrics.hashes_waiting, self.hasher.waiting() as u64);
        metrics::set(&metrics.hashes_running, self.hasher.running() as u64);
        metrics::set(&metrics.token_cache_bytes, self.authenticator.cached_bytes());
        metrics::set(&metrics.token_cache_entries, self.authenticator.cached_tokens() as u64);
        metrics.change_log_age.set(self.changes.age(now).as_secs_f64());
        let progress = self.keys.progress(now);
        metrics.key_age.set(progress.map_or(f64::NAN, |keys| keys.signing.as_secs_f64()));
        metrics.key_next.set(progress.map_or(f64::NAN, |keys| keys.left.as_secs_f64() - keys.overdue.as_secs_f64()));
    }
}

/// The sockets for clients, whose connections are counted, and the one for operators.
fn bind(settings: &Settings, metrics: &Arc<Metrics>) -> Result<(Vec<Bound>, Option<Bound>), BindError> {
    let bind = |listener| Ok(listener::bind(listener)?.counted_in(metrics));
    let listeners = settings.listeners.iter().map(bind).collect::<Result<_, BindError>>()?;
    let admin = settings.admin.map(|address| listener::bind(&listener::Settings { address, tls: None })).transpose()?;
    Ok((listeners, admin))
}

/// The upstreams, what is counted of each, and what ends the one that is built in.
async fn open_upstreams(
    settings: Vec<upstream::Settings>,
    metrics: &Metrics,
) -> Result<(Arc<Upstreams>, Vec<UpstreamMetrics>, watch::Sender<bool>), BindError> {
    let (whoami, whoami_stopped) = watch::channel(false);
    let (whoami_address, _) = whoami::start(whoami_stopped)?;
    let counted = settings.iter().map(|upstream| metrics.upstream(&upstream.name)).collect();
    Ok((Arc::new(Upstreams::open(settings, whoami_address).await), counted, whoami))
}

/// Everything bound and opened, ready to serve.
pub struct App {
    listeners: Vec<Bound>,
    admin: Option<Bound>,
    proxy: HttpProxy<Gateway>,
    record: listener::Record,
    admin_pages: RouterApp,
    limits: Limits,
    readiness: Arc<Readiness>,
    background: JoinSet<()>,
    whoami: watch::Sender<bool>,
    store: Arc<dyn Store>,
}

impl App {
    /// Binds first, so that a taken port makes nothing; then opens the store, and composes the rest on it.
    pub async fn build(settings: Settings, clock: Clock) -> Result<Self, Error> {
        listener::tls::install_crypto_provider();
        let metrics = Arc::new(Metrics::new());
        let (listeners, admin) = bind(&settings, &metrics)?;
        let Opened { store, changes, masters, deployment_id, turns } =
            open(&settings, &clock, Role::Serve).await?.counted_in(&metrics);
        let cursor = catch_up(&*store, &changes, None, clock.now()).await?;
        let (tokens, now) = (settings.tokens.clone(), clock.now());
        let keys = Arc::new(KeyRing::open(Arc::clone(&store), &masters, deployment_id, tokens, now).await?);
        let hasher = Arc::new(Hasher::counted(settings.hashing, metrics.hashing.clone())?);
        let accounts =
            Arc::new(Accounts::new(Arc::clone(&store), Arc::clone(&hasher), settings.accounts, clock.clone()));
        let client_secrets = masters.each(ClientSecrets::new);
        let client_secret_macs = Arc::new(move |secret: &str| {
            let secret = Secret::from(secret);
            client_secrets.iter().map(|secrets| secrets.mac(&secret)).collect()
        });
        let clients = Registry::new(&settings.clients, client_secret_macs, Arc::clone(&hasher), Arc::clone(&store));
        clients.load().await?;
        let oauth = Arc::new(OAuth {
            clients,
            accounts: Arc::clone(&accounts),
            providers: Providers::new(settings.providers, clock.clone(), &metrics)?,
            throttle: Throttle::new(settings.throttle, counters(turns), &masters, clock.clone()),
            store: Arc::clone(&store),
            keys: Arc::clone(&keys),
            refresh_tokens: RefreshTokens::new(&masters, deployment_id),
            sessions: settings.sessions,
        });
        let authenticator = Arc::new(Authenticator::new(
            Arc::clone(&keys),
            Arc::clone(&changes),
            settings.identity,
            clock.clone(),
            settings.max_staleness,
            settings.token_cache,
            Arc::clone(&metrics),
        ));
        let api = Arc::new(Api {
            accounts,
            oauth: Arc::clone(&oauth),
            authenticator: Arc::clone(&authenticator),
            store: Arc::clone(&store),
            clock: clock.clone(),
            settings: api::Settings {
                public_url: settings.public_url,
                accounts: settings.accounts,
                converts: oauth.providers.names().next().is_some(),
            },
        });

        let (upstreams, upstream_metrics, whoami) = open_upstreams(settings.upstreams, &metrics).await?;
        let readiness = Arc::new(Readiness::default());
        let unrouted_metrics = metrics.route("none");
        let record = Arc::new(unread::recorder(Arc::clone(&metrics), unrouted_metrics.clone()));
        let gateway = Gateway {
            hygiene: settings.hygiene,
            cors: Cors::new(&settings.cors).map_err(io::Error::other)?,
            authenticator: Arc::clone(&authenticator),
            upstreams: Arc::clone(&upstreams),
            api: api::router(api, &settings.base_path),
            route_metrics: settings.routes.iter().map(|route| metrics.route(&route.name)).collect(),
            upstream_metrics,
            own_metrics: metrics.route(&settings.base_path),
            unrouted_metrics,
            routes: Routes::new(settings.routes, &settings.base_path),
            observer: Observer::new(Arc::clone(&metrics)),
            metrics: Arc::clone(&metrics),
            max_body: settings.max_body,
            idle_timeout: settings.limits.idle_timeout,
            readiness: Arc::clone(&readiness),
            disbelief_warned: AtomicBool::new(false),
        };

        let mut background = JoinSet::new();
        background.spawn(async move { upstreams.keep_resolved().await });
        let upkeep = Upkeep {
            store: Arc::clone(&store),
            changes: Arc::clone(&changes),
            keys: Arc::clone(&keys),
            oauth,
            rules: settings.sessions,
            clock: clock.clone(),
        };
        upkeep.start(cursor, &mut background);

        let sampled = Sampled { hasher, changes, authenticator, keys, clock };
        let admin_pages = admin_pages(metrics, Arc::clone(&readiness), Arc::clone(&store), sampled);
        Ok(Self {
            listeners,
            admin,
            proxy: proxy::proxy(gateway),
            record,
            admin_pages,
            limits: settings.limits,
            readiness,
            background,
            whoami,
            store,
        })
    }

    /// Where clients are served.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(Bound::local_addr).collect()
    }

    /// Where the admin listener is.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Bound::local_addr)
    }

    /// Serves until `stop` turns true and what is in flight is done, then closes the store. The admin listener
    /// outlives the drain, so that a load balancer sees it.
    ///
    /// # Errors
    ///
    /// When a listener cannot serve at all.
    pub async fn run(mut self, stop: watch::Receiver<bool>) -> Result<(), Error> {
        for address in self.addresses() {
            tracing::info!(%address, "listening");
        }
        let (end_admin, admin_ended) = watch::channel(false);
        if let Some(admin) = self.admin.take() {
            tracing::info!(address = %admin.local_addr(), "admin listening");
            let unrecorded = listener::unrecorded();
            let serving =
                listener::serve(vec![admin], Arc::new(self.admin_pages), unrecorded, ADMIN_LIMITS, admin_ended);
            self.background.spawn(async {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "the admin listener cannot serve");
                }
            });
        }
        let readiness = Arc::clone(&self.readiness);
        let mut stopping = stop.clone();
        self.background.spawn(async move {
            if stopping.wait_for(|stop| *stop).await.is_ok() {
                readiness.drain();
            }
        });
        self.readiness.ready();
        let served = listener::serve(self.listeners, Arc::new(self.proxy), self.record, self.limits, stop).await;
        self.whoami.send_replace(true);
        end_admin.send_replace(true);
        self.background.shutdown().await;
        self.store.close().await;
        Ok(served?)
    }
}
