//! A configuration written out again, as it was understood.

use std::fmt::Write as _;

use super::tree::{Node, Scalar, Value};

/// The tree as YAML. Secrets were taken out of it when they were read.
pub(super) fn print(root: &Node) -> String {
    let mut out = String::new();
    match &root.value {
        Value::Map(_) => block(&mut out, root, 0),
        _ => inline(&mut out, root),
    }
    out
}

fn block(out: &mut String, node: &Node, indent: usize) {
    let pad = "  ".repeat(indent);
    match &node.value {
        Value::Map(entries) => {
            for (number, entry) in entries.iter().enumerate() {
                // The first key of a list entry stands behind its dash.
                if !(number == 0 && out.ends_with("- ")) {
                    out.push_str(&pad);
                }
                out.push_str(&quote(&entry.key, false));
                out.push(':');
                below(out, &entry.node, indent);
            }
        }
        Value::List(nodes) => {
            for node in nodes {
                out.push_str(&pad);
                out.push_str("- ");
                if is_block(node) {
                    block(out, node, indent + 1);
                } else {
                    inline(out, node);
                    out.push('\n');
                }
            }
        }
        Value::Null | Value::Scalar(_) => inline(out, node),
    }
}

fn below(out: &mut String, node: &Node, indent: usize) {
    if is_block(node) {
        out.push('\n');
        block(out, node, indent + 1);
    } else {
        out.push(' ');
        inline(out, node);
        out.push('\n');
    }
}

/// Maps with something in them, and lists with such maps.
fn is_block(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => !entries.is_empty(),
        Value::List(nodes) => nodes.iter().any(|node| !matches!(node.value, Value::Scalar(_) | Value::Null)),
        Value::Null | Value::Scalar(_) => false,
    }
}

fn inline(out: &mut String, node: &Node) {
    match &node.value {
        Value::Null => out.push('~'),
        Value::Scalar(scalar) => out.push_str(&write(scalar)),
        Value::Map(_) => out.push_str("{}"),
        Value::List(nodes) => {
            out.push('[');
            for (number, node) in nodes.iter().enumerate() {
                out.push_str(if number == 0 { "" } else { ", " });
                inline(out, node);
            }
            out.push(']');
        }
    }
}

/// `${NAME}` stays as it was written: what it stands for may be nobody's business.
fn write(scalar: &Scalar) -> String {
    match &scalar.template {
        Some(template) => quote(template, scalar.quoted),
        None => quote(&scalar.text.replace("${", "$${"), scalar.quoted),
    }
}

fn quote(text: &str, always: bool) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+@%:".contains(c);
    let bare = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && text.chars().all(plain)
        && !text.ends_with(':')
        && !matches!(text, "null" | "Null" | "NULL");
    if bare && !always {
        return text.to_owned();
    }
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::tree::{Place, parse};

    proptest! {
        #[test]
        fn every_text_reads_back_as_it_was(text in any::<String>(), quoted: bool) {
            let written = format!("key: {}\n", quote(&text, quoted));
            let document = parse(&written).map_err(|flaw| TestCaseError::fail(format!("{flaw:?} {written}")))?;
            let Value::Map(entries) = document.root.value else { panic!("no map") };
            let Value::Scalar(scalar) = &entries[0].node.value else { panic!("{written}") };
            prop_assert_eq!(&scalar.text, &text);
        }
    }

    #[test]
    fn lists_and_maps_nest() {
        let text = "a:\n  b: [1, x y]\n  c: {}\n  d:\n    - e: 1\n      f:\n        g: 2\n    - [h]\nz: []\n";
        let printed = print(&parse(text).unwrap().root);
        assert_eq!(printed, text.replace("x y", "\"x y\""));
        let empty = Node { value: Value::Map(Vec::new()), place: Place::Default };
        assert_eq!(print(&empty), "");
    }
}
