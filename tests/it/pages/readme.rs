//! README.md: its lines run, and its table has every command.

use std::fs;

use super::{
    root,
    shell::{QuickStart, blocks},
};
use crate::support::process::passgate;

fn page() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

#[tokio::test]
async fn the_lines_of_the_quick_start_do_what_is_said_of_them() {
    let page = page();
    let lines = blocks(&page).into_iter().find(|block| block.contains("GATE=")).unwrap();
    let told = QuickStart::start().await.run(lines, "");
    let statuses: Vec<_> = told.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect();
    assert_eq!(statuses, ["201", "401", "204", "401"], "signed up, nobody, ended, ended: {told}");
    assert_eq!(told.matches("\"x-forwarded-user\"").count(), 2, "with and without a forged one: {told}");
    assert!(!told.contains("boss") && !told.contains("\"authorization\""), "{told}");
}

/// The commands below one, by its help.
fn below(command: &[&str]) -> Vec<String> {
    let output = passgate().args(command).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let Some(listed) = help.split_once("Commands:\n") else { return Vec::new() };
    let names = listed.1.lines().take_while(|line| !line.is_empty());
    let names = names.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_table_has_every_command() {
    let page = page();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let rows: Vec<_> = rows.map(|cell| cell.replace("passgate ", "")).collect();
    let commands = below(&[]);
    assert!(commands.len() > 8, "{commands:?}");
    let word = |cell: &str, name: &str| cell.split(['`', ' ', ',']).any(|word| word == name);
    for command in commands {
        let row = rows.iter().find(|cell| word(cell, &command)).unwrap_or_else(|| panic!("`{command}` is missing"));
        for name in below(&[&command]) {
            assert!(word(row, &name), "`{command} {name}` is missing in {row}");
        }
    }
}
