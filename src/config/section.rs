//! Reading the tree: each reader asks for its keys by name, type and default. What does not fit is noted and the
//! default taken instead, so that one walk finds every problem. Keys that nobody asked for are unknown; defaults are
//! put into the tree, which so becomes the configuration in effect.

use std::{fmt::Display, fs::File, io::Read, ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    item::{Item, MASK, Walk, place},
    tree::{Entry, Node, Place, Scalar, Value},
    units,
};
use crate::secret::Secret;

/// A secret in a file of its own is no longer than this.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// A map of known keys while it is read.
pub(super) struct Section<'t> {
    pub place: Place,
    path: String,
    entries: &'t mut Vec<Entry>,
    known: Vec<&'static str>,
    pub walk: &'t mut Walk,
}

impl<'t> Section<'t> {
    pub(super) fn new(place: Place, path: String, entries: &'t mut Vec<Entry>, walk: &'t mut Walk) -> Self {
        Self { place, path, entries, known: Vec::new(), walk }
    }

    /// What is written under `key`.
    pub(super) fn get(&mut self, key: &'static str) -> Option<Item<'_>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let path = self.below(key);
        #[cfg(test)]
        self.walk.asked.insert(path.clone());
        let entry = self.entries.iter_mut().find(|entry| entry.key == key)?;
        Some(Item::entry(entry, path, self.walk))
    }

    /// What is written under `key`, which has no default.
    pub(super) fn required(&mut self, key: &'static str) -> Option<Item<'_>> {
        if !self.entries.iter().any(|entry| entry.key == key) {
            let within = if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) };
            self.walk.flaw(self.place.clone(), format!("`{key}` is missing{within}"));
        }
        self.get(key)
    }

    /// As [`Section::get`], or `default`, which then is put there.
    pub(super) fn with<T>(&mut self, key: &'static str, default: Value, read: impl FnOnce(Item<'_>) -> T) -> T {
        if let Some(item) = self.get(key) {
            return read(item);
        }
        let mut node = Node { value: default, place: Place::Default };
        let value = read(Item { place: Place::Default, path: self.below(key), node: &mut node, walk: self.walk });
        self.entries.push(Entry { key: key.to_owned(), place: Place::Default, node });
        value
    }

    fn below(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where the value of `key` is written, or its section.
    pub(super) fn place(&self, key: &str) -> Place {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        entry.map_or(Place::Default, place).or(self.place.clone())
    }

    pub(super) fn flaw(&mut self, key: &str, message: impl Into<String>) {
        self.walk.flaw(self.place(key), message);
    }

    /// Without a snippet, so that it has to name what it is about.
    pub(super) fn warn(&mut self, key: &str, message: impl Display) {
        self.walk.warn(self.place(key), format!("{}: {message}", self.below(key)));
    }

    /// A section below this one; one that is absent holds defaults.
    pub(super) fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        self.with(key, Value::Map(Vec::new()), |item| item.section(read))
    }

    /// A value with a default.
    fn value_or<T>(
        &mut self,
        key: &'static str,
        default: T,
        write: impl FnOnce(&T) -> String,
        parse: impl FnOnce(&Scalar) -> Result<T, String>,
    ) -> T {
        let written = Value::plain(write(&default));
        self.with(key, written, |item| item.scalar(parse)).unwrap_or(default)
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let parse =
            |s: &Scalar| units::duration(&s.text).and_then(|d| within(d, &range, |d| units::write_duration(*d)));
        self.value_or(key, default, |d| units::write_duration(*d), parse)
    }

    pub(super) fn size(&mut self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let parse = |s: &Scalar| units::size(&s.text).and_then(|n| within(n, &range, |n| units::write_size(*n)));
        self.value_or(key, default, |n| units::write_size(*n), parse)
    }

    pub(super) fn number(&mut self, key: &'static str, default: u32, range: RangeInclusive<u32>) -> u32 {
        self.value_or(key, default, u32::to_string, |scalar| number(scalar, &range))
    }

    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.value_or(key, default, bool::to_string, |scalar| match scalar.text.as_str() {
            "true" if !scalar.quoted => Ok(true),
            "false" if !scalar.quoted => Ok(false),
            _ => Err("`true` or `false` is wanted here".into()),
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy + PartialEq>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
        default: T,
    ) -> T {
        let write = |value: &T| words.iter().find(|(_, each)| each == value).map_or("", |(word, _)| word).to_owned();
        self.value_or(key, default, write, |scalar| choose(&scalar.text, words))
    }

    /// A list of single values.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        default: &[&str],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let default = default.iter().map(|text| Node { value: Value::plain(*text), place: Place::Default }).collect();
        self.with(key, Value::List(default), |item| item.list(|item| item.text(&parse)))
    }

    /// A secret given as it is, or in a file of its own.
    pub(super) fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        self.masked(key, file_key, |_| MASK.to_owned())
    }

    /// As [`Section::secret`], printed as `mask` makes it.
    pub(super) fn masked(
        &mut self,
        key: &'static str,
        file_key: &'static str,
        mask: impl FnOnce(&str) -> String,
    ) -> Option<Secret> {
        let given = self.get(key).map(|item| item.masked(mask, |text| Ok(Secret::from(text))));
        let place = self.place(file_key);
        let Some(file) = self.get(file_key) else { return given.flatten() };
        if given.is_some() {
            file.walk.flaw(place, format!("`{key}` is given as well: one of the two is wanted"));
            return None;
        }
        file.text(|text| read_secret(&path(text)?))
    }

    /// Names what nobody asked for, and puts the rest in the order in which it was asked for.
    pub(super) fn finish(self) {
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            self.walk.show(&entry.place);
            let hint = match nearest(&entry.key, self.known.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let within = if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) };
            self.walk.flaw(entry.place.clone(), format!("unknown key `{}`{within}; {hint}", entry.key));
        }
        self.entries.sort_by_key(|entry| self.known.iter().position(|known| *known == entry.key));
    }
}

