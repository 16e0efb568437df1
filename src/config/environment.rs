//! What the environment adds to the file: `${NAME}` within values, and `PASSGATE__SERVER__LISTEN` for whole keys.

use std::{collections::BTreeMap, rc::Rc};

use super::tree::{self, Entry, Flaw, Node, Place, Value};

const PREFIX: &str = "PASSGATE__";

/// Replaces values by those of `PASSGATE__A__B` variables. Segments name keys in any case, and `_` there may stand for
/// `-`; in a list they are indices. A value in quotes, brackets or braces is YAML, any other is taken as it is.
pub(super) fn override_with(root: &mut Node, environment: &BTreeMap<String, String>, flaws: &mut Vec<Flaw>) {
    let mut overrides: Vec<(Vec<String>, &str, &str)> = environment
        .iter()
        .filter(|(name, _)| name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)))
        .map(|(name, value)| {
            let path = name.get(PREFIX.len()..).unwrap_or_default();
            (path.split("__").map(str::to_ascii_lowercase).collect(), name.as_str(), value.as_str())
        })
        .collect();
    // The whole before its parts.
    overrides.sort_by(|(a, ..), (b, ..)| (a.len(), a).cmp(&(b.len(), b)));
    let mut previous: Option<&Vec<String>> = None;
    for (path, name, value) in &overrides {
        let place = Place::Environment(Rc::from(*name));
        let set = if path.iter().any(String::is_empty) {
            Err("this names no key: it is PASSGATE__SECTION__KEY".to_owned())
        } else if previous == Some(path) {
            Err("the same key is set by a variable of the same name in other case".to_owned())
        } else {
            value_of(value, &place).and_then(|node| set(root, path, node, &place))
        };
        if let Err(message) = set {
            flaws.push(Flaw { place, message });
        }
        previous = Some(path);
    }
}

fn value_of(text: &str, place: &Place) -> Result<Node, String> {
    if !text.starts_with(['[', '{', '"', '\'']) {
        return Ok(Node { value: Value::plain(text), place: place.clone() });
    }
    let document = tree::parse(text).map_err(|_| "this value is no YAML, though it starts as if it were: quote it")?;
    if !document.flaws.is_empty() {
        return Err("a key is twice in this value".into());
    }
    let mut root = document.root;
    relabel(&mut root, place);
    Ok(root)
}

fn relabel(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(nodes) => nodes.iter_mut().for_each(|node| relabel(node, place)),
        Value::Map(entries) => {
            for entry in entries {
                entry.place = place.clone();
                relabel(&mut entry.node, place);
            }
        }
    }
}

fn set(node: &mut Node, path: &[String], value: Node, place: &Place) -> Result<(), String> {
    let Some((segment, rest)) = path.split_first() else {
        *node = value;
        return Ok(());
    };
    if matches!(node.value, Value::Null) {
        node.value = Value::Map(Vec::new());
    }
    match &mut node.value {
        Value::Map(entries) => set(&mut entry(entries, segment, place)?.node, rest, value, place),
        Value::List(nodes) => {
            let count = nodes.len();
            let node = segment.parse().ok().and_then(|index: usize| nodes.get_mut(index));
            set(node.ok_or_else(|| format!("`{segment}` is no index: the list has {count}"))?, rest, value, place)
        }
        Value::Null | Value::Scalar(_) => Err(format!("there is no `{segment}` below a single value: set it whole")),
    }
}

/// The entry that a segment names: the very key, or the only one it can stand for, or a new one.
fn entry<'e>(entries: &'e mut Vec<Entry>, segment: &str, place: &Place) -> Result<&'e mut Entry, String> {
    let exact = entries.iter().position(|entry| entry.key == segment);
    let alike = |entry: &Entry| entry.key.to_ascii_lowercase().replace('-', "_") == segment.replace('-', "_");
    let index = match exact {
        Some(index) => index,
        None if entries.iter().filter(|entry| alike(entry)).count() > 1 => {
            return Err(format!("`{segment}` can stand for more than one key here"));
        }
        None => entries.iter().position(alike).unwrap_or_else(|| {
            let node = Node { value: Value::Null, place: place.clone() };
            entries.push(Entry { key: segment.to_owned(), place: place.clone(), node });
            entries.len() - 1
        }),
    };
    entries.get_mut(index).ok_or_else(|| "this names no key".into())
}

/// Replaces `${NAME}` in every value of the file. `$${` is a literal `${`.
pub(super) fn interpolate(node: &mut Node, environment: &BTreeMap<String, String>, flaws: &mut Vec<Flaw>) {
    match &mut node.value {
        Value::List(nodes) => nodes.iter_mut().for_each(|node| interpolate(node, environment, flaws)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| interpolate(&mut entry.node, environment, flaws)),
        Value::Scalar(scalar) if matches!(node.place, Place::File { .. }) && scalar.text.contains("${") => {
            match replace(&scalar.text, environment) {
                Ok(text) => {
                    scalar.template = Some(std::mem::replace(&mut scalar.text, text));
                    // Within braces it could not be written without quotes.
                    scalar.quoted = false;
                }
                Err(message) => {
                    scalar.lost = true;
                    flaws.push(Flaw { place: node.place.clone(), message });
                }
            }
        }
        Value::Null | Value::Scalar(_) => {}
    }
}

fn replace(template: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            text.push_str(literal);
            text.push_str("${");
            rest = after;
            continue;
        }
        text.push_str(before);
        let name = after.split_once('}').filter(|(name, _)| is_name(name));
        let Some((name, tail)) = name else {
            return Err(
                "`${` begins the name of an environment variable and `}` ends it; `$${` is a literal `${`".into()
            );
        };
        let value = environment.get(name).ok_or_else(|| format!("there is no environment variable {name}"))?;
        text.push_str(value);
        rest = tail;
    }
    text.push_str(rest);
    Ok(text)
}

/// Whether a value is `${NAME}` and nothing else.
pub(super) fn is_variable(template: &str) -> bool {
    template.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(is_name)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
