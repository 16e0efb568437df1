use super::*;

fn rows(text: &str) -> Result<Vec<String>, Error> {
    rows_of(text.as_bytes())
}

fn rows_of(input: impl Read) -> Result<Vec<String>, Error> {
    let mut rows = Vec::new();
    let wants = |name: &str| name == "email" || name == "groups";
    read(input, wants, |record, _| {
        rows.push(format!("{} {} {}", record.model, record.pk, Value::Object(record.fields)));
        Ok(())
    })?;
    Ok(rows)
}

fn wrong(text: &str) -> String {
    match rows(text).unwrap_err() {
        Error::Input(text) => text,
        other => panic!("{other}"),
    }
}

#[test]
fn rows_come_one_by_one_with_the_wanted_fields() {
    let text = r#" [{"model": "Auth.User", "pk": 1, "fields": {"email": "a@b.cd", "extra": {"deep": [1, {}]}}},
        {"pk": "2f", "fields": {"groups": [1, ["x"]], "email": null}, "model": "a.b", "more": 1}] "#;
    let expected = [r#"auth.user 1 {"email":"a@b.cd"}"#, r#"a.b 2f {"email":null,"groups":[1,["x"]]}"#];
    assert_eq!(rows(text).unwrap(), expected);
    assert_eq!(rows("[]").unwrap(), Vec::<String>::new());
}

#[test]
fn a_row_a_line_is_read_as_well() {
    let text = "{\"model\": \"a.b\", \"pk\": 1, \"fields\": {}}\n\n{\"model\": \"a.b\", \"pk\": 2, \"fields\": {}}\n";
    assert_eq!(rows(text).unwrap(), ["a.b 1 {}", "a.b 2 {}"]);
    assert_eq!(rows(text.trim_end()).unwrap().len(), 2);
}

#[test]
fn what_dumpdata_does_not_write_is_told_by_its_place_and_not_by_its_text() {
    for text in [
        "[",
        "[{\"model\": \"a.b\", \"pk\": 1, \"fields\": {}}",
        "[1]",
        "{}",
        "[{\"model\": 1, \"pk\": 1, \"fields\": {}}]",
        "[{\"model\": \"a.b\", \"pk\": 1, \"fields\": []}]",
        "[{\"model\": \"a.b\", \"pk\": 1}]",
        "[] []",
        "canary: yaml",
        "{\"model\": \"a.b\", \"pk\": 1, \"fields\": {}} canary",
        "[\"canary\"]",
    ] {
        let told = wrong(text);
        assert!(told.starts_with("line 1, column ") && told.contains("dumpdata"), "{text}: {told}");
        assert!(!told.contains("canary"), "{told}");
    }
    assert_eq!(wrong("  \n"), "there is nothing in the dump");
    assert!(wrong("[{\"model\": \"a.b\", \"fields\": {}}]").contains("--natural-primary"));
    assert!(wrong("[{\"model\": \"a.b\", \"pk\": null, \"fields\": {}}]").contains("--natural-primary"));
}

#[test]
fn a_row_has_a_bound_and_a_dump_has_none() {
    let row =
        |length: usize| format!(r#"{{"model": "a.b", "pk": 1, "fields": {{"email": "{}"}}}}"#, "x".repeat(length));
    let many = format!("[{}]", vec![row(1 << 20); 40].join(","));
    assert_eq!(rows(&many).unwrap().len(), 40);
    let told = wrong(&format!("[{}]", row(17 << 20)));
    assert!(told.contains("a row has more than"), "{told}");
    // Also where it is not kept, and without an end.
    let endless = b"[{\"extra\": \"".chain(io::repeat(b'x'));
    assert!(rows_of(endless).unwrap_err().to_string().contains("a row has more than"));
}

#[test]
fn a_source_that_fails_is_out_of_reach_and_no_wrong_dump() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }
    let error = rows_of(b"[".chain(Broken)).unwrap_err();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("unplugged")), "{error}");
}

#[test]
fn whoever_takes_the_rows_may_end_it() {
    let mut seen = 0;
    let text = r#"[{"model": "a.b", "pk": 1, "fields": {}}, {"model": "a.b", "pk": 2, "fields": {}}, broken"#;
    let ended = read(
        text.as_bytes(),
        |_| false,
        |_, _| {
            seen += 1;
            if seen == 2 { Err(Error::Input("enough".to_owned())) } else { Ok(()) }
        },
    );
    assert_eq!((ended.unwrap_err().to_string().as_str(), seen), ("enough", 2));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}\",:a-z0-9 \\\\]{0,80}", any in "\\PC*") {
        _ = rows(&text);
        _ = rows(&any);
        _ = rows(&format!("[{{\"model\": \"a.b\", \"pk\": {any}"));
    }
}
