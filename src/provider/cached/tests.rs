use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Semaphore;

use super::*;

const DOWN: Error = Error::Unreachable("down");

/// Something that counts up with each fetch, and fails when told to.
struct Published {
    cached: Cached<u32>,
    clock: Clock,
    fetches: Arc<AtomicU32>,
    answer: Arc<Mutex<Result<(), Error>>>,
    /// A fetch takes one and keeps it.
    permits: Arc<Semaphore>,
}

fn published() -> Published {
    let clock = Clock::manual(Timestamp::from_seconds(1_000_000));
    let fetches = Arc::new(AtomicU32::new(0));
    let answer = Arc::new(Mutex::new(Ok(())));
    let permits = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
    let cached = Cached::new(clock.clone(), {
        let (fetches, answer, permits) = (fetches.clone(), answer.clone(), permits.clone());
        move || {
            let (fetches, answer, permits) = (fetches.clone(), answer.clone(), permits.clone());
            Box::pin(async move {
                let count = fetches.fetch_add(1, Ordering::Relaxed) + 1;
                permits.acquire().await.unwrap().forget();
                let answer = *answer.lock().unwrap();
                answer.map(|()| count)
            })
        }
    });
    Published { cached, clock, fetches, answer, permits }
}

impl Published {
    async fn get(&self) -> Result<(u32, bool), Error> {
        self.cached.get().await.map(|got| (*got.value, got.new))
    }

    fn fetches(&self) -> u32 {
        self.fetches.load(Ordering::Relaxed)
    }

    fn goes(&self, answer: Result<(), Error>) {
        *self.answer.lock().unwrap() = answer;
    }

    /// From now on fetches hang.
    fn hangs(&self) {
        self.permits.forget_permits(usize::MAX);
    }
}

#[tokio::test]
async fn nothing_is_fetched_before_it_is_needed_and_then_once_an_hour() {
    let published = published();
    assert_eq!(published.fetches(), 0);
    assert_eq!(published.get().await, Ok((1, true)));
    published.clock.advance(Duration::from_mins(59));
    assert_eq!(published.get().await, Ok((1, false)));
    published.clock.advance(Duration::from_mins(1));
    assert_eq!(published.get().await, Ok((2, true)));
    assert_eq!(published.fetches(), 2);
}

#[tokio::test]
async fn many_that_need_it_at_once_share_one_fetch() {
    let published = Arc::new(published());
    published.hangs();
    let needs: Vec<_> = (0..50)
        .map(|_| {
            let published = published.clone();
            tokio::spawn(async move { published.get().await })
        })
        .collect();
    tokio::task::yield_now().await;
    published.permits.add_permits(1);
    for need in needs {
        assert_eq!(need.await.unwrap(), Ok((1, true)));
    }
    assert_eq!(published.fetches(), 1);
}

#[tokio::test]
async fn a_fetch_goes_on_when_whoever_began_it_has_gone() {
    let published = published();
    published.hangs();
    assert!(timeout(Duration::from_millis(10), published.get()).await.is_err());
    published.permits.add_permits(1);
    assert_eq!(published.get().await, Ok((1, true)));
    assert_eq!(published.fetches(), 1);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let published = published();
    published.goes(Err(DOWN));
    assert_eq!(published.get().await, Err(DOWN));
    published.goes(Ok(()));
    assert_eq!(published.get().await, Ok((2, true)));
}

#[tokio::test]
async fn what_is_kept_serves_for_a_day_while_fetching_fails_and_is_tried_again_once_a_minute() {
    let published = published();
    published.get().await.unwrap();
    published.goes(Err(DOWN));
    published.clock.advance(FRESH);
    for _ in 0..3 {
        assert_eq!(published.get().await, Ok((1, false)));
    }
    assert_eq!(published.fetches(), 2, "one try");
    published.clock.advance(COOL_DOWN);
    assert_eq!(published.get().await, Ok((1, false)));
    assert_eq!(published.fetches(), 3, "and one more");
    published.clock.advance(Duration::from_hours(22));
    assert_eq!(published.get().await, Ok((1, false)));
    published.clock.advance(Duration::from_hours(1));
    assert_eq!(published.get().await, Err(DOWN));
}

#[tokio::test(start_paused = true)]
async fn something_old_at_hand_is_not_kept_from_anybody_for_long() {
    let published = published();
    published.get().await.unwrap();
    published.hangs();
    published.clock.advance(FRESH);
    let begun = tokio::time::Instant::now();
    assert_eq!(published.get().await, Ok((1, false)));
    assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs());
}

#[tokio::test]
async fn what_would_not_do_is_fetched_again_once_a_minute() {
    let published = published();
    let first = published.cached.get().await.unwrap().value;
    let second = published.cached.renew(&first).await.unwrap();
    assert_eq!(*second, 2, "at once");
    assert_eq!(*published.cached.renew(&first).await.unwrap(), 2, "somebody else has fetched it already");
    for _ in 0..3 {
        assert_eq!(*published.cached.renew(&second).await.unwrap(), 2, "a moment ago there was nothing newer");
    }
    assert_eq!(published.fetches(), 2);
    published.clock.advance(COOL_DOWN);
    assert_eq!(*published.cached.renew(&second).await.unwrap(), 3);
}

#[tokio::test]
async fn a_provider_that_was_down_a_moment_ago_has_not_said_that_there_is_nothing_newer() {
    let published = published();
    let first = published.cached.get().await.unwrap().value;
    published.goes(Err(DOWN));
    for _ in 0..3 {
        assert_eq!(published.cached.renew(&first).await.err(), Some(DOWN));
    }
    assert_eq!(published.fetches(), 2, "nor is it asked again and again");
    assert_eq!(published.get().await, Ok((1, false)), "what is kept holds as before");
    published.goes(Ok(()));
    published.clock.advance(COOL_DOWN);
    assert_eq!(published.cached.renew(&first).await.ok().as_deref(), Some(&3));
}

#[test]
fn a_clock_that_is_set_back_keeps_nothing_forever() {
    let now = Timestamp::from_seconds(1_000);
    assert_eq!(age(now, now), Duration::ZERO);
    assert_eq!(age(now, now + Duration::from_millis(1)), Duration::MAX);
}
