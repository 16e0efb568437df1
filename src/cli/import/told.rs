//! What an import says at its end.

use crate::import::{Kind, SHOWN, Summary};

/// The counts, and the first rows of each reason. `reported`: all of them are in a file.
pub(super) fn told(model: &str, summary: &Summary, dry_run: bool, reported: bool) -> String {
    let mut lines = vec![
        format!("Users are {model}."),
        String::new(),
        format!("{:<8}{:>10}{:>10}{:>14}{:>10}", "", "read", "new", "here already", "left out"),
    ];
    lines.extend(Kind::ALL.map(|kind| {
        let count = summary.count(kind);
        let left_out = count.skipped();
        format!("{:<8}{:>10}{:>10}{:>14}{left_out:>10}", kind.name(), count.read, count.new, count.present)
    }));
    for (reason, (count, first)) in &summary.notes {
        let kind = first.first().map_or("rows", |note| note.kind.name());
        lines.extend([String::new(), format!("{kind} that {}: {count}", reason.headline())]);
        lines.extend(first.iter().map(|note| format!("  {:<8}  {}", shown(&note.pk), shown(&note.detail))));
        let more = count.saturating_sub(SHOWN as u64);
        if more > 0 {
            let rest = if reported { "which are in the report" } else { "which --report FILE writes down" };
            lines.push(format!("  and {more} more, {rest}"));
        }
    }
    let anything = Kind::ALL.iter().any(|kind| summary.count(*kind).new > 0);
    let end = match (dry_run, anything) {
        (true, true) => "Nothing was written: this was a trial.",
        (_, false) => "Nothing was written: what can be imported is here already.",
        (false, true) => "Done.",
    };
    lines.extend([String::new(), end.to_owned()]);
    lines.join("\n") + "\n"
}

/// A stranger's text, for a terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Count, Note, Reason};

    fn summary(new: u64, notes: u64) -> Summary {
        let mut summary = Summary::default();
        summary.counts.insert(Kind::Account, Count { read: 25, new, present: 20 });
        let note = |i: u64| Note {
            kind: Kind::Account,
            pk: i.to_string(),
            reason: Reason::AddressInvalid,
            detail: "moe\u{1b}[31m".to_owned(),
        };
        let first = (0..notes.min(SHOWN as u64)).map(note).collect();
        summary.notes.insert(Reason::AddressInvalid, (notes, first));
        summary
    }

    #[test]
    fn counts_are_a_table_and_rows_stand_under_their_reason() {
        assert_eq!(
            told("auth.user", &summary(4, 1), false, false),
            "\
Users are auth.user.

              read       new  here already  left out
accounts        25         4            20         1
links            0         0             0         0
clients          0         0             0         0

accounts that came without their address, which is none: 1
  0         moe\u{fffd}[31m

Done.
"
        );
    }

    #[test]
    fn the_first_rows_are_shown_and_where_the_rest_is() {
        let many = told("auth.user", &summary(4, 25), false, false);
        assert!(many.contains("\n  19        moe") && !many.contains("\n  20  "), "{many}");
        assert!(many.contains("\n  and 5 more, which --report FILE writes down\n"), "{many}");
        let reported = told("auth.user", &summary(4, 25), false, true);
        assert!(reported.contains("and 5 more, which are in the report\n"), "{reported}");
    }

    #[test]
    fn it_says_whether_anything_was_written() {
        let end = |new, dry_run| {
            told("auth.user", &summary(new, 0), dry_run, false).lines().last().unwrap_or_default().to_owned()
        };
        assert_eq!(end(4, true), "Nothing was written: this was a trial.");
        assert_eq!(end(0, false), "Nothing was written: what can be imported is here already.");
        assert_eq!(end(0, true), end(0, false));
    }
}
