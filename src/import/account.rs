//! A user of Django's as an account.

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    mapping::{self, EmailVerified, Mapping},
    record::{self, Record},
    report::Reason,
};
use crate::{
    account::{MAX_NAME, email},
    clock::Timestamp,
    model::{Account, AccountId, Epoch},
    password::{Unusable, check_imported},
};

/// Longest primary key, bytes. Django's are numbers or UUIDs, rarely text.
const MAX_KEY: usize = 255;

/// An account in the making, and what was not taken over as it was.
pub(super) struct Made {
    pub account: Account,
    pub email_key: Option<String>,
    pub password_hash: Option<String>,
    /// Reasons, each with what it is about.
    pub notes: Vec<(Reason, String)>,
}

/// The canonical form of the user's address, if it is one.
pub(super) fn email_key(record: &Record, mapping: &Mapping) -> Option<String> {
    address(record, mapping).ok().flatten().map(|(_, key)| key)
}

/// Whether a primary key can be kept as `external_id`.
pub(super) fn is_key(pk: &str) -> bool {
    !pk.is_empty() && pk.len() <= MAX_KEY && !pk.contains(char::is_control)
}

/// When the user last signed in, microseconds since the epoch.
pub(super) fn last_login(record: &Record) -> Option<i64> {
    let time = time(record.text(mapping::LAST_LOGIN)?)?;
    i64::try_from(time.unix_timestamp_nanos() / 1000).ok()
}

/// The account of a user, made today unless the user says when. `group` looks the name of a group up.
pub(super) fn make(record: &Record, mapping: &Mapping, now: Timestamp, groups: Vec<String>) -> Made {
    let mut notes = Vec::new();
    let address = address(record, mapping).unwrap_or_else(|none| {
        notes.push((Reason::AddressInvalid, none));
        None
    });
    let (email, email_key) = address.unzip();
    let mut name = |field: &str| {
        let given = record.text(field).unwrap_or_default();
        let name = clean(given);
        if name != given.trim() {
            notes.push((Reason::NameChanged, format!("{field}: {name}")));
        }
        name
    };
    let (first_name, last_name) = (name(&mapping.first_name.name), name(&mapping.last_name.name));
    let mut username = name(&mapping.username.name);
    if username.is_empty() {
        let local = email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(local, _)| clean(local));
        username = local.filter(|local| !local.is_empty()).unwrap_or_else(|| record.pk.clone());
    }
    let hash = record.text(mapping::PASSWORD).unwrap_or_default();
    let password_hash = match check_imported(hash) {
        Ok(()) => Some(hash.to_owned()),
        Err(Unusable::NoPassword) => None,
        Err(_) if hash.is_empty() => None,
        Err(why) => {
            notes.push((Reason::PasswordUnusable, about(hash, why)));
            None
        }
    };
    let email_verified = match &mapping.email_verified {
        EmailVerified::All(verified) => *verified,
        EmailVerified::Field(field) => record.flag(field).unwrap_or(false),
    };
    let joined = record.text(&mapping.joined.name).and_then(time);
    let account = Account {
        id: AccountId::generate(),
        email_verified: email_verified && email.is_some(),
        email,
        username,
        first_name,
        last_name,
        groups,
        staff: record.flag(&mapping.staff.name).unwrap_or(false),
        active: record.flag(&mapping.active.name).unwrap_or(true),
        external_id: Some(record.pk.clone()),
        epoch: Epoch::default(),
        created_at: joined.map_or(now, |time| Timestamp::from_seconds(time.unix_timestamp())),
    };
    Made { account, email_key, password_hash, notes }
}

/// What is wrong with a hash, without a part of it that could be secret.
pub(super) fn about(hash: &str, why: Unusable) -> String {
    match hash.split_once('$') {
        Some((format, _)) if record::is_name(format) && format.len() <= 20 => format!("{format}: {why}"),
        _ => why.to_string(),
    }
}

/// A group that a user is in: by its key, or by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GroupRef {
    Key(String),
    Name(String),
}

/// The groups of a user: a list of keys, or, from a dump with `--natural-foreign` and from databases, of names in
/// lists of one.
pub(super) fn groups(record: &Record, mapping: &Mapping) -> Vec<GroupRef> {
    let list = record.fields.get(&mapping.groups.name).and_then(Value::as_array);
    let group = |value: &Value| match value {
        Value::Array(natural) => natural.first().and_then(Value::as_str).map(|name| GroupRef::Name(name.to_owned())),
        key => record::key(key).map(GroupRef::Key),
    };
    list.into_iter().flatten().filter_map(group).collect()
}

