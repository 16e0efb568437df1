//! config/schema.json, held against what is read: key by key, and with every file of these tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::LazyLock,
};

use jsonschema::Validator;
use serde_json::Value as Json;

use super::{MINIMAL, REFERENCE, VARIABLES, env, every_key_asked, printed};
use crate::{
    config::{
        SCHEMA,
        tree::{self, Node, Place, Value},
    },
    provider,
};

static WHOLE: LazyLock<Json> = LazyLock::new(|| serde_json::from_str(SCHEMA).unwrap());
static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft202012::new(&WHOLE).unwrap());

/// What is said of a value of the wrong shape, which is what a schema can see.
const OF_SHAPE: [&str; 14] = [
    "unknown key",
    "a bare number has no unit",
    "a duration is",
    "a size is",
    "a rate is",
    "a whole number is",
    "`true` or `false` is",
    "one of `",
    "a value is wanted",
    "a single value is wanted",
    "a list is wanted",
    "a map is wanted",
    "at least one",
    "is missing",
];

/// Keys that are read in order to be refused.
const REFUSED: [&str; 3] = ["store.postgres", "store.postgres.url", "store.postgres.url_file"];

/// A secret that cannot be done without may come from the environment, so that the file need not have it.
const MAY_COME_FROM_ELSEWHERE: [&str; 2] = ["`client_secret` is missing", "`url` is missing"];

/// What is wrong with the file by the schema.
fn mistakes(text: &str) -> Vec<String> {
    let document = tree::parse(text).unwrap_or_else(|flaw| panic!("{flaw:?}"));
    let file = json(&document.root);
    VALIDATOR.iter_errors(&file).map(|error| format!("{}: {error}", error.instance_path().as_str())).collect()
}

/// What is read without complaint is fine by the schema, too.
pub(super) fn takes(text: &str) {
    assert_eq!(mistakes(text), Vec::<String>::new(), "config/schema.json refuses what is read:\n{text}");
}

/// What is refused for its shape, as the message says, is refused by the schema, too.
pub(super) fn refuses_if_of_shape(text: &str, message: &str) {
    let twice = tree::parse(text).is_ok_and(|document| !document.flaws.is_empty());
    let of_shape = OF_SHAPE.iter().any(|part| message.contains(part)) && !twice;
    let elsewhere = MAY_COME_FROM_ELSEWHERE.iter().any(|part| message.contains(part));
    if of_shape && !elsewhere && !text.contains("${") {
        assert!(!mistakes(text).is_empty(), "config/schema.json takes what is refused with {message:?}:\n{text}");
    }
}

/// As an editor reads YAML (YAML 1.2, core schema).
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) if scalar.quoted => Json::from(&*scalar.text),
        Value::Scalar(scalar) => match &*scalar.text {
            "true" | "false" => Json::from(scalar.text == "true"),
            text => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(number), _) => Json::from(number),
                (_, Ok(number)) if text.starts_with(|c: char| c.is_ascii_digit()) => Json::from(number),
                _ => Json::from(text),
            },
        },
        Value::List(nodes) => nodes.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json(&entry.node))).collect(),
    }
}

/// The schema itself and those that it is made of: what it refers to, and its alternatives.
fn parts(schema: &'static Json) -> Vec<&'static Json> {
    let referred = schema["$ref"].as_str().map(|to| WHOLE.pointer(to.trim_start_matches('#')).expect(to));
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    let below = referred.into_iter().chain(alternatives).chain(schema.get("else"));
    std::iter::once(schema).chain(below.flat_map(parts)).collect()
}

/// What stands below a key: `*` for a name of the operator's choice, `[]` for an entry of a list.
fn below(schema: &'static Json) -> Vec<(&'static str, &'static Json)> {
    let mut found = Vec::new();
    for part in parts(schema) {
        found.extend(part["properties"].as_object().into_iter().flatten().map(|(key, below)| (&**key, below)));
        found.extend(part.get("additionalProperties").filter(|names| names.is_object()).map(|below| ("*", below)));
        found.extend(part.get("items").map(|below| ("[]", below)));
    }
    found
}

/// Every key there is, by its path: `clients.*.secret`, `routes.[].match.path`.
fn keys() -> BTreeMap<String, &'static Json> {
    fn search(schema: &'static Json, path: &str, found: &mut BTreeMap<String, &'static Json>) {
        for (segment, schema) in below(schema) {
            let path = if path.is_empty() { segment.to_owned() } else { format!("{path}.{segment}") };
            search(schema, &path, found);
            found.insert(path, schema);
        }
    }
    let mut found = BTreeMap::new();
    search(&WHOLE, "", &mut found);
    found
}

