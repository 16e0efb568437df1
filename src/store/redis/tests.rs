//! What Redis adds to the contract: steps between which one may die, and a server that may do so too.

mod cluster;
mod dying;
mod outage;
#[path = "../../../tests/it/support/redis_cluster.rs"]
mod redis_cluster;
#[path = "../../../tests/it/support/redis_sentinel.rs"]
mod redis_sentinel;
#[path = "../../../tests/it/support/redis_server.rs"]
mod redis_server;
mod sentinel;
mod tls;
mod turns;

use std::net::SocketAddr;

use self::redis_server::RedisServer;
use super::*;
use crate::store::contract::{self, Bench, Node};

contract::store_contract!(crate::store::redis::tests::fresh);

/// Two gateways on one fresh Redis.
pub async fn fresh() -> Bench {
    let server = RedisServer::start();
    let clock = contract::clock();
    let (here, there) = (node(server.address, &clock).await, node(server.address, &clock).await);
    Bench::new(clock, here, there, server)
}

async fn node(address: SocketAddr, clock: &Clock) -> Node {
    let view = Arc::<View>::default();
    let store = open(address, clock, &view).await.unwrap();
    Node { store: Arc::new(store), view }
}

async fn open(address: SocketAddr, clock: &Clock, view: &Arc<View>) -> Result<RedisStore, OpenError> {
    RedisStore::open(&settings(address), clock.clone(), Arc::clone(view)).await
}

#[test]
fn clocks_are_apart_whichever_is_ahead() {
    let (early, late) = (Timestamp::from_seconds(10), Timestamp::from_seconds(13));
    assert_eq!((apart(early, late), apart(late, early)), (Duration::from_secs(3), Duration::from_secs(3)));
    assert_eq!(apart(late, late), Duration::ZERO);
}

/// With time enough for a busy machine.
fn settings(address: SocketAddr) -> Settings {
    Settings {
        address: Address::parse(&format!("redis://{address}")).unwrap(),
        servers: Servers::One,
        namespace: "test".to_owned(),
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(10),
        require_durable: false,
        read_from_replica: false,
    }
}
