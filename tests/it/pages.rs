//! Pages of docs/ that say what the program says, too: they are made out of it, or held against it.

use std::{fmt::Write as _, fs, path::PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

mod audit;
mod endpoints;
mod links;
mod metrics;
mod readme;
mod shell;

/// Set, it has the pages that are made written anew.
const WRITE: &str = "PASSGATE_WRITE_DOCS";

const INTRODUCTION: &str = r"# Configuration

<!-- Made of config/schema.json: change that, then `PASSGATE_WRITE_DOCS=1 cargo test --test it pages`. -->

Every key of the file, section by section. [reference.yaml](../config/reference.yaml) has the same as one file to copy from,
[quickstart.yaml](../config/quickstart.yaml) the least to try, [cluster.yaml](../config/cluster.yaml) what several gateways
need. Only `upstreams` and `routes` are required; all else has a default.

The file is `passgate.yaml` in the working directory, or what `--config` or `PASSGATE_CONFIG` names. Paths of files in it
are relative to the working directory as well.

| | written as |
|---|---|
| duration | a whole number and a unit: `500ms`, `30s`, `15m`, `1h`, `14d`. A bare number is refused, since nobody can tell what it was meant to be |
| size | the same with `512B`, `16KiB`, `64MiB`, `1GiB` |
| rate | `count/duration`: `120/1m` is 120 at once, and 120 in every minute afterwards; `off` is no limit |
| secret | text, which no log, report or `print-config` shows. Better kept out of the file: in a file of its own, by the key with `_file` at its end, or as `${NAME}` |
| `${NAME}` | in any value: the environment variable `NAME`. Within `{ }` and `[ ]` it needs quotes; `$${` is a literal `${` |

**The environment overrides the file.** `PASSGATE__SERVER__LISTEN=0.0.0.0:8080` stands for `server.listen`, and so on for
every key: `__` between names, which may be in any case; `_` may stand for `-`; a number is an entry of a list. A value in
quotes, brackets or braces is YAML, any other is taken as it is.

`passgate check` tells everything that is wrong, with line and column. `passgate print-config` prints what is in force,
defaults and overrides put in. `passgate config-schema` prints a JSON Schema, by which an editor with the YAML language
server completes keys, explains them and marks mistakes:

```sh
passgate config-schema > passgate.schema.json
sed -i '1i # yaml-language-server: $schema=passgate.schema.json' passgate.yaml
```

A key that is **required** may also come from the environment. `NAME` is a name of your choice.
";

#[test]
fn the_page_of_the_configuration_is_what_the_schema_says() {
    let schema: Tree = serde_json::from_str(passgate::config::SCHEMA).unwrap();
    let mut page = INTRODUCTION.to_owned();
    let sections = schema.get("properties").unwrap().entries();
    let links: Vec<_> = sections.iter().map(|(key, _)| format!("[{key}](#{key})")).collect();
    let _ = writeln!(page, "\nSections: {}.", links.join(", "));
    let required = schema.words("required");
    let maker = Maker { schema: &schema };
    for (key, section) in sections {
        maker.section(&mut page, key, section, required.contains(&&**key));
    }
    hold("docs/configuration.md", &page);
}

/// The page in the repository is this one, or is made it.
fn hold(name: &str, page: &str) {
    let path = root().join(name);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(page.lines()).find(|(written, made)| written != made);
    assert!(
        written == page,
        "{name} is out of date: run this with {WRITE}=1, and commit it. It begins at {differs:#?}"
    );
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

struct Maker<'s> {
    schema: &'s Tree,
}

impl Maker<'_> {
    fn section(&self, page: &mut String, key: &str, section: &Tree, required: bool) {
        let _ = writeln!(page, "\n## {key}\n\n{}", section.text("description").unwrap_or_default());
        let known = section.get("properties").filter(|_| section.get("additionalProperties").is_some_and(Tree::is_map));
        if let Some(known) = known {
            for (name, one) in known.entries() {
                self.provider(page, &format!("{key}.{name}"), one.get("else").unwrap());
            }
            return self.provider(page, &format!("{key}.NAME"), section.get("additionalProperties").unwrap());
        }
        page.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
        if self.below(section, key).is_empty() {
            self.row(page, key, section, required);
        }
        self.rows(page, key, section);
    }

    /// A table of its own; one that another name has as well is not told twice.
    fn provider(&self, page: &mut String, path: &str, schema: &Tree) {
        let _ = writeln!(page, "\n### {path}\n");
        let own = schema.text("$ref").and_then(|to| to.rsplit_once("/provider-")).map_or("", |(_, name)| name);
        if path.ends_with(&format!(".{own}")) || own == "oidc" {
            let resolved = self.resolved(schema);
            let _ = writeln!(page, "{}\n", resolved.text("description").unwrap());
            page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
            self.rows(page, path, schema);
        } else {
            let _ = writeln!(page, "Another name for [{own}](#providers{own}), with the same keys.");
        }
    }

    fn rows(&self, page: &mut String, path: &str, schema: &Tree) {
        for (path, below, required) in self.below(schema, path) {
            self.row(page, &path, below, required);
            self.rows(page, &path, below);
        }
    }

    fn row(&self, page: &mut String, path: &str, schema: &Tree, required: bool) {
        let value = self.label(schema);
        let default = match self.parts(schema).iter().find_map(|part| part.get("default")) {
            _ if required => "**required**".to_owned(),
            Some(default) => format!("`{}`", default.yaml()),
            None => String::new(),
        };
        let description = self.parts(schema).iter().find_map(|part| part.text("description")).unwrap_or_default();
        let example = self.parts(schema).iter().find_map(|part| part.get("examples"));
        let example = example.and_then(|all| all.items().first()).map(|one| format!(" For example `{}`.", one.yaml()));
        let example = example.unwrap_or_default();
        let anchor = path.replace("[]", "");
        let _ = writeln!(page, "| <a id=\"{anchor}\"></a>`{path}` | {value} | {default} | {description}{example} |");
    }

    /// The keys below a key, whatever form its value has, each with whether it is required.
    fn below<'t>(&'t self, schema: &'t Tree, path: &str) -> Vec<(String, &'t Tree, bool)> {
        let mut found = Vec::new();
        for part in self.parts(schema) {
            let required = part.words("required");
            for (key, below) in part.get("properties").map(Tree::entries).unwrap_or_default() {
                found.push((format!("{path}.{key}"), below, required.contains(&&**key)));
            }
            if let Some(names) = part.get("additionalProperties").filter(|names| names.is_map()) {
                found.extend(self.below(names, &format!("{path}.NAME")));
            }
            if let Some(items) = part.get("items") {
                // An entry that may also stand alone was told of as such.
                let items = self.below(items, &format!("{path}[]"));
                found.extend(
                    items
                        .into_iter()
                        .filter(|(_, item, _)| !found.iter().any(|(_, other, _)| other == item))
                        .collect::<Vec<_>>(),
                );
            }
        }
        found
    }

    fn resolved<'t>(&'t self, schema: &'t Tree) -> &'t Tree {
        let name = schema.text("$ref").and_then(|to| to.strip_prefix("#/$defs/"));
        name.map_or(schema, |name| self.schema.get("$defs").unwrap().get(name).unwrap())
    }

    /// The schema, what it refers to, and its alternatives.
    fn parts<'t>(&'t self, schema: &'t Tree) -> Vec<&'t Tree> {
        let resolved = self.resolved(schema);
        let mut parts = vec![schema];
        if !std::ptr::eq(resolved, schema) {
            parts.extend(self.parts(resolved));
        }
        for alternative in schema.get("anyOf").map(Tree::items).unwrap_or_default() {
            parts.extend(self.parts(alternative));
        }
        parts
    }

    /// What kind of value it is.
    fn label(&self, schema: &Tree) -> String {
        let resolved = self.resolved(schema);
        if let Some(title) = resolved.text("title") {
            return title.to_owned();
        }
        if let Some(words) = resolved.get("enum") {
            let mut words: Vec<_> = words.items().iter().map(|word| format!("`{}`", word.yaml())).collect();
            words.dedup();
            return words.join(", ");
        }
        if let Some(alternatives) = resolved.get("anyOf") {
            let others = alternatives.items().iter().filter(|one| one.text("$ref") != Some("#/$defs/variable"));
            let labels: Vec<_> = others.map(|one| self.label(one)).collect();
            let all = labels.join(" or ");
            return all.split_once(" or list: ").map_or(all.clone(), |(one, _)| format!("{one}, or a list of such"));
        }
        if let (Some(low), Some(high)) = (resolved.get("minimum"), resolved.get("maximum")) {
            return format!("number, {} to {}", low.yaml(), high.yaml());
        }
        if let Some(only) = resolved.get("const") {
            return format!("`{}`", only.yaml());
        }
        if let Some(items) = resolved.get("items") {
            return format!("list: {}", self.label(items));
        }
        match resolved.get("additionalProperties").filter(|names| names.is_map()) {
            Some(names) => format!("names, each with: {}", self.label(names)),
            None => "map".to_owned(),
        }
    }
}

