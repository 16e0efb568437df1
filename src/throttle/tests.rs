use super::{memory::Memory, *};
use crate::master::Master;

const RATE: Rate = Rate { count: 2, per: Duration::from_mins(1) };

fn throttle(trusts_proxies: bool) -> (Throttle, Clock) {
    let all = Limits {
        per_source: Some(RATE),
        per_account_and_source: Some(RATE),
        per_account: Some(Rate { count: 3, ..RATE }),
        per_client: Some(RATE),
    };
    let settings = Settings { sign_in: all, convert: all, trusts_proxies, ..Settings::default() };
    let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
    (Throttle::new(settings, Arc::new(Memory::new()), &master(), clock.clone()), clock)
}

fn master() -> Masters {
    Master::new(&"0123456789abcdef0123456789abcdef".into()).unwrap().into()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn fail(throttle: &Throttle, account: &str, source: &str, known: bool) -> Result<(), &'static str> {
    let attempt = throttle.by_account(Event::SignIn, account, address(source), async |_| Ok(known)).await;
    attempt.map(drop).map_err(|throttled: Throttled| throttled.limit.name())
}

#[tokio::test]
async fn a_source_has_its_rate_for_each_event_and_the_wait_is_told() {
    let (throttle, clock) = throttle(false);
    let source = address("203.0.113.9");
    for event in [Event::SignIn, Event::Convert] {
        for _ in 0..2 {
            throttle.by_source(event, source).await.unwrap();
        }
        let refused = throttle.by_source(event, source).await.unwrap_err();
        assert_eq!((refused.limit.name(), refused.retry_after()), ("per_source", 30));
    }
    throttle.by_source(Event::SignIn, address("203.0.113.10")).await.unwrap();
    clock.advance(Duration::from_millis(29_001));
    assert_eq!(throttle.by_source(Event::SignIn, source).await.unwrap_err().retry_after(), 1);
    clock.advance(Duration::from_secs(1));
    throttle.by_source(Event::SignIn, source).await.unwrap();
    for _ in 0..9 {
        throttle.by_source(Event::Refresh, source).await.unwrap();
    }
}

#[tokio::test]
async fn a_64_of_ipv6_is_one_source() {
    let (throttle, _) = throttle(false);
    for end in 1..=2 {
        throttle.by_source(Event::SignIn, address(&format!("2001:db8:0:1::{end}"))).await.unwrap();
    }
    assert!(throttle.by_source(Event::SignIn, address("2001:db8:0:1:ffff::3")).await.is_err());
    throttle.by_source(Event::SignIn, address("2001:db8:0:2::1")).await.unwrap();
}

#[tokio::test]
async fn peers_of_our_own_network_are_no_sources_until_proxies_are_named() {
    let own = [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.1.1",
        "100.64.0.1",
        "::1",
        "fd00::1",
        "fe80::1",
    ];
    for peer in own {
        let (unnamed, _) = throttle(false);
        let (named, _) = throttle(true);
        for n in 0..9 {
            unnamed.by_source(Event::SignIn, address(peer)).await.unwrap();
            assert_eq!(named.by_source(Event::SignIn, address(peer)).await.is_ok(), n < 2, "{peer}");
        }
    }
    let (throttle, _) = throttle(false);
    for other in ["100.63.255.255", "100.128.0.0", "172.32.0.1", "9.9.9.9", "2001:db8::1"] {
        assert!(throttle.source(address(other)).is_some(), "{other}");
    }
}

#[tokio::test]
async fn an_account_has_its_rate_from_one_source_and_from_all() {
    let (throttle, clock) = throttle(false);
    for _ in 0..2 {
        fail(&throttle, "ann", "203.0.113.1", false).await.unwrap();
    }
    assert_eq!(fail(&throttle, "ann", "203.0.113.1", false).await, Err("per_account_and_source"));
    fail(&throttle, "ann", "203.0.113.2", false).await.unwrap();
    assert_eq!(fail(&throttle, "ann", "203.0.113.3", false).await, Err("per_account"));
    fail(&throttle, "bob", "203.0.113.1", false).await.unwrap();
    // What was refused by the one was not counted by the other.
    clock.advance(Duration::from_secs(20));
    fail(&throttle, "ann", "203.0.113.3", false).await.unwrap();
}

