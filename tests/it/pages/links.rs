//! What the pages refer to is there: files, headings, and paths of this repository that stand in the text.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use super::root;

/// Where a path in `code` begins when it is one of this repository.
const DIRECTORIES: [&str; 6] = ["src/", "tests/", "docs/", "config/", "examples/", "benches/"];

#[test]
fn every_link_and_every_path_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 15, "the pages were found: {:?}", pages.keys());
    let mut wrong = Vec::new();
    let mut followed = 0;
    for (page, text) in &pages {
        let directory = page.parent().unwrap();
        for target in links(text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { page.clone() } else { plain(&directory.join(file)) };
            if let Err(what) = leads_somewhere(&pages, &file, anchor) {
                wrong.push(format!("{}: ({target}): {what}", page.display()));
            }
        }
        for path in paths(text) {
            if !is_there(Path::new(&path)) {
                wrong.push(format!("{}: `{path}` is not there", page.display()));
            }
        }
    }
    assert!(followed > 50, "links were found: {followed}");
    assert!(wrong.is_empty(), "these lead nowhere:\n{}", wrong.join("\n"));
}

fn leads_somewhere(pages: &BTreeMap<PathBuf, String>, file: &Path, anchor: &str) -> Result<(), &'static str> {
    if !is_there(file) {
        return Err("no such file");
    }
    let Some(text) = pages.get(file).filter(|_| !anchor.is_empty()) else { return Ok(()) };
    if anchors(text).contains(anchor) { Ok(()) } else { Err("no such heading") }
}

fn is_there(file: &Path) -> bool {
    root().join(file).exists()
}

/// By their paths from the root of the repository, without what stands in blocks of code.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for directory in ["", "docs", "examples"] {
        collect(Path::new(directory), &mut found);
    }
    found
}

fn collect(directory: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(root().join(directory)).unwrap() {
        let entry = entry.unwrap();
        let path = directory.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            // Of the root, what is named above; of an example that was tried out, not what it installed.
            if directory != Path::new("") && entry.file_name() != "node_modules" {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(root().join(&path)).unwrap();
            found.insert(path, without_blocks(&text));
        }
    }
}

fn without_blocks(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        if !inside && !fence {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    assert!(!inside, "a block of code has no end");
    kept
}

/// `a/../b` as `b`.
fn plain(path: &Path) -> PathBuf {
    let mut kept = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(kept.pop(), "{} leaves the repository", path.display()),
            Component::CurDir => {}
            part => kept.push(part),
        }
    }
    kept
}

/// The targets of `[…](target)`, outside of `code`.
fn links(text: &str) -> Vec<String> {
    let prose: String = text.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.split_whitespace().next().unwrap_or_default().to_owned()).collect()
}

/// The `code` that is a path of this repository, without the line that may follow.
fn paths(text: &str) -> Vec<String> {
    let code = text.split('`').skip(1).step_by(2);
    let whole = |path: &&str| path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    // Upper case stands for a name to be put in.
    let given = |path: &&str| !path.split(['/', '.']).any(|part| part == "NAME");
    let ours = |path: &&str| DIRECTORIES.iter().any(|directory| path.starts_with(directory));
    code.filter(ours).filter(whole).filter(given).map(str::to_owned).collect()
}

/// What can be jumped to: headings, as GitHub names them, and anchors by hand.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for heading in text.lines().filter(|line| line.starts_with('#')) {
        let words = heading.trim_start_matches('#').trim();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let name: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase();
        let again = (1..).map(|nth| format!("{name}-{nth}"));
        let name = std::iter::once(name.clone()).chain(again).find(|name| !found.contains(name)).unwrap();
        found.insert(name);
    }
    let by_hand = text.split("<a id=\"").skip(1).filter_map(|rest| rest.split_once('"'));
    found.extend(by_hand.map(|(name, _)| name.to_owned()));
    found
}

#[test]
fn the_scan_sees_links_paths_and_anchors() {
    let text = without_blocks(
        "# One `two`: three's\n## Same\n## Same\n[a](b.md) and [`c`](d/e.md#same-1), `[no](link)`\n\
         ```sh\n[no](block)\n# no heading\n```\n<a id=\"by.hand\"></a>`src/lib.rs` `src/*.rs` `src/NAME.rs` `other/x`\n",
    );
    assert_eq!(links(&text), ["b.md", "d/e.md#same-1"]);
    assert_eq!(paths(&text), ["src/lib.rs"]);
    assert_eq!(anchors(&text), ["by.hand", "one-two-threes", "same", "same-1"].map(str::to_owned).into());
    assert_eq!(plain(Path::new("docs/../examples/./a.md")), Path::new("examples/a.md"));
}