/// The path as [`keys`] has it, if it is one of them: `clients.web.secret` is `clients.*.secret`.
fn general(path: &str) -> Option<String> {
    let path = path.replace('[', ".[");
    let mut schemas: Vec<&'static Json> = vec![&WHOLE];
    let mut whole = Vec::new();
    for segment in path.split('.') {
        let segment = if segment.starts_with('[') { "[]" } else { segment };
        let below: Vec<_> = schemas.into_iter().flat_map(below).collect();
        let known = if below.iter().any(|(key, _)| *key == segment) { segment } else { "*" };
        schemas = below.into_iter().filter(|(key, _)| *key == known).map(|(_, schema)| schema).collect();
        if schemas.is_empty() {
            return None;
        }
        whole.push(known);
    }
    Some(whole.join("."))
}

#[test]
fn it_has_every_key_that_is_read_and_no_other() {
    let asked = every_key_asked();
    let of_oidc = |path: &str| {
        provider::TABLE
            .iter()
            .any(|row| ["type", "issuer"].map(|key| format!("providers.{}.{key}", row.name)).contains(&path.to_owned()))
    };
    let (mut read, mut missing) = (BTreeSet::new(), Vec::new());
    for path in asked.iter().filter(|path| !REFUSED.contains(&&***path) && !of_oidc(path)) {
        match general(path) {
            Some(path) => drop(read.insert(path)),
            None => missing.push(path),
        }
    }
    assert!(missing.is_empty(), "config/schema.json does not have {missing:#?}");
    let is_name = |path: &str| {
        path.ends_with(['*', ']']) || provider::TABLE.iter().any(|row| path == format!("providers.{}", row.name))
    };
    let unread: Vec<_> = keys().into_keys().filter(|path| !is_name(path) && !read.contains(path)).collect();
    assert!(unread.is_empty(), "config/schema.json has what nothing reads: {unread:#?}");
}

#[test]
fn every_key_is_explained_and_every_map_of_keys_is_closed() {
    for (path, schema) in keys() {
        let explained =
            parts(schema).iter().any(|part| part["description"].as_str().is_some_and(|text| text.ends_with('.')));
        assert!(explained || path.ends_with(['*', ']']), "{path} has no description");
        for part in parts(schema).into_iter().filter(|part| part.get("properties").is_some()) {
            assert!(part.get("additionalProperties").is_some(), "{path} takes any key");
        }
    }
}

/// Defaults as they were put into the tree, by general path.
fn defaults(node: &Node, path: &str, found: &mut BTreeMap<String, Json>) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                defaults(&entry.node, &path, found);
            }
        }
        Value::List(nodes) if node.place != Place::Default => {
            nodes.iter().enumerate().for_each(|(at, node)| defaults(node, &format!("{path}[{at}]"), found));
        }
        _ if node.place == Place::Default => {
            drop(found.insert(general(path).unwrap_or_else(|| path.to_owned()), json(node)));
        }
        _ => {}
    }
}

