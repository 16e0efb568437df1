//! The scenarios, one file each.

mod calls;
mod many;
mod memory;
mod p99;
mod refreshes;
mod refused;
mod seen;
mod sign_ins;
mod start;

use std::pin::Pin;

pub use self::{refreshes::refresh_all, sign_ins::sign_in};

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
pub const SCENARIOS: [Scenario; 9] = [
    Scenario { name: "seen", title: seen::TITLE, run: |options| Box::pin(seen::run(options)) },
    Scenario { name: "many", title: many::TITLE, run: |options| Box::pin(many::run(options)) },
    Scenario { name: "refused", title: refused::TITLE, run: |options| Box::pin(refused::run(options)) },
    Scenario { name: "calls", title: calls::TITLE, run: |options| Box::pin(calls::run(options)) },
    Scenario { name: "memory", title: memory::TITLE, run: |options| Box::pin(memory::run(options)) },
    Scenario { name: "start", title: start::TITLE, run: |options| Box::pin(start::run(options)) },
    Scenario { name: "refreshes", title: refreshes::TITLE, run: |options| Box::pin(refreshes::run(options)) },
    Scenario { name: "sign_ins", title: sign_ins::TITLE, run: |options| Box::pin(sign_ins::run(options)) },
    Scenario { name: "p99", title: p99::TITLE, run: |options| Box::pin(p99::run(options)) },
];
