//! docs/metrics.md: made of what is registered.

use std::fmt::Write as _;

use passgate::telemetry::metrics::{
    GROUPS,
    figures::{Figure, Values},
};

use super::hold;

const INTRODUCTION: &str = r"# Metrics

<!-- Made of src/telemetry/metrics/figures.rs: change that, then `PASSGATE_WRITE_DOCS=1 cargo test --test it pages`. -->

`GET /metrics` on the admin listener (`admin.listen`) has these figures in the text format of Prometheus. Each gateway counts
for itself, from its start; Prometheus adds them up. [examples/grafana](../examples/grafana/README.md) has a scrape
configuration, a dashboard and alert rules made of them.

- No label says what a client chose: a flood of inventions makes no new series.
- Words are there from the start, at 0, so that `increase()` sees the first of a kind. Only what routes, methods, limits and
  operations of the store combine to comes up with its first request.
- A histogram is `_bucket`, `_sum` and `_count` of its name, in seconds.
- What is not counted but measured (sizes, ages, the state of the store) is measured when the page is read.
";

#[test]
fn the_page_of_the_figures_is_what_is_registered() {
    let mut page = INTRODUCTION.to_owned();
    for group in GROUPS {
        let _ =
            writeln!(page, "\n## {}\n\n| figure | labels | meaning | when to worry |\n|---|---|---|---|", group.title);
        for figure in group.figures {
            let Figure { name, kind, help, worry, .. } = figure;
            let labels = labels(figure);
            let _ = writeln!(
                page,
                "| <a id=\"{name}\"></a>`{name}` {} | {labels} | {} | {} |",
                kind.word(),
                cell(help),
                cell(worry)
            );
        }
    }
    hold("docs/metrics.md", &page);
}

fn labels(figure: &Figure) -> String {
    let labels = figure.labels.iter().map(|label| match label.values {
        Values::Words(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            format!("`{}`: {}", label.name, words.join(", "))
        }
        Values::Named(what) => format!("`{}`: {what}", label.name),
    });
    labels.collect::<Vec<_>>().join("<br>")
}

/// As a cell of a table, with figures led to where they are told of.
fn cell(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let name = word.trim_end_matches([',', '.', ':', ';']);
        let known = GROUPS.iter().flat_map(|group| group.figures).any(|figure| figure.name == name);
        if known { format!("[{name}](#{name}){}", &word[name.len()..]) } else { word.to_owned() }
    });
    format!("{}.", words.collect::<Vec<_>>().join(" ").trim_end_matches('.'))
}
