//! Rules of the source tree that no compiler knows: dependencies point down the list of modules in `lib.rs`,
//! outside crates have one home each, and no file grows beyond what one reads in a sitting.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Modules that may look up the list, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("api", "authn", "our own endpoints ask the same authenticator who is calling"),
    ("upstream", "listener", "the built-in `whoami` is served as everything else is"),
    ("upstream", "route", "a route may shorten or lengthen its upstream's time-outs"),
];

/// Crates that only these modules know; the rest goes through them.
const HOMES: &[(&str, &[&str])] = &[
    ("pingora", &["app", "listener", "proxy", "hygiene", "cors", "identity", "upstream"]),
    ("rustls", &["main", "listener", "upstream", "provider"]),
    ("axum", &["app", "listener", "proxy", "upstream", "api", "telemetry"]),
    ("utoipa", &["api"]),
    ("jsonwebtoken", &["provider"]),
    ("reqwest", &["provider"]),
    ("argon2", &["password"]),
    ("bcrypt", &["password"]),
    ("scrypt", &["password"]),
    ("zxcvbn", &["password"]),
    ("sqlx", &["store", "import"]),
    ("redis", &["store"]),
    ("granit_parser", &["config"]),
    ("prometheus", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("clap", &["cli"]),
    ("rpassword", &["cli"]),
    ("indicatif", &["cli"]),
    ("anstream", &["cli"]),
    ("unicode_width", &["cli"]),
];

/// Lines, tests included.
const LONGEST_FILE: usize = 500;

#[test]
fn dependencies_point_down_the_list_of_modules() {
    let order = modules();
    let place = |module: &str| order.iter().position(|own| own == module);
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources() {
        for target in paths_after(&source.code, "crate") {
            let (Some(from), Some(to)) = (place(&source.module), place(&target)) else { continue };
            let exception = EXCEPTIONS.iter().find(|(from, to, _)| *from == source.module && *to == target);
            match exception {
                Some((from, to, _)) => drop(used.insert((*from, *to))),
                None if to < from => wrong.push(format!("{}: crate::{target}", source.path.display())),
                None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "these look up the list of modules in src/lib.rs:\n{}", wrong.join("\n"));
    let stale: Vec<_> = EXCEPTIONS.iter().filter(|(from, to, _)| !used.contains(&(*from, *to))).collect();
    assert!(stale.is_empty(), "exceptions nobody needs any more: {stale:?}");
}

#[test]
fn the_map_of_the_source_is_the_list_of_modules() {
    let map = fs::read_to_string(root().join("../docs/architecture.md")).unwrap();
    let drawn = map.split("```").nth(1).unwrap();
    let files = drawn.lines().filter(|line| !line.starts_with([' ', '-'])).flat_map(str::split_whitespace);
    let drawn: Vec<_> = files.filter_map(|word| word.strip_suffix(".rs")).filter(|name| *name != "main").collect();
    assert_eq!(drawn, modules(), "docs/architecture.md and src/lib.rs");
}

#[test]
fn outside_crates_have_one_home_each() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, homes) in HOMES {
            if !homes.contains(&&*source.module) && source.code.contains(&format!("{name}::")) {
                let after_word = source
                    .code
                    .match_indices(&format!("{name}::"))
                    .any(|(at, _)| !source.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
                if after_word {
                    wrong.push(format!("{}: {name}", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these crates are at home elsewhere:\n{}", wrong.join("\n"));
}

#[test]
fn no_source_file_is_longer_than_one_reads_in_a_sitting() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|source| source.lines > LONGEST_FILE)
        .map(|source| format!("{}: {} lines", source.path.display(), source.lines))
        .collect();
    assert!(long.is_empty(), "more than {LONGEST_FILE} lines:\n{}", long.join("\n"));
}

#[test]
fn the_scan_sees_every_form_of_a_path() {
    let code = code_of(
        "use crate::{\n    alpha::{One, beta::Two},\n    gamma, // crate::comment\n};\n//! crate::doc\n\
         fn f() { crate::delta::go(); my_crate::other(); }\nuse crate::epsilon;\n#[cfg(test)]\nmod tests {\n    use crate::late;\n}\n",
    );
    let found: Vec<_> = paths_after(&code, "crate").into_iter().collect();
    assert_eq!(found, ["alpha", "delta", "epsilon", "gamma"]);
}

struct Source {
    path: PathBuf,
    /// The top-level module it belongs to.
    module: String,
    /// Without comments and unit tests, which may look anywhere.
    code: String,
    lines: usize,
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

/// The list in `lib.rs`, top first.
fn modules() -> Vec<String> {
    let text = fs::read_to_string(root().join("lib.rs")).unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let names: Vec<_> = names.map(str::to_owned).collect();
    assert!(names.len() > 10, "src/lib.rs lists its modules one a line");
    names
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(root(), &mut found);
    assert!(found.len() > 20, "the scan found the tree");
    found
}

fn collect(directory: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_owned();
            let top = path.components().next().unwrap().as_os_str().to_str().unwrap();
            let module = top.strip_suffix(".rs").unwrap_or(top).to_owned();
            // Unit tests in files of their own may look anywhere, too; only their length counts.
            let code = if is_test(&path) { String::new() } else { code_of(&text) };
            found.push(Source { module, code, lines: text.lines().count(), path });
        }
    }
}

fn is_test(path: &Path) -> bool {
    path.with_extension("")
        .iter()
        .filter_map(|part| part.to_str())
        .any(|part| matches!(part, "tests" | "testing") || part.ends_with("_tests"))
}

/// Without comments, and cut where the unit tests begin.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    code.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The first names of all paths that start at `root`: of `root::a::b` and of each branch of `root::{…}`.
fn paths_after(code: &str, root: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let start = format!("{root}::");
    for (at, _) in code.match_indices(&start) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '$')) {
            continue;
        }
        let rest = &code[at + start.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(first_name(rest));
            continue;
        };
        let mut depth = 0_usize;
        let mut branch = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => branch = true,
                c if branch && depth == 0 && !c.is_whitespace() => {
                    names.insert(first_name(&group[at..]));
                    branch = false;
                }
                _ => {}
            }
        }
    }
    names
}

fn first_name(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
