//! Figures as Markdown, for the terminal and for docs/performance.md.

use std::{fmt::Write as _, fs, path::Path};

use super::rounds::Series;

const BEGIN: &str = "<!-- figures: written by `make bench` -->\n";
const END: &str = "<!-- end of figures -->\n";

/// What a ratio must be.
#[derive(Clone, Copy)]
pub enum Bound {
    /// Told for its own sake.
    None,
    AtMost(f64),
    AtLeast(f64),
}

/// The figures of one scenario.
pub struct Section {
    title: &'static str,
    text: String,
}

impl Section {
    pub fn new(title: &'static str) -> Self {
        Self { title, text: String::new() }
    }

    /// A sentence.
    pub fn note(&mut self, text: &str) {
        writeln!(self.text, "\n{text}").unwrap();
    }

    /// What each has used, or whatever else `unit` measures.
    pub fn table(&mut self, what: &str, unit: &str, series: &[Series]) {
        writeln!(self.text, "\n| {what} | median | min–max |\n|---|---|---|").unwrap();
        for Series { name, values } in series {
            writeln!(self.text, "| {name} | {} {unit} | {} |", show(median(values)), span(values)).unwrap();
        }
    }

    /// A line of figures for each of `lines`, one for each of `names`.
    pub fn columns(&mut self, what: &str, names: &[&str], lines: &[(String, Vec<f64>)]) {
        writeln!(self.text, "\n| {what} | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len())).unwrap();
        for (name, figures) in lines {
            let figures: Vec<_> = figures.iter().map(|figure| show(*figure)).collect();
            writeln!(self.text, "| {name} | {} |", figures.join(" | ")).unwrap();
        }
    }

    /// Begins the table of ratios.
    pub fn ratios(&mut self) {
        self.bounds("ratio, round by round");
    }

    /// Begins the table of what has bounds.
    pub fn bounds(&mut self, what: &str) {
        writeln!(self.text, "\n| {what} | median | min–max | must be | holds |\n|---|---|---|---|---|").unwrap();
    }

    /// Of two by their names, out of what was measured in the same rounds.
    pub fn ratio(&mut self, series: &[Series], of: &str, by: &str, bound: Bound) {
        let values = |name| &series.iter().find(|series| series.name == name).unwrap().values;
        let ratios: Vec<_> = values(of).iter().zip(values(by)).map(|(of, by)| of / by).collect();
        self.line(&format!("{of} / {by}"), &ratios, bound);
    }

    /// A line among them.
    pub fn line(&mut self, what: &str, values: &[f64], bound: Bound) {
        let middle = median(values);
        let (must, holds) = match bound {
            Bound::None => (String::new(), ""),
            Bound::AtMost(most) => (format!("≤ {most}"), if middle <= most { "yes" } else { "**no**" }),
            Bound::AtLeast(least) => (format!("≥ {least}"), if middle >= least { "yes" } else { "**no**" }),
        };
        writeln!(self.text, "| {what} | {} | {} | {must} | {holds} |", show(middle), span(values)).unwrap();
    }

    /// As it stands in a page.
    pub fn markdown(&self) -> String {
        format!("### {}\n{}", self.title, self.text)
    }
}

/// Puts sections in the place of those of the same title in the page; others stay, in the order of `titles`.
pub fn write(page: &Path, titles: &[&str], sections: &[Section]) {
    let text = fs::read_to_string(page).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the page has a place for figures");
    let (figures, after) = rest.split_once(END).expect("and an end of it");
    let old: Vec<_> = figures.split("### ").skip(1).collect();
    let of = |title: &&str| {
        let new = sections.iter().find(|section| section.title == *title).map(Section::markdown);
        let old = || old.iter().find(|old| old.starts_with(&format!("{title}\n"))).map(|old| format!("### {old}"));
        Some(new.or_else(old)?.trim_end().to_owned())
    };
    let figures: Vec<_> = titles.iter().filter_map(of).collect();
    fs::write(page, format!("{before}{BEGIN}\n{}\n\n{END}{after}", figures.join("\n\n"))).unwrap();
}

/// Of an even number, the higher of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

fn span(values: &[f64]) -> String {
    let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(least, most), x| (x.min(least), x.max(most)));
    format!("{}–{}", show(least), show(most))
}

/// Three digits that mean something.
fn show(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
