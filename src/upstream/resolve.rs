//! Names to addresses, again and again, without blocking a request or losing what is known to a failing resolver.

use std::{io, net::SocketAddr, sync::atomic::Ordering::Relaxed, time::Duration};

use futures_util::future::join_all;
use tokio::{
    net::lookup_host,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{Upstream, Upstreams};

/// Between two look-ups of a name.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How long the start may wait for names.
const AT_START: Duration = Duration::from_secs(5);

impl Upstreams {
    /// Every address and name once, all at a time.
    pub(super) async fn resolve_once(&self) {
        join_all(self.servers().map(async |(upstream, server)| {
            let Some(known) = upstream.servers.get(server) else { return };
            if let Some(address) = known.literal() {
                upstream.replace(server, &[address]);
                return;
            }
            let found = timeout(AT_START, look_up(upstream, server)).await;
            upstream.learn(server, found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
        }))
        .await;
    }

    /// Resolves names again and again, keeping the last good addresses, until dropped.
    pub async fn keep_resolved(&self) {
        let named = self
            .servers()
            .filter(|(upstream, server)| upstream.servers.get(*server).is_some_and(|known| known.literal().is_none()));
        // Each name in its own time: a look-up that hangs delays no other, and is not begun again beside itself.
        join_all(named.map(async |(upstream, server)| {
            loop {
                sleep(AGAIN_AFTER).await;
                upstream.learn(server, look_up(upstream, server).await);
            }
        }))
        .await;
    }

    fn servers(&self) -> impl Iterator<Item = (&Upstream, usize)> {
        self.0.iter().flat_map(|upstream| (0..upstream.servers.len()).map(move |server| (upstream, server)))
    }
}

async fn look_up(upstream: &Upstream, server: usize) -> io::Result<Vec<SocketAddr>> {
    let Some(known) = upstream.servers.get(server) else { return Ok(Vec::new()) };
    if known.name.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(lookup_host((known.name.as_str(), known.server.port)).await?.collect())
}

impl Upstream {
    /// Takes over what a look-up found; nothing, or an error, leaves what was known.
    pub(super) fn learn(&self, server: usize, found: io::Result<Vec<SocketAddr>>) {
        let Some(known) = self.servers.get(server) else { return };
        let found = found.and_then(|mut addresses| {
            addresses.sort_unstable();
            addresses.dedup();
            if addresses.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(addresses) }
        });
        let (upstream, name) = (&self.name, &known.name);
        match found {
            Ok(addresses) => {
                if known.failing.swap(false, Relaxed) {
                    info!(upstream, name, "the name of a server resolves again");
                }
                if self.addresses(server) != addresses {
                    self.replace(server, &addresses);
                }
            }
            Err(error) => {
                // Once, not every ten seconds.
                if !known.failing.swap(true, Relaxed) {
                    let kept = self.addresses(server).len();
                    warn!(upstream, name, %error, kept, "the name of a server does not resolve; keeping what is known");
                }
            }
        }
    }
}