#[test]
fn its_defaults_are_those_that_are_taken() {
    let providers = provider::TABLE.iter().map(|row| match row.name {
        "twitter-oauth2" => "  twitter-oauth2: { client_id: a, accept_any_app: true }\n".to_owned(),
        name => format!("  {name}: {{ client_id: a, client_secret: b }}\n"),
    });
    let providers: String = providers.collect();
    let texts = [
        MINIMAL.to_owned(),
        format!("providers:\n{providers}  x: {{ type: oidc, issuer: 'https://a', client_id: a }}\n{MINIMAL}"),
        format!("store: {{ redis: {{ url: 'redis://a', cluster: {{}} }} }}\nclients: {{ web: {{}} }}\n{MINIMAL}"),
        "cors: { allowed_origins: ['https://a'] }\nupstreams: { a: { servers: ['http://a'] } }\n\
         routes: [{ upstream: a, require: {} }]\n"
            .to_owned(),
    ];
    let mut taken = BTreeMap::new();
    for text in &texts {
        let (_, tree) = crate::config::read(text, "test.yaml", env(&[])).unwrap_or_else(|report| panic!("{report}"));
        defaults(&tree, "", &mut taken);
    }
    let told = |schema: &'static Json| parts(schema).iter().find_map(|part| part.get("default")).cloned();
    let told: BTreeMap<_, _> = keys().into_iter().filter_map(|(path, schema)| Some((path, told(schema)?))).collect();
    // What it is follows from another key.
    taken.remove("tokens.access.audience");
    assert_eq!(told, taken);
}

/// What is said of a key that a variable sets to this.
fn said(path: &str, value: &str) -> String {
    let names = [("upstreams.*", "upstreams.pool"), ("map.*", "map.x-user-id"), ("set_headers.*", "set_headers.x-a")];
    let path = names.iter().fold(path.to_owned(), |path, (general, name)| path.replace(general, name));
    let path = path.replace("clients.*", "clients.web").replace("providers.*", "providers.company");
    let variable = format!("PASSGATE__{}", path.replace(".[]", ".0").replace('.', "__").to_uppercase());
    let variables: Vec<_> = VARIABLES.iter().copied().chain([(&*variable, value)]).collect();
    let report = super::parse_with(REFERENCE, &variables).err();
    let problems = report.into_iter().flat_map(|report| report.problems);
    // What is wrong with its section as a whole is said of it, too.
    let of_section = |message: &str| message.contains("is missing") || message.contains(" as well: one ");
    let own = problems.filter(|problem| problem.source.contains(&variable) && !of_section(&problem.message));
    let own: Vec<_> = own.map(|problem| problem.message).collect();
    own.join("; ")
}