/// JSON whose keys stay in their order.
#[derive(Debug, PartialEq)]
enum Tree {
    Map(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Text(String),
    Other(serde_json::Value),
}

impl Tree {
    fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    fn entries(&self) -> &[(String, Self)] {
        if let Self::Map(entries) = self { entries } else { &[] }
    }

    fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    fn text(&self, key: &str) -> Option<&str> {
        if let Self::Text(text) = self.get(key)? { Some(text) } else { None }
    }

    fn words(&self, key: &str) -> Vec<&str> {
        let items = self.get(key).map(Self::items).unwrap_or_default();
        items.iter().filter_map(|item| if let Self::Text(text) = item { Some(&**text) } else { None }).collect()
    }

    fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }

    /// As the file has it, on one line.
    fn yaml(&self) -> String {
        match self {
            Self::Map(entries) => {
                let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key}: {}", value.yaml())).collect();
                format!("{{ {} }}", entries.join(", "))
            }
            Self::List(items) => format!("[{}]", items.iter().map(Self::yaml).collect::<Vec<_>>().join(", ")),
            Self::Text(text) => text.clone(),
            Self::Other(value) => value.to_string(),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Tree;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Other(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Other(value.into()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(Tree::List(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    all.push(entry);
                }
                Ok(Tree::Map(all))
            }
        }
        deserializer.deserialize_any(InOrder)
    }
}