/// The address as spelt, and its canonical form. `Err` with what is none.
fn address(record: &Record, mapping: &Mapping) -> Result<Option<(String, String)>, String> {
    let text = record.text(&mapping.email).unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    let key = email::key(text).filter(|_| text.chars().nth(email::MAX_LENGTH).is_none());
    match key {
        Some(key) => Ok(Some((text.to_owned(), key))),
        None => Err(text.chars().take(email::MAX_LENGTH).collect()),
    }
}

/// A name without control characters, of [`MAX_NAME`] code points at most.
pub(super) fn clean(text: &str) -> String {
    let clean: String = text.trim().chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    clean.trim().to_owned()
}

/// A time as Django writes it: ISO 8601 in dumps; with a space, and in UTC though it does not say so, in SQLite.
fn time(text: &str) -> Option<OffsetDateTime> {
    let text = text.replacen(' ', "T", 1);
    let has_offset = text.ends_with('Z') || text.get(10..).is_some_and(|time| time.contains(['+', '-']));
    let text = if has_offset { text } else { format!("{text}Z") };
    OffsetDateTime::parse(&text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::import::mapping::defaults;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn user(members: Value) -> Record {
        let mut fields = json!({
            "email": "Ada@Example.com", "password": "!", "last_login": null, "username": "ada", "first_name": "Ada",
            "last_name": "Lovelace", "is_staff": true, "is_active": true, "date_joined": "2025-03-01T08:30:15.123Z",
        });
        let (Value::Object(own), Value::Object(members)) = (&mut fields, members) else { panic!("objects") };
        own.extend(members);
        let Value::Object(fields) = fields else { unreachable!() };
        Record { model: "accounts.account".to_owned(), pk: "7".to_owned(), fields }
    }

    fn made(members: Value) -> Made {
        make(&user(members), &defaults(), NOW, Vec::new())
    }

    #[test]
    fn a_user_becomes_an_account() {
        let made = make(&user(json!({})), &defaults(), NOW, vec!["ops".to_owned()]);
        let account = Account {
            id: made.account.id,
            email: Some("Ada@Example.com".to_owned()),
            email_verified: false,
            username: "ada".to_owned(),
            first_name: "Ada".to_owned(),
            last_name: "Lovelace".to_owned(),
            groups: vec!["ops".to_owned()],
            staff: true,
            active: true,
            external_id: Some("7".to_owned()),
            epoch: Epoch(0),
            created_at: Timestamp::from_seconds(1_740_817_815),
        };
        assert_eq!(made.account, account);
        assert_eq!((made.email_key.as_deref(), made.password_hash), (Some("ada@example.com"), None));
        assert_eq!(made.notes, []);
    }

    #[test]
    fn fields_that_are_not_there_have_what_stands_for_them() {
        let Record { model, pk, .. } = user(json!({}));
        let Value::Object(fields) = json!({ "email": "ada@example.com", "password": "", "last_login": null }) else {
            unreachable!()
        };
        let made = make(&Record { model, pk, fields }, &defaults(), NOW, Vec::new());
        let account = made.account;
        assert_eq!((account.username.as_str(), account.first_name.as_str()), ("ada", ""));
        assert!(account.active && !account.staff);
        assert_eq!((account.created_at, made.notes.len()), (NOW, 0));
        let nameless = self::made(json!({ "username": " ", "email": "" }));
        assert_eq!((nameless.account.username.as_str(), nameless.account.email), ("7", None));
    }

    #[test]
    fn flags_and_dates_are_read_as_each_source_writes_them() {
        let account =
            made(json!({ "is_staff": 0, "is_active": 0, "date_joined": "2025-03-01 08:30:15.123456" })).account;
        assert!(!account.staff && !account.active);
        assert_eq!(account.created_at, Timestamp::from_seconds(1_740_817_815));
        for (text, micros) in [
            ("2025-03-01T08:30:15.123Z", Some(1_740_817_815_123_000)),
            ("2025-03-01T09:30:15.123+01:00", Some(1_740_817_815_123_000)),
            ("2025-03-01T08:30:15.123456", Some(1_740_817_815_123_456)),
            ("2025-03-01 08:30:15", Some(1_740_817_815_000_000)),
            ("2025-03-01T08:30:15.123456-00:30", Some(1_740_819_615_123_456)),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(last_login(&user(json!({ "last_login": text }))), micros, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_left_out_and_told() {
        for address in ["moe at home", "moe@", &"x".repeat(300), &format!("{}@example.com", "a".repeat(250))] {
            let made = made(json!({ "email": address }));
            assert_eq!((made.account.email, made.email_key), (None, None));
            assert_eq!(made.notes, [(Reason::AddressInvalid, address.chars().take(254).collect())]);
        }
        for none in [json!(""), json!(" "), json!(null)] {
            let made = made(json!({ "email": none }));
            assert_eq!((made.account.email, made.notes), (None, vec![]), "{none}");
        }
    }

    #[test]
    fn an_address_is_verified_where_the_operator_says_so_and_there_is_one() {
        let verified = |verified: EmailVerified, members: Value| {
            let mapping = Mapping { email_verified: verified, ..defaults() };
            make(&user(members), &mapping, NOW, Vec::new()).account.email_verified
        };
        let field = || EmailVerified::Field("confirmed".to_owned());
        assert!(verified(EmailVerified::All(true), json!({})));
        assert!(!verified(EmailVerified::All(true), json!({ "email": "none" })));
        assert!(verified(field(), json!({ "confirmed": true })));
        assert!(!verified(field(), json!({ "confirmed": false })));
        assert!(!verified(field(), json!({ "confirmed": "yes" })));
        assert!(!verified(field(), json!({})));
    }

    #[test]
    fn a_hash_that_can_be_verified_is_kept_and_of_others_it_is_told_why() {
        let hash = "pbkdf2_sha256$1000000$0tteeFI3WIYWZBfU1cmJO6$bYUbDDrxDYqKj1W3zsaK9UbGCUD2t2HiQbb+KnhPaws=";
        let kept = made(json!({ "password": hash }));
        assert_eq!((kept.password_hash.as_deref(), kept.notes.len()), (Some(hash), 0));
        for none in ["", "!", "!7mApVMDqzgwsF9C8gXjG"] {
            let made = made(json!({ "password": none }));
            assert_eq!((made.password_hash, made.notes.len()), (None, 0), "{none}");
        }
        for (hash, told) in [
            ("md5$R72PivkHlYbdAUxP08oGT0$4080659731f7c984711f53b0c70ab28d", "md5: its algorithm is unknown"),
            ("5f4dcc3b5aa765d61d8327deb882cf99", "it is not a whole hash"),
            ("my secret$x", "its algorithm is unknown"),
            ("pbkdf2_sha256$1000000$salt", "pbkdf2_sha256: it is not a whole hash"),
        ] {
            let made = made(json!({ "password": hash }));
            assert_eq!((made.password_hash, made.notes), (None, vec![(Reason::PasswordUnusable, told.to_owned())]));
        }
    }

    #[test]
    fn names_are_cut_and_cleaned_and_that_is_told() {
        let made =
            made(json!({ "first_name": " Zoë\u{0}\u{1b}[31m ", "last_name": "é".repeat(151), "username": "a b" }));
        assert_eq!(made.account.first_name, "Zoë[31m");
        assert_eq!(made.account.last_name, "é".repeat(150));
        assert_eq!(made.account.username, "a b");
        let told: Vec<_> = made.notes.iter().map(|(reason, detail)| (*reason, detail.as_str())).collect();
        let last = format!("last_name: {}", "é".repeat(150));
        assert_eq!(told, [(Reason::NameChanged, "first_name: Zoë[31m"), (Reason::NameChanged, last.as_str())]);
    }

    #[test]
    fn groups_are_keys_or_names() {
        let of = |list: Value| groups(&user(json!({ "groups": list })), &defaults());
        let (key, name) = (|text: &str| GroupRef::Key(text.to_owned()), |text: &str| GroupRef::Name(text.to_owned()));
        assert_eq!(of(json!([1, "2", ["ops"], [], null])), [key("1"), key("2"), name("ops")]);
        assert_eq!(of(json!(null)), []);
    }

    #[test]
    fn a_key_is_short_text_without_control_characters() {
        assert!(is_key("1") && is_key("6f9619ff-8b86-d011-b42d-00cf4fc964ff") && is_key(&"x".repeat(255)));
        assert!(!is_key("") && !is_key("a\nb") && !is_key(&"x".repeat(256)));
    }
}