/// The words of the schemas, whichever of them holds.
fn words(schemas: &[&'static Json]) -> BTreeSet<&'static str> {
    schemas.iter().filter_map(|part| part["enum"].as_array()).flatten().filter_map(Json::as_str).collect()
}

/// What kind of value is wanted, by what is said of nonsense.
fn wanted(told: &str) -> &'static str {
    let kinds = [
        ("a duration is", "duration"),
        ("a size is", "size"),
        ("a rate is", "rate"),
        ("`true` or `false`", "flag"),
        ("a whole number", "number"),
        ("one of `", "word"),
    ];
    kinds.iter().find(|(begin, _)| told.starts_with(begin)).map_or("text", |(_, kind)| kind)
}

/// The same, by the schema.
fn written(schema: &[&'static Json]) -> &'static str {
    let refers = |kind: &&str| schema.iter().any(|part| part["$ref"] == format!("#/$defs/{kind}"));
    if schema.iter().any(|part| part["type"] == "integer") {
        "number"
    } else if schema.iter().any(|part| part["const"] == true) {
        "flag"
    } else if let Some(kind) = ["duration", "size", "rate", "flag"].into_iter().find(refers) {
        kind
    } else if schema
        .iter()
        .any(|part| part["enum"].as_array().is_some_and(|words| words.len() > 1 || words[0] == "oidc"))
    {
        "word"
    } else {
        "text"
    }
}

/// The range that is named where a value is beyond it.
fn range(told: &str) -> Option<(String, String)> {
    let (low, high) = told.strip_prefix("between ")?.split(" is wanted here").next()?.split_once(" and ")?;
    Some((low.to_owned(), high.to_owned()))
}

#[test]
fn its_units_words_and_ranges_are_those_that_are_taken() {
    let mut seen = BTreeMap::<&str, usize>::new();
    let single = |part: &&Json| part.get("properties").is_none() && part.get("items").is_none();
    for (path, schema) in keys().into_iter().filter(|(_, schema)| parts(schema).iter().all(single)) {
        let schema = parts(schema);
        let said = |value: &str| match path.strip_suffix(".[]") {
            Some(list) => said(list, &format!("[{value}]")),
            None => said(&path, value),
        };
        let told = said("\"?!\"");
        let kind = wanted(&told);
        assert_eq!(written(&schema), if path == "version" { "word" } else { kind }, "{path}: {told:?}, {schema:#?}");
        *seen.entry(kind).or_default() += 1;
        let beyond = match kind {
            "word" => {
                let told = told.split(" is wanted").next().unwrap();
                let taken: BTreeSet<_> = told.split('`').skip(1).step_by(2).collect();
                assert_eq!(words(&schema), taken, "{path}");
                continue;
            }
            "duration" => ["3650d", "0s"],
            "size" => ["1073741824GiB", "0B"],
            "number" => ["4294967295", "0"],
            _ => continue,
        };
        let Some((low, high)) = beyond.into_iter().find_map(|value| range(&said(value))) else {
            assert_eq!(path, "tokens.keys.publish_ahead", "it has a range");
            continue;
        };
        let told = match schema.iter().find(|part| part["type"] == "integer") {
            Some(number) => format!("`{}` to `{}`", number["minimum"], number["maximum"]),
            None => schema.iter().find_map(|part| part["description"].as_str()).unwrap().to_owned(),
        };
        assert!(told.contains(&format!("`{low}` to `{high}`")), "{path} is between {low} and {high}, not {told}");
    }
    let least = [("duration", 20), ("size", 4), ("rate", 9), ("flag", 10), ("number", 6), ("word", 8), ("text", 20)];
    for (kind, least) in least {
        assert!(seen.get(kind).is_some_and(|count| *count >= least), "{kind}: {seen:?}");
    }
}

#[test]
fn all_files_that_there_are_hold_by_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let mut texts: Vec<_> =
        ["reference", "quickstart", "cluster"].map(|name| read(&root.join(format!("config/{name}.yaml")))).into();
    let examples =
        fs::read_dir(root.join("examples")).unwrap().map(|entry| entry.unwrap().path().join("passgate.yaml"));
    texts.extend(examples.filter(|file| file.exists()).map(|file| read(&file)));
    assert!(texts.len() > 8, "the examples were found");
    let pages =
        fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).chain([root.join("README.md")]);
    for page in pages.filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let page = read(&page);
        let blocks = page.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
        texts.extend(blocks.filter(|block| block.contains("\nroutes:")).map(str::to_owned));
    }
    assert!(texts.len() > 11, "the README's file and others");
    for text in &texts {
        takes(text);
    }
    takes(&printed(REFERENCE, &VARIABLES));
}

#[test]
fn values_may_come_from_the_environment() {
    takes(
        "server: { drain: '${A}', listen: '${A}', limits: { headers: '${A}', body: '${A}MiB' }, public_url: '${A}' }\n\
         log: { level: '${A}', access: '${A}' }\nlimits: { sign_up: { per_source: '${A}/1m' } }\n\
         clients: { web: { secret: 1234, grants: ['${A}'] } }\nupstreams: { a: 'http://${A}:80', b: '${A}' }\n\
         routes: [{ upstream: '${A}', match: { path: '${A}' } }]\n",
    );
    assert!(!mistakes(&format!("server: {{ drain: 'a ${{' }}\n{MINIMAL}")).is_empty());
}
