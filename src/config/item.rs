//! One value of the tree while it is read, and what a walk over all of them finds.

use std::collections::HashSet;

use super::{
    environment,
    section::Section,
    tree::{Entry, Flaw, Node, Place, Scalar, Value},
};
use crate::secret::Secret;

/// What is printed instead of a secret.
pub(super) const MASK: &str = "***";

/// What a walk finds on its way.
#[derive(Default)]
pub(super) struct Walk {
    pub flaws: Vec<Flaw>,
    pub warnings: Vec<Flaw>,
    /// Where the keys and scalars start that were read as no secrets.
    pub shown: HashSet<usize>,
    /// Every key ever asked for, by its names from the root.
    #[cfg(test)]
    pub asked: std::collections::BTreeSet<String>,
}

impl Walk {
    pub(super) fn flaw(&mut self, place: Place, message: impl Into<String>) {
        self.flaws.push(Flaw { place, message: message.into() });
    }

    pub(super) fn warn(&mut self, place: Place, message: impl Into<String>) {
        self.warnings.push(Flaw { place, message: message.into() });
    }

    pub(super) fn show(&mut self, place: &Place) {
        if let Place::File { start, .. } = place {
            self.shown.insert(*start);
        }
    }
}

/// One value of the tree, to be read once.
pub(super) struct Item<'t> {
    pub place: Place,
    /// Names from the root, for messages.
    pub path: String,
    pub node: &'t mut Node,
    pub walk: &'t mut Walk,
}

impl<'t> Item<'t> {
    /// The whole tree.
    pub(super) fn root(node: &'t mut Node, walk: &'t mut Walk) -> Self {
        Self { place: node.place.clone(), path: String::new(), node, walk }
    }

    pub(super) fn entry(entry: &'t mut Entry, path: String, walk: &'t mut Walk) -> Self {
        walk.show(&entry.place);
        Self { place: place(entry), path, node: &mut entry.node, walk }
    }

    pub(super) fn is_scalar(&self) -> bool {
        matches!(self.node.value, Value::Scalar(_))
    }

    pub(super) fn is_empty_list(&self) -> bool {
        matches!(&self.node.value, Value::List(nodes) if nodes.is_empty())
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// Whether it is this very word.
    pub(super) fn is(&mut self, word: &str) -> bool {
        let is = matches!(&self.node.value, Value::Scalar(scalar) if scalar.text == word);
        if is {
            self.walk.show(&self.node.place);
        }
        is
    }

    /// Says what is wrong with it instead of reading it.
    pub(super) fn flaw(self, message: impl Into<String>) {
        self.walk.flaw(self.place, message);
    }

    /// A single value that is no secret.
    pub(super) fn scalar<T>(self, parse: impl FnOnce(&Scalar) -> Result<T, String>) -> Option<T> {
        let Self { place, node, walk, .. } = self;
        let result = match &node.value {
            Value::Scalar(scalar) if scalar.lost => {
                walk.show(&node.place);
                return None;
            }
            Value::Scalar(scalar) => {
                // A password may be part of a URL.
                if !scalar.text.contains('@') {
                    walk.show(&node.place);
                }
                parse(scalar)
            }
            Value::Null => Err("a value is wanted here".into()),
            Value::List(_) => Err("a single value is wanted here, this is a list".into()),
            Value::Map(_) => Err("a single value is wanted here, this is a map".into()),
        };
        result.map_err(|message| walk.flaw(place, message)).ok()
    }

    /// As [`Item::scalar`], by its text alone.
    pub(super) fn text<T>(self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.scalar(|scalar| parse(&scalar.text))
    }

    /// A single value that is a secret: never shown, and taken out of the tree. Where it is a variable of the
    /// environment and nothing else, the name of that stays.
    pub(super) fn secret<T>(self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.masked(|_| MASK.to_owned(), parse)
    }

    /// As [`Item::secret`], where not every text is taken: what `mask` makes of the secret must be.
    pub(super) fn masked<T>(
        self,
        mask: impl FnOnce(&str) -> String,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Self { place, node, walk, .. } = self;
        let result = match &mut node.value {
            Value::Scalar(scalar) if scalar.lost => return None,
            Value::Scalar(scalar) if !scalar.text.is_empty() => {
                let secret = Secret::new(std::mem::take(&mut scalar.text));
                scalar.text = mask(secret.expose());
                scalar.quoted = true;
                scalar.template = scalar.template.take().filter(|template| environment::is_variable(template));
                parse(secret.expose())
            }
            _ => Err("a secret is wanted here: text that is not empty".into()),
        };
        result.map_err(|message| walk.flaw(place, message)).ok()
    }

    /// Makes a map of it in which it is the only entry of a list, under this key.
    pub(super) fn lengthen(&mut self, key: &str) {
        let place = self.node.place.clone();
        let value = std::mem::replace(&mut self.node.value, Value::Null);
        let list = Value::List(vec![Node { value, place: place.clone() }]);
        let node = Node { value: list, place };
        self.node.value = Value::Map(vec![Entry { key: key.to_owned(), place: Place::Default, node }]);
    }

    /// The entries of a list.
    pub(super) fn list<T>(self, mut read: impl FnMut(Item<'_>) -> Option<T>) -> Vec<T> {
        let Self { place, path, node, walk } = self;
        if matches!(node.value, Value::Null) {
            node.value = Value::List(Vec::new());
        }
        let Value::List(nodes) = &mut node.value else {
            walk.flaw(place, "a list is wanted here, such as `[a, b]`");
            return Vec::new();
        };
        let mut all = Vec::new();
        for (index, node) in nodes.iter_mut().enumerate() {
            all.extend(read(Item { place: node.place.clone(), path: format!("{path}[{index}]"), node, walk }));
        }
        all
    }

    /// The entries of a map whose keys are names of the operator's choice.
    pub(super) fn named<T>(self, mut read: impl FnMut(&str, Item<'_>) -> Option<T>) -> Vec<T> {
        let Self { place, path, node, walk } = self;
        if matches!(node.value, Value::Null) {
            node.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut node.value else {
            walk.flaw(place, "a map is wanted here: names, each with what it stands for");
            return Vec::new();
        };
        let mut all = Vec::new();
        for entry in entries {
            let name = entry.key.clone();
            all.extend(read(&name, Item::entry(entry, format!("{path}.{name}"), walk)));
        }
        all
    }

    /// A map of known keys.
    pub(super) fn section<T>(self, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let Self { place, path, node, walk } = self;
        if !matches!(node.value, Value::Map(_)) {
            if !matches!(node.value, Value::Null) {
                walk.flaw(place.clone(), "a map is wanted here: keys, each with a value");
            }
            node.value = Value::Map(Vec::new());
        }
        let mut none = Vec::new();
        let entries = if let Value::Map(entries) = &mut node.value { entries } else { &mut none };
        let mut section = Section::new(place, path, entries, walk);
        let value = read(&mut section);
        section.finish();
        value
    }
}

/// Where to point for an entry: at a single value itself, else at its key.
pub(super) fn place(entry: &Entry) -> Place {
    match (&entry.node.value, &entry.node.place) {
        (Value::Scalar(_), place) | (_, place @ Place::Environment(_)) => place.clone(),
        _ => entry.place.clone(),
    }
}
