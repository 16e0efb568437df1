//! YAML as others read it, for files that are not ours to check.

use std::collections::HashMap;

use granit_parser::{Event, Parser};
use serde_json::{Map, Value};

/// The documents of a file. Scalars are text, whatever they look like.
pub fn documents(text: &str) -> Vec<Value> {
    let mut events = Parser::new_from_str(text).map(|event| event.unwrap().0);
    let (mut documents, mut anchors) = (Vec::new(), HashMap::new());
    while let Some(event) = events.next() {
        match event {
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            Event::StreamEnd => break,
            event => documents.push(node(event, &mut events, &mut anchors)),
        }
    }
    documents
}

fn node<'t>(
    event: Event<'t>,
    events: &mut impl Iterator<Item = Event<'t>>,
    anchors: &mut HashMap<usize, Value>,
) -> Value {
    let anchor = event.anchor_id();
    let value = match event {
        Event::Scalar(text, ..) => Value::String(text.into_owned()),
        Event::Alias(id) => return anchors[&id].clone(),
        Event::SequenceStart(..) => {
            let mut list = Vec::new();
            loop {
                match events.next().unwrap() {
                    Event::SequenceEnd => break Value::Array(list),
                    event => list.push(node(event, events, anchors)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut map = Map::new();
            loop {
                match events.next().unwrap() {
                    Event::MappingEnd => break Value::Object(map),
                    Event::Scalar(key, ..) => {
                        let event = events.next().unwrap();
                        let value = node(event, events, anchors);
                        assert!(map.insert(key.to_string(), value).is_none(), "`{key}` is there twice");
                    }
                    event => panic!("{event:?} is no key"),
                }
            }
        }
        event => panic!("{event:?} is no value"),
    };
    if let Some(id) = anchor {
        anchors.insert(id, value.clone());
    }
    value
}
