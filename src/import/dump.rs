//! What `manage.py dumpdata` writes: one JSON array of rows, or (`--format jsonl`) a row a line. Read as a stream: no
//! more than one row of it is in memory.

use std::{
    cell::Cell,
    fmt,
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{
    Error,
    record::{self, Record},
};

/// Most bytes of one row, so that a file that is none of Django's does not fill the memory.
const MAX_ROW: u64 = 16 << 20;

/// Read at once.
const BUFFER: usize = 64 << 10;

/// Reads every row of a dump and hands it to `take`, which may end the reading by an error. `wants` tells which fields
/// are kept; `take` is also told how many bytes were read so far.
pub(super) fn read(
    input: impl Read,
    wants: impl Fn(&str) -> bool,
    mut take: impl FnMut(Record, u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let meter = Meter::default();
    let mut input = BufReader::with_capacity(BUFFER, Metered { input, meter: meter.clone() });
    let first = first_byte(&mut input).map_err(|error| unreadable(&error))?;
    let mut failed = None;
    let mut reader = Rows { wants: &wants, meter: &meter, failed: &mut failed, take: &mut take };
    let parsed = match first {
        None => return Err(Error::Input("there is nothing in the dump".to_owned())),
        Some(b'[') => {
            let mut json = serde_json::Deserializer::from_reader(input);
            json.deserialize_seq(&mut reader).and_then(|()| json.end())
        }
        Some(_) => lines(input, &mut reader),
    };
    match (failed, parsed) {
        (Some(error), _) => Err(error),
        (None, Err(error)) if error.is_io() => Err(unreadable(&error.into())),
        // Its text may quote a value.
        (None, Err(error)) => Err(Error::Input(format!(
            "line {}, column {}: this is not what `manage.py dumpdata` writes ({})",
            error.line(),
            error.column(),
            if error.is_eof() { "it ends too early" } else { "JSON objects with model, pk and fields" }
        ))),
        (None, Ok(())) => Ok(()),
    }
}

fn unreadable(error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::InvalidData {
        return Error::Input(error.to_string());
    }
    Error::Unavailable(format!("the dump cannot be read: {error}"))
}

/// The first byte that is no space, left unread.
fn first_byte(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        if let Some(at) = buffer.iter().position(|byte| !byte.is_ascii_whitespace()) {
            let first = buffer.get(at).copied();
            input.consume(at);
            return Ok(first);
        }
        let length = buffer.len();
        input.consume(length);
    }
}

fn lines<W: Fn(&str) -> bool, T: FnMut(Record, u64) -> Result<(), Error>>(
    input: impl Read,
    rows: &mut Rows<'_, W, T>,
) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_reader(input);
    // `end` says whether there is more: it fails on the first byte of another row.
    loop {
        let row = Row { wants: rows.wants }.deserialize(&mut json)?;
        rows.hand_on(row)?;
        match json.end() {
            Ok(()) => return Ok(()),
            Err(error) if error.is_io() => return Err(error),
            Err(_) => {}
        }
    }
}

/// Counts bytes, and those since the last row.
#[derive(Clone, Default)]
struct Meter {
    all: Rc<Cell<u64>>,
    row: Rc<Cell<u64>>,
}

struct Metered<R> {
    input: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.meter.row.get() > MAX_ROW {
            let text = format!("a row has more than {MAX_ROW} bytes: this is no dump of users");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let count = self.input.read(buffer)?;
        for counter in [&self.meter.all, &self.meter.row] {
            counter.set(counter.get().saturating_add(count as u64));
        }
        Ok(count)
    }
}

/// The array of rows.
struct Rows<'a, W, T> {
    wants: &'a W,
    meter: &'a Meter,
    failed: &'a mut Option<Error>,
    take: &'a mut T,
}

impl<W: Fn(&str) -> bool, T: FnMut(Record, u64) -> Result<(), Error>> Rows<'_, W, T> {
    fn hand_on<E: serde::de::Error>(&mut self, row: Result<Record, Error>) -> Result<(), E> {
        self.meter.row.set(0);
        row.and_then(|record| (self.take)(record, self.meter.all.get())).map_err(|error| {
            *self.failed = Some(error);
            E::custom("ended")
        })
    }
}

impl<'de, W: Fn(&str) -> bool, T: FnMut(Record, u64) -> Result<(), Error>> Visitor<'de> for &mut Rows<'_, W, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element_seed(Row { wants: self.wants })? {
            self.hand_on(row)?;
        }
        Ok(())
    }
}

/// One row. What is wrong with it alone is an answer, in words.
struct Row<'a, W> {
    wants: &'a W,
}

impl<'de, W: Fn(&str) -> bool> DeserializeSeed<'de> for Row<'_, W> {
    type Value = Result<Record, Error>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, W: Fn(&str) -> bool> Visitor<'de> for Row<'_, W> {
    type Value = Result<Record, Error>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with model, pk and fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut row: A) -> Result<Self::Value, A::Error> {
        let (mut model, mut pk, mut fields) = (None, None, None);
        while let Some(name) = row.next_key::<String>()? {
            match name.as_str() {
                "model" => model = Some(row.next_value::<String>()?),
                "pk" => pk = record::key(&row.next_value::<Value>()?),
                "fields" => fields = Some(row.next_value_seed(Fields { wants: self.wants })?),
                _ => drop(row.next_value::<IgnoredAny>()?),
            }
        }
        let (Some(model), Some(fields)) = (model, fields) else {
            return Err(A::Error::custom("a row without model or fields"));
        };
        let model = model.to_ascii_lowercase();
        Ok(match pk {
            Some(pk) => Ok(Record { model, pk, fields }),
            None => Err(Error::Input(format!("a row of {model} has no pk: make the dump without --natural-primary"))),
        })
    }
}

/// The fields of a row, of which only the wanted are kept.
struct Fields<'a, W> {
    wants: &'a W,
}

impl<'de, W: Fn(&str) -> bool> DeserializeSeed<'de> for Fields<'_, W> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, W: Fn(&str) -> bool> Visitor<'de> for Fields<'_, W> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut kept = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if (self.wants)(&name) {
                kept.insert(name, fields.next_value()?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests;
