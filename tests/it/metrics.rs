//! `/metrics`: what happens is in it, and nothing that clients choose.

mod flood;
mod moves;

use std::collections::BTreeMap;

use passgate::telemetry::metrics::{
    Metrics,
    figures::{Figure, Kind},
};

use crate::support::{Gateway, exchange};

/// One line of the page.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let mut rest = labels.strip_suffix('}').unwrap();
        let mut labels = BTreeMap::new();
        while let Some((label, after)) = rest.split_once("=\"") {
            // None of our values has a quotation mark in it.
            let (value, after) = after.split_once('"').unwrap();
            labels.insert(label.to_owned(), value.to_owned());
            rest = after.trim_start_matches(',');
        }
        Self { name: name.to_owned(), labels, value: value.parse().unwrap() }
    }

    /// The figure it is of.
    fn figure(&self, metrics: &Metrics) -> &'static Figure {
        figure(metrics, &self.name).unwrap_or_else(|| panic!("{} is not registered", self.name))
    }
}

/// The figure that a series of this name is of.
pub fn figure(metrics: &Metrics, series: &str) -> Option<&'static Figure> {
    metrics.figures().iter().copied().find(|figure| match figure.kind {
        Kind::Histogram => {
            series.strip_prefix(figure.name).is_some_and(|suffix| ["_bucket", "_sum", "_count"].contains(&suffix))
        }
        Kind::Counter | Kind::Gauge => figure.name == series,
    })
}

async fn page(gateway: &Gateway) -> String {
    let answer = exchange(gateway.admin, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    answer.text()
}

async fn scrape(gateway: &Gateway) -> Vec<Sample> {
    page(gateway).await.lines().filter(|line| !line.starts_with('#')).map(Sample::parse).collect()
}
