//! docs/audit.md, which is made of the events that there are.

use std::fmt::Write as _;

use passgate::telemetry::audit::{ALL, Event, FIELDS, OF_ORIGIN, Origin};

use super::hold;

const INTRODUCTION: &str = r#"# The log and the audit log

<!-- Made of src/telemetry/audit.rs: change that, or the words here in tests/it/pages/audit.rs, then
     `PASSGATE_WRITE_DOCS=1 cargo test --test it pages`. -->

`passgate serve` writes one event a line to standard output: text on a terminal, JSON otherwise, or what
[`log.format`](configuration.md#log.format) says. `target` tells three kinds of lines apart:

| target | |
|---|---|
| `audit` | who did what to accounts, sessions, keys and clients. Always written, whatever `log.level` is |
| `access` | one per request. A switch of its own, [`log.access`](configuration.md#log.access) |
| `passgate::…` and others | what the program does, from [`log.level`](configuration.md#log.level) on |

Level and format also come from the environment, as every key does: `PASSGATE__LOG__LEVEL=debug`,
`PASSGATE__LOG__FORMAT=json`. `RUST_LOG` is not read. Text on a terminal is coloured unless `NO_COLOR` is set. A line is
always one line: control characters that somebody else chose are written as `\n`, `\x1b` and the like.

Commands that change something (`passgate account …`, `passgate session …` and so on) write their audit events to standard
error in the same form, unless that is a terminal, where the person is told in words. Standard error of a command that
others run, such as a job or a playbook, belongs into the log as well.

**What is in no line, at any level:** passwords, tokens of ours or of a provider, client secrets, cookies, query strings,
header values, bodies, addresses and names of people. Methods stand in a line only if they are served, client ids in an audit
event only if there is such a client. What is in it: the **path** of a request, as it was routed. A secret in a path, such as
`/reset/TOKEN`, is logged, here as with every proxy: applications should put it in the body or, at worst, the query;
`log.access: false` is the way out for those that cannot.

## Events

An audit event has `event`, the fields of it that the table names, and who it was: of a request `source` and
`request_id`, of a command `by: "cli"` and `os_user`, of the gateway `by: "gateway"`. Fields in parentheses are there where
they apply. Those marked **!** have the level WARN: somebody should look.

```json
{"timestamp":"2026-11-26T14:02:51.123456Z","level":"INFO","event":"sign_in","source":"203.0.113.9","request_id":"019ac0de5f6b7a30b1c2d3e4f5a60718","outcome":"failed","reason":"wrong_password","client":"web","target":"audit"}
```

"#;

const END: &str = r"
A failed sign-in names neither account nor address: whoever reads the log is not told which addresses there are, nor the
password that somebody typed into the wrong field. `source` and `request_id` lead to the other lines of the same request.
";

#[test]
fn the_page_of_the_audit_log_is_what_there_is() {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| event | when | by | fields |\n|---|---|---|---|\n");
    for event in ALL {
        let by: Vec<_> = event.by.iter().map(|origin| word(*origin)).collect();
        let alarm = if event.alarming { " **!**" } else { "" };
        let Event { name, when, .. } = event;
        let _ = writeln!(page, "| `{name}`{alarm} | {} | {} | {} |", when.trim(), by.join(", "), fields(event));
    }
    page.push_str("\n## Fields\n\n| field | |\n|---|---|\n");
    for (name, meaning) in OF_ORIGIN.iter().chain(FIELDS) {
        let _ = writeln!(page, "| `{name}` | {} |", meaning.trim());
    }
    page.push_str(END);
    hold("docs/audit.md", &page);
}

const fn word(origin: Origin) -> &'static str {
    match origin {
        Origin::Request => "request",
        Origin::Cli => "command",
        Origin::Gateway => "gateway",
    }
}

fn fields(event: &Event) -> String {
    let always = event.always.iter().map(|name| format!("`{name}`"));
    always.chain(event.sometimes.iter().map(|name| format!("(`{name}`)"))).collect::<Vec<_>>().join(", ")
}
