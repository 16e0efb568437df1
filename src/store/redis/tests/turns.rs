//! Turns that gateways count together are those that one counts alone.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::{
    master::Master,
    store::{Pace, TurnStore as _},
    throttle::{Event, Limits, Rate, Settings as Limited, Throttle, memory::Memory, shared::Shared},
};

/// Ten at once, then one a second.
const PACE: Pace = Pace { pace: 1_000_000, allowance: 10_000_000 };

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_come_at_once_to_either_get_no_more_than_their_share() {
    for clock in [contract::clock(), Clock::system()] {
        let server = RedisServer::start();
        let nodes = [
            open(server.address, &clock, &Arc::default()).await.unwrap(),
            open(server.address, &clock, &Arc::default()).await.unwrap(),
        ];
        let tries = (0..64).map(|i| nodes[i % 2].take_turn("a", PACE));
        let answers = futures_util::future::try_join_all(tries).await.unwrap();
        let passed = answers.iter().filter(|answer| answer.is_ok()).count();
        assert!((10..=11).contains(&passed), "one more where a second has passed: {passed}");
        assert!(answers.iter().filter_map(|answer| answer.err()).all(|wait| wait <= Duration::from_secs(1)));
        assert_eq!(nodes[0].take_turn("b", PACE).await.unwrap(), Ok(()), "another counter");

        nodes[1].give_turn_back("a", PACE).await.unwrap();
        assert_eq!(nodes[0].take_turn("a", PACE).await.unwrap(), Ok(()));
        nodes[0].give_turn_back("nobody", PACE).await.unwrap();
        let left: i64 = server.tell("PTTL test:turns:a")[0].parse().unwrap();
        assert!((1..=11_000).contains(&left), "it goes by itself");
        assert_eq!(server.tell("EXISTS test:turns:nobody"), ["0"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_of_counting_are_the_same() {
    let server = RedisServer::start();
    let clock = contract::clock();
    let store = open(server.address, &clock, &Arc::default()).await.unwrap();
    let limits = Limits { per_source: Some(Rate { count: 3, per: Duration::from_secs(7) }), ..Limits::default() };
    let settings = Limited { sign_in: limits, trusts_proxies: true, ..Limited::default() };
    let master = Master::new(&"a secret of at least thirty-two bytes".into()).unwrap().into();
    let together = Throttle::new(settings, Arc::new(Shared::new(Arc::new(store))), &master, clock.clone());
    let alone = Throttle::new(settings, Arc::new(Memory::new()), &master, clock.clone());
    for step in 0_u64..200 {
        let source = IpAddr::V4(Ipv4Addr::new(203, 0, 113, u8::try_from(step % 3).unwrap()));
        let (one, other) =
            (together.by_source(Event::SignIn, source).await, alone.by_source(Event::SignIn, source).await);
        assert_eq!(one, other, "step {step}");
        clock.advance(Duration::from_millis(step * 7919 % 1500));
    }
}
