//! The figures of one route.

use std::{sync::OnceLock, time::Duration};

use http::{Method, StatusCode};
use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::figures::{CLASSES, METHODS};

type Cells = [[OnceLock<IntCounter>; CLASSES.len()]; METHODS.len()];

/// The figures of one route. Counting looks no label up after the first request of a kind.
pub struct RouteMetrics {
    name: Box<str>,
    requests: IntCounterVec,
    cells: Cells,
    durations: Histogram,
}

impl RouteMetrics {
    /// Counts in `requests`, under this name, and in `durations`.
    pub(super) fn new(name: &str, requests: IntCounterVec, durations: Histogram) -> Self {
        Self { name: name.into(), requests, cells: Cells::default(), durations }
    }

    /// The route's name, or our own endpoint's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One request answered; without a status when the client was gone before.
    pub fn answered(&self, method: &Method, status: Option<StatusCode>, took: Duration) {
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = match status.map(|status| status.as_u16() / 100) {
            Some(class @ 1..=5) => usize::from(class) - 1,
            _ => CLASSES.len() - 1,
        };
        if let (Some(cell), Some(method), Some(class)) =
            (self.cells.get(method).and_then(|row| row.get(class)), METHODS.get(method), CLASSES.get(class))
        {
            cell.get_or_init(|| self.requests.with_label_values(&[&*self.name, method, class])).inc();
        }
        self.durations.observe(took.as_secs_f64());
    }
}
