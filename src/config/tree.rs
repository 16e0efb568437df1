//! The file as written: a tree of lists, maps and scalars, each knowing its place. No scalar has a type yet: what
//! reads it decides, so that every reader can say what it wants, and where.

use std::{collections::HashMap, rc::Rc};

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

/// Deeper than any configuration; the builder recurses this far at most.
const MAX_DEPTH: usize = 32;
/// Bounds what aliases can multiply.
const MAX_NODES: usize = 50_000;

/// Where something was written. Sorts in the order of the file, then by variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Bytes of the file.
    File { start: usize, end: usize },
    /// The environment variable of this name.
    Environment(Rc<str>),
    /// Nowhere: it is a default.
    Default,
}

impl Place {
    /// This place, or `other` when there is nothing written here to point at.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::Default { other } else { self }
    }
}

/// Something wrong, before it is put into words with its line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flaw {
    pub place: Place,
    pub message: String,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub value: Value,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub text: String,
    /// In quotes or a block, so never a number or a truth value.
    pub quoted: bool,
    /// The text before `${NAME}` was replaced, where it was.
    pub template: Option<String>,
    /// What it stands for could not be found; that was said already.
    pub lost: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    pub place: Place,
    pub node: Node,
}

impl Value {
    /// A scalar without quotes.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::Scalar(Scalar { text: text.into(), quoted: false, template: None, lost: false })
    }
}

/// A file that is YAML.
pub(super) struct Document {
    pub root: Node,
    /// Byte ranges of all keys and scalars, in order: what a snippet may have to hide.
    pub scalars: Vec<(usize, usize)>,
    /// Keys that are there twice.
    pub flaws: Vec<Flaw>,
}

/// Reads one YAML document. Only its syntax can fail here, and only once.
pub(super) fn parse(text: &str) -> Result<Document, Flaw> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.disallow_directives = true;
    let mut builder = Builder {
        text,
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
        document: Document {
            root: Node { value: Value::Null, place: Place::File { start: 0, end: 0 } },
            scalars: Vec::new(),
            flaws: Vec::new(),
        },
    };
    builder.read()?;
    Ok(builder.document)
}

struct Builder<'t, E> {
    text: &'t str,
    events: E,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    document: Document,
}

impl<'t, E: Iterator<Item = Result<(Event<'t>, Span), ScanError>>> Builder<'t, E> {
    fn read(&mut self) -> Result<(), Flaw> {
        let mut documents = 0;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(Flaw { place, message: "one YAML document is wanted, here starts another".into() });
                    }
                }
                Event::StreamStart | Event::DocumentEnd => {}
                event => self.document.root = self.node(event, place, 0)?,
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Place), Flaw> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, place(&span))),
            Some(Err(error)) => {
                let at = error.marker().byte_offset().unwrap_or(self.text.len());
                let message = format!("this is not YAML: {}", error.kind());
                Err(Flaw { place: Place::File { start: at, end: at }, message })
            }
            None => Ok((Event::StreamEnd, Place::Default)),
        }
    }

    fn node(&mut self, event: Event<'t>, place: Place, depth: usize) -> Result<Node, Flaw> {
        let flaw = |message: &str| Err(Flaw { place: place.clone(), message: message.into() });
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return flaw("this is nested too deep, or too much of it");
        }
        if event.tag().is_some_and(|tag: &Tag| !tag.is_yaml_core_schema_tag("str")) {
            return flaw("YAML tags mean nothing here: leave it out");
        }
        let anchor = event.anchor_id();
        let value = match event {
            Event::Scalar(text, style, _, tag) => {
                self.note(&place);
                let quoted = style != ScalarStyle::Plain || tag.is_some();
                if !quoted && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
                    Value::Null
                } else {
                    Value::Scalar(Scalar { text: text.into_owned(), quoted, template: None, lost: false })
                }
            }
            Event::SequenceStart(..) => Value::List(self.list(depth)?),
            Event::MappingStart(..) => Value::Map(self.map(depth)?),
            Event::Alias(id) => match self.anchors.get(&id) {
                Some(node) => {
                    self.nodes += size(node);
                    return Ok(node.clone());
                }
                None => return flaw("this alias stands within what it names"),
            },
            _ => return flaw("a value is wanted here"),
        };
        let node = Node { value, place };
        if let Some(id) = anchor {
            self.anchors.insert(id, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Flaw> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(nodes),
                (event, place) => nodes.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Flaw> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (key, place) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(entries),
                (Event::Scalar(key, _, _, None), place) => (key.into_owned(), place),
                (_, place) => return Err(Flaw { place, message: "a key is a single word".into() }),
            };
            self.note(&place);
            let (event, value_place) = self.next()?;
            let node = self.node(event, value_place, depth + 1)?;
            match entries.iter().find(|entry| entry.key == key) {
                Some(Entry { place: Place::File { start, .. }, .. }) => {
                    let (line, _) = position(self.text, *start);
                    let message = format!("`{key}` is here twice; it was set in line {line} before");
                    self.document.flaws.push(Flaw { place, message });
                }
                _ => entries.push(Entry { key, place, node }),
            }
        }
    }

    fn note(&mut self, place: &Place) {
        if let Place::File { start, end } = *place {
            self.document.scalars.push((start, end));
        }
    }
}

