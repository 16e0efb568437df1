//! The scenarios, one file each.

mod many;
mod refused;
mod seen;

use std::pin::Pin;

use super::{Options, report::Section};

/// Something to be measured.
pub struct Scenario {
    /// On the command line.
    pub name: &'static str,
    /// In the page.
    pub title: &'static str,
    pub run: for<'a> fn(&'a Options) -> Pin<Box<dyn Future<Output = Section> + 'a>>,
}

/// In the order of the page.
pub const SCENARIOS: [Scenario; 3] = [
    Scenario { name: "seen", title: seen::TITLE, run: |options| Box::pin(seen::run(options)) },
    Scenario { name: "many", title: many::TITLE, run: |options| Box::pin(many::run(options)) },
    Scenario { name: "refused", title: refused::TITLE, run: |options| Box::pin(refused::run(options)) },
];
