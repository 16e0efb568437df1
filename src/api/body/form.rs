//! `application/x-www-form-urlencoded` (URL standard), UTF-8 throughout.

use super::{Error, Fields, Value};
use crate::{oauth::client::credentials::decode_form, secret::Secret};

pub(super) fn parse(bytes: &[u8]) -> Result<Fields, Error> {
    let mut fields = Fields::default();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut sides = pair.splitn(2, |byte| *byte == b'=');
        let mut decode = || decode_form(sides.next().unwrap_or_default()).ok_or_else(|| broken("not UTF-8."));
        let (name, value) = (decode()?, decode()?);
        fields.insert(name, Value::Text(Secret::new(value))).map_err(|_| broken("too many fields."))?;
    }
    Ok(fields)
}

fn broken(what: &str) -> Error {
    Error::bad_request(format!("Form parse error - {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf8_is_refused_rather_than_guessed_at() {
        for body in [b"a=%FF".as_slice(), b"%FF=a", b"a=\xFF"] {
            assert!(matches!(parse(body), Err(Error::Detail(status, _)) if status == 400));
        }
    }

    #[test]
    fn values_keep_their_equals_signs_and_stray_percents() {
        let mut fields = parse(b"a=b=c%&d=%zz").ok().unwrap();
        assert_eq!(fields.required("a").unwrap().expose(), "b=c%");
        assert_eq!(fields.required("d").unwrap().expose(), "%zz");
    }
}