fn place(span: &Span) -> Place {
    let (start, end) = span.byte_range().map_or((0, 0), |range| (range.start, range.end));
    Place::File { start, end }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Null | Value::Scalar(_) => 0,
        Value::List(nodes) => nodes.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size(&entry.node)).sum(),
    }
}

/// Line and column of a byte, both from 1, the column in characters.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before.chars().count() - before.get(..line_start).map_or(0, |s| s.chars().count()) + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'n>(node: &'n Node, key: &str) -> &'n Entry {
        let Value::Map(entries) = &node.value else { panic!("no map") };
        entries.iter().find(|entry| entry.key == key).unwrap()
    }

    #[test]
    fn scalars_keep_the_text_they_were_written_as() {
        let text = "a: 007\nb: \"x: #y\"\nc:\nd: |\n  one\n  two\ne: 'q' # said\n";
        let document = parse(text).unwrap();
        let slice = |key: &str| match &entry(&document.root, key).node.place {
            Place::File { start, end } => &text[*start..*end],
            other => panic!("{other:?}"),
        };
        assert_eq!([slice("a"), slice("b"), slice("e")], ["007", "\"x: #y\"", "'q'"]);
        assert!(slice("d").contains("one\n  two"), "a block's span covers its lines: {:?}", slice("d"));
        assert!(matches!(entry(&document.root, "c").node.value, Value::Null));
        assert!(matches!(&entry(&document.root, "a").node.value, Value::Scalar(s) if s.text == "007" && !s.quoted));
    }

    #[test]
    fn aliases_stand_for_what_they_name_and_cannot_multiply_without_bound() {
        let document = parse("a: &x { t: 1s }\nb: *x\n").unwrap();
        assert!(matches!(&entry(&entry(&document.root, "b").node, "t").node.value, Value::Scalar(s) if s.text == "1s"));
        let level = |n: usize| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(", "));
        let bomb = format!("l0: &l0 [x, x]\n{}", (1..10).map(level).collect::<Vec<_>>().concat());
        assert!(parse(&bomb).err().unwrap().message.contains("too much"));
        assert!(parse(&"[".repeat(200)).is_err());
        assert!(parse("a: &x [*x]").is_err());
    }

    #[test]
    fn a_key_twice_is_named_with_both_places() {
        let document = parse("a: 1\nb: {c: 1,\n  c: 2}\n").unwrap();
        let flaw = document.flaws.first().unwrap();
        assert_eq!(flaw.message, "`c` is here twice; it was set in line 2 before");
        assert_eq!(flaw.place, Place::File { start: 17, end: 18 });
    }

    #[test]
    fn places_count_characters_and_lines_of_either_ending() {
        assert_eq!(position("é: ü\r\n  x: y", "é: ".len()), (1, 4));
        assert_eq!(position("é: ü\r\n  x: y", "é: ü\r\n  ".len()), (2, 3));
        assert_eq!(position("a", 7), (1, 2));
    }

    #[test]
    fn what_is_not_one_plain_document_is_refused() {
        for text in ["a: 1\n---\nb: 2\n", "a: !!binary aGk=\n", "a: !include x\n", "[a]: b\n", "a: [1\n", "a: b: c\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(matches!(parse("").unwrap().root.value, Value::Null));
        assert!(matches!(parse("# nothing\n").unwrap().root.value, Value::Null));
    }
}