/// A whole number within a range.
pub(super) fn number(scalar: &Scalar, range: &RangeInclusive<u32>) -> Result<u32, String> {
    let digits = !scalar.quoted && !scalar.text.is_empty() && scalar.text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| scalar.text.parse().ok()).flatten();
    number.ok_or_else(|| "a whole number is wanted here".to_owned()).and_then(|n| within(n, range, u32::to_string))
}

/// One of a few words, or which ones there are.
pub(super) fn choose<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, String> {
    let names = || words.iter().map(|(word, _)| *word);
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let all: Vec<_> = names().map(|name| format!("`{name}`")).collect();
        let hint = nearest(text, names()).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        format!("one of {} is wanted here{hint}", all.join(", "))
    })
}

/// The known name that a mistyped one most likely is.
pub(super) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let scored = known.map(|known| (strsim::damerau_levenshtein(&name, &known.replace('-', "_")), known));
    let (distance, best) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + best.len() / 4).then_some(best)
}

fn within<T: PartialOrd>(value: T, range: &RangeInclusive<T>, write: impl Fn(&T) -> String) -> Result<T, String> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(format!("between {} and {} is wanted here", write(range.start()), write(range.end())))
    }
}

/// A path that is not empty.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') { Err("a path is wanted here".into()) } else { Ok(text.into()) }
}

/// A secret in a file of its own.
pub(super) fn read_secret(path: &PathBuf) -> Result<Secret, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_SECRET_FILE + 1).read_to_string(&mut text));
    let secret = Secret::new(text.trim_end_matches(['\r', '\n']).to_owned());
    zeroize::Zeroize::zeroize(&mut text);
    match read {
        Err(error) => Err(format!("this file cannot be read: {error}")),
        Ok(length) if length as u64 > MAX_SECRET_FILE => Err("this file is too long for a secret".into()),
        Ok(_) if secret.expose().is_empty() => Err("this file is empty".into()),
        Ok(_) => Ok(secret),
    }
}