#[tokio::test]
async fn nobody_is_locked_out_where_they_have_signed_in_lately() {
    let (throttle, _) = throttle(false);
    for n in 0..3 {
        fail(&throttle, "ann", &format!("203.0.113.{n}"), false).await.unwrap();
    }
    assert_eq!(fail(&throttle, "ann", "203.0.113.99", false).await, Err("per_account"));
    // From home, as often as home itself allows.
    for _ in 0..2 {
        fail(&throttle, "ann", "198.51.100.1", true).await.unwrap();
    }
    assert_eq!(fail(&throttle, "ann", "198.51.100.1", true).await, Err("per_account_and_source"));
    // Who cannot be told apart is not exempt.
    assert_eq!(fail(&throttle, "ann", "10.0.0.1", true).await, Err("per_account"));
}

#[tokio::test]
async fn what_succeeds_counts_for_nothing() {
    let (throttle, _) = throttle(false);
    for _ in 0..9 {
        let attempt =
            throttle.by_account::<Throttled>(Event::SignIn, "ann", address("203.0.113.1"), async |_| Ok(false)).await;
        throttle.uncount(attempt.unwrap()).await;
    }
}

#[tokio::test]
async fn the_secret_of_a_client_is_tried_as_often_as_a_password_from_one_source() {
    let (throttle, _) = throttle(false);
    let (here, there) = (address("203.0.113.1"), address("203.0.113.2"));
    for _ in 0..9 {
        let attempt = throttle.by_secret("web", here).await.unwrap();
        throttle.uncount(attempt).await;
    }
    for n in 0..3 {
        assert_eq!(throttle.by_secret("web", here).await.is_ok(), n < 2);
    }
    let _ = throttle.by_secret("web", there).await.unwrap();
    let _ = throttle.by_secret("spa", here).await.unwrap();
    fail(&throttle, "web", "203.0.113.1", false).await.unwrap();
}

#[test]
fn a_source_is_hashed_under_a_secret() {
    let (throttle, _) = throttle(false);
    let other = Master::new(&"another secret of thirty-two bytes".into()).unwrap().into();
    let elsewhere = Throttle::new(Settings::default(), Arc::new(Memory::new()), &other, Clock::system());
    let source = address("203.0.113.1");
    assert_ne!(throttle.source(source), elsewhere.source(source));
}

#[tokio::test]
async fn a_source_known_under_a_previous_secret_is_known() {
    let (before, _) = throttle(false);
    let there = address("203.0.113.1");
    let kept = before.source(there).unwrap();
    let new = Master::new(&"another secret of thirty-two bytes".into()).unwrap();
    let old = Master::new(&"0123456789abcdef0123456789abcdef".into()).unwrap();
    let limits = Limits { per_account: Some(RATE), ..Limits::default() };
    let settings = Settings { sign_in: limits, ..Settings::default() };
    let (clock, both) = (Clock::system(), Masters::new(new, vec![old]));
    let after = Throttle::new(settings, Arc::new(Memory::new()), &both, clock);
    assert_ne!(after.source(there), Some(kept), "new ones are under the one in force");
    let attempt = async |from: &str| {
        let is_known = async |sources: Vec<SourceId>| Ok(sources.contains(&kept));
        after.by_account(Event::SignIn, "ann", address(from), is_known).await.map(drop).map_err(|t: Throttled| t.limit)
    };
    for _ in 0..2 {
        attempt("203.0.113.99").await.unwrap();
    }
    assert!(attempt("203.0.113.99").await.is_err());
    attempt("203.0.113.1").await.unwrap();
}

#[tokio::test]
async fn a_client_has_its_rate_and_what_is_off_limits_nothing() {
    let (throttle, _) = throttle(false);
    let client = ClientId::from("web");
    for n in 0..3 {
        assert_eq!(throttle.by_client(Event::SignIn, &client).await.is_ok(), n < 2);
        throttle.by_client(Event::Refresh, &client).await.unwrap();
    }
    let off = Throttle::new(Settings::default(), Arc::new(Memory::new()), &master(), Clock::system());
    for _ in 0..99 {
        off.by_source(Event::SignUp, address("203.0.113.1")).await.unwrap();
        fail(&off, "ann", "203.0.113.1", false).await.unwrap();
    }
}
