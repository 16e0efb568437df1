//! Reads every row of the source into the scratch database.

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::{
    Error, Progress, account,
    mapping::{self, Mapping},
    record::Record,
    scratch::Scratch,
    source::{self, Rows, Source},
};

/// Gathers what the source has; the model of its users.
pub(super) async fn gather(
    source: Source,
    mapping: &Mapping,
    scratch: &mut Scratch,
    progress: &dyn Progress,
) -> Result<String, Error> {
    let (sender, mut rows) = mpsc::channel::<Rows>(source::AHEAD);
    let stage = async {
        let mut count = 0;
        while let Some(Rows { records, bytes }) = rows.recv().await {
            count += records.len() as u64;
            for record in records {
                take(record, mapping, scratch).await?;
            }
            progress.reading(count, bytes);
        }
        Ok::<_, Error>(())
    };
    // Ended by whichever fails first: then nobody takes the rows of the other.
    tokio::try_join!(source.read(mapping, sender), stage)?;
    let model = the_one(&scratch.models().await?, mapping)?;
    scratch.sort().await?;
    Ok(model)
}

async fn take(record: Record, mapping: &Mapping, scratch: &mut Scratch) -> Result<(), Error> {
    match record.model.as_str() {
        mapping::LINKS => {
            let user = record.reference("user")?;
            let text = |field| record.text(field).unwrap_or_default();
            scratch.add_link(&record.pk, user.as_deref(), text("provider"), text("uid")).await
        }
        mapping::CLIENTS => scratch.add_client(&record.pk, &Value::Object(record.fields)).await,
        mapping::GROUPS => scratch.add_group(&record.pk, record.text("name").unwrap_or_default()).await,
        model => {
            let is_user = match &mapping.model {
                Some(label) => label.as_str() == model,
                None => mapping.is_user(&record),
            };
            if is_user { take_user(record, mapping, scratch).await } else { Ok(()) }
        }
    }
}

async fn take_user(record: Record, mapping: &Mapping, scratch: &mut Scratch) -> Result<(), Error> {
    if let Some(missing) = mapping.required().into_iter().find(|field| !record.fields.contains_key(*field)) {
        return Err(no_field(&record.model, missing));
    }
    let email_key = account::email_key(&record, mapping);
    let last_login = account::last_login(&record);
    let Record { model, pk, fields } = record;
    scratch.add_user(&model, &pk, email_key.as_deref(), last_login, &Value::Object(fields)).await
}

/// A field that was counted on is not there.
pub(super) fn no_field(model: &str, field: &str) -> Error {
    Error::Input(format!(
        "{model} has no field {field}: say what it is called with --email, --username, --staff and so on, or choose \
         another model with --model"
    ))
}

/// The one model that users came by.
fn the_one(models: &[String], mapping: &Mapping) -> Result<String, Error> {
    match (models, &mapping.model) {
        ([model], _) => Ok(model.clone()),
        ([], Some(label)) => Err(Error::Input(format!(
            "there are no users of {} in it; leave --model out to have them found",
            label.as_str()
        ))),
        ([], None) => Err(Error::Input(format!(
            "there are no users in it: no model has the fields {}, password and last_login. Name the model with \
             --model, and the field of its address with --email",
            mapping.email
        ))),
        (several, _) => Err(Error::Input(format!(
            "there is more than one model of users in it; choose one with --model: {}",
            several.join(", ")
        ))),
    }
}

/// The row again as it was before it waited.
pub(super) fn record(model: &str, pk: String, fields: Value) -> Record {
    let fields = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    Record { model: model.to_owned(), pk, fields }
}
