//! The dashboard and the alert rules for Prometheus: what they ask for is there.

use std::collections::BTreeSet;

use passgate::telemetry::metrics::{
    Metrics,
    figures::{Figure, Values},
};
use serde_json::Value;

use super::{deployment::text, yaml::documents};
use crate::metrics::figure;

/// Of a scrape, of an alert, or of a histogram: not ours.
const FOREIGN: [&str; 4] = ["job", "instance", "le", "alertname"];

/// Every value under `expr`, wherever it is.
fn expressions(node: &Value, found: &mut Vec<String>) {
    match node {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

/// The words of an expression, each with what follows it; what stands in quotes is none.
fn words(expression: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let (mut quoted, mut start) = (false, None);
    for (at, c) in expression.char_indices().chain([(expression.len(), ' ')]) {
        let within = c.is_ascii_alphanumeric() || c == '_';
        match start {
            None if within && !quoted => start = Some(at),
            Some(began) if !within => {
                found.push((&expression[began..at], &expression[at..]));
                start = None;
            }
            _ => {}
        }
        quoted ^= c == '"';
    }
    found
}

/// Name and value of what stands in the braces that `rest` begins with, if it does.
fn matchers(rest: &str) -> Vec<(&str, &str)> {
    let Some(inside) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else { return Vec::new() };
    let pairs = inside.0.split("\",").map(|pair| pair.split_once('"').unwrap());
    pairs.map(|(name, value)| (name.trim_end_matches(['=', '~', '!']).trim(), value.trim_end_matches('"'))).collect()
}

fn assert_says(figure: &Figure, name: &str, value: &str, expression: &str) {
    if FOREIGN.contains(&name) {
        return;
    }
    let label = figure.labels.iter().find(|label| label.name == name);
    let label = label.unwrap_or_else(|| panic!("{} has no label {name}: {expression}", figure.name));
    if let Values::Words(words) = label.values {
        for word in value.split('|') {
            assert!(words.contains(&word), "{name} of {} is never {word:?}: {expression}", figure.name);
        }
    }
}

/// The figures that an expression asks for, each by the names and labels it has.
fn asked(expression: &str, metrics: &Metrics) -> BTreeSet<&'static str> {
    let words = words(expression);
    let ours = words.iter().filter(|(word, _)| word.starts_with("passgate_") || word.starts_with("process_"));
    let mut names = BTreeSet::new();
    let mut labels: BTreeSet<_> = FOREIGN.into_iter().collect();
    for (word, rest) in ours {
        let figure = figure(metrics, word).unwrap_or_else(|| panic!("there is no {word}: {expression}"));
        for (name, value) in matchers(rest) {
            assert_says(figure, name, value, expression);
        }
        names.insert(figure.name);
        labels.extend(figure.labels.iter().map(|label| label.name));
    }
    assert!(!names.is_empty(), "nothing of ours is asked for: {expression}");
    for grouped in expression.split("by (").skip(1) {
        for label in grouped.split(')').next().unwrap().split(',') {
            assert!(labels.contains(label.trim()), "nothing here has a label {label}: {expression}");
        }
    }
    names
}

#[test]
fn the_dashboard_asks_for_every_figure_and_for_no_other() {
    let dashboard: Value = serde_json::from_str(&text("examples/grafana/dashboard.json")).unwrap();
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    let metrics = Metrics::new();
    let asked: BTreeSet<_> = found.iter().flat_map(|expression| asked(expression, &metrics)).collect();
    let all: BTreeSet<_> = metrics.figures().iter().map(|figure| figure.name).collect();
    assert_eq!(asked, all);

    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<_> = panels.iter().filter(|panel| panel["type"] == "row").map(|row| &row["title"]).collect();
    let groups = passgate::telemetry::metrics::GROUPS;
    assert_eq!(rows, groups.iter().map(|group| group.title).collect::<Vec<_>>(), "as docs/metrics.md has them");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
    }
}

#[test]
fn the_alerts_ask_for_figures_that_there_are_and_say_what_to_do() {
    let rules = documents(&text("examples/grafana/alerts.yaml")).remove(0);
    let metrics = Metrics::new();
    let page = text("docs/metrics.md");
    let mut names = BTreeSet::new();
    for rule in rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let name = rule["alert"].as_str().unwrap();
        assert!(names.insert(name), "{name} is there twice");
        let expression = rule["expr"].as_str().unwrap();
        // Prometheus' own, of what it reads.
        if expression != r#"up{job="passgate"} == 0"# {
            asked(expression, &metrics);
        }
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        assert!(rule["annotations"]["summary"].is_string(), "{name}");
        let about = rule["annotations"]["figure"].as_str().unwrap();
        assert!(page.contains(&format!("<a id=\"{about}\">")), "{name}: docs/metrics.md says nothing of {about}");
    }
    assert!(names.len() > 8, "{names:?}");
}

#[test]
fn what_is_not_there_is_found_out() {
    let metrics = Metrics::new();
    for wrong in [
        "passgate_nothing_total",
        "rate(passgate_request_duration_seconds[5m])",
        "passgate_requests_total_bucket",
        r#"passgate_requests_total{colour="red"}"#,
        r#"passgate_refreshes_total{job="a",outcome=~"theft|luck"}"#,
        "sum by (colour) (passgate_requests_total)",
        "up == 0",
    ] {
        let found = std::panic::catch_unwind(|| asked(wrong, &Metrics::new()));
        assert!(found.is_err(), "{wrong}");
    }
    let good = r#"sum by (route, le) (rate(passgate_request_duration_seconds_bucket{job=~"$job",route="/"}[5m])) > 3"#;
    assert_eq!(asked(good, &metrics), ["passgate_request_duration_seconds"].into());
}
