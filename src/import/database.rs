//! Django's tables, read in place: what there is by the catalogue, and one query for each kind of row, which answers
//! every row as its key and a JSON object of fields, named as `dumpdata` names them.

pub(super) mod postgres;
pub(super) mod sqlite;

use super::{
    Error, Tables,
    gather::no_field,
    mapping::{self, EmailVerified, Mapping},
    record::{Label, is_name},
};

/// A table of the catalogue.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub name: String,
    pub columns: Vec<Column>,
}

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub name: String,
    /// Part of the primary key.
    pub is_key: bool,
    /// As Django declares UUIDs where the database has none: 32 hex digits.
    pub is_hex_uuid: bool,
}

/// A query, and the model that its rows are of.
#[derive(Debug)]
pub(super) struct Query {
    pub model: String,
    pub sql: String,
}

/// What the two databases call the same functions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    fn object(self, members: &[(String, String)]) -> String {
        let function = match self {
            Self::Sqlite => "json_object",
            Self::Postgres => "json_build_object",
        };
        let members: Vec<_> = members.iter().map(|(name, value)| format!("'{name}', {value}")).collect();
        format!("{function}({})", members.join(", "))
    }

    /// The names of a user's groups, as a list of lists of one.
    fn groups(self, members: &str, user: &str, key: &str) -> String {
        let list = match self {
            Self::Sqlite => "json_group_array(json_array(g.name))",
            Self::Postgres => "coalesce(json_agg(json_build_array(g.name)), '[]')",
        };
        let list = format!(
            "(SELECT {list} FROM \"{members}\" m JOIN auth_group g ON g.id = m.group_id WHERE m.\"{user}\" = t.\"{key}\")"
        );
        // Through a subquery SQLite forgets that it is JSON.
        if self == Self::Sqlite { format!("json({list})") } else { list }
    }
}

/// A key as text, spelt as Django spells it.
fn key_text(column: &str, is_hex_uuid: bool) -> String {
    let text = format!("CAST(t.\"{column}\" AS TEXT)");
    if !is_hex_uuid {
        return text;
    }
    let part = |from: u8, length: u8| format!("substr({text}, {from}, {length})");
    [part(1, 8), part(9, 4), part(13, 4), part(17, 4), part(21, 12)].join(" || '-' || ")
}

impl Table {
    fn has(&self, column: &str) -> bool {
        self.column(column).is_some()
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    fn key(&self) -> Result<&Column, Error> {
        let mut keys = self.columns.iter().filter(|column| column.is_key);
        match (keys.next(), keys.next()) {
            (Some(key), None) if is_name(&key.name) => Ok(key),
            _ => Err(Error::Input(format!("the table {} has no primary key of one column", self.name))),
        }
    }
}

/// The queries for what there is, in any order.
pub(super) fn queries(
    catalogue: &[Table],
    tables: &Tables,
    mapping: &Mapping,
    dialect: Dialect,
) -> Result<Vec<Query>, Error> {
    let users = users_table(catalogue, tables, mapping)?;
    let key = users.key()?;
    let mut queries = vec![users_query(catalogue, users, key, mapping, dialect)?];
    let named = |given: &Option<String>, usual: &str| match given {
        Some(name) => find(catalogue, name).map(Some),
        None => Ok(catalogue.iter().find(|table| table.name == usual)),
    };
    if let Some(links) = named(&tables.links, "social_auth_usersocialauth")? {
        let user = key_text("user_id", key.is_hex_uuid);
        let fields = [("provider", "t.provider"), ("uid", "t.uid"), ("user", user.as_str())];
        for column in ["provider", "uid", "user_id"] {
            required(links, column)?;
        }
        queries.push(query(mapping::LINKS, links, links.key()?, &fields, dialect));
    }
    if let Some(clients) = named(&tables.clients, "oauth2_provider_application")? {
        let mut fields = Vec::new();
        for column in mapping::CLIENT_FIELDS {
            if column != "hash_client_secret" {
                required(clients, column)?;
            } else if !clients.has(column) {
                continue;
            }
            fields.push((column, format!("t.{column}")));
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        queries.push(query(mapping::CLIENTS, clients, clients.key()?, &fields, dialect));
    }
    Ok(queries)
}

fn users_table<'c>(catalogue: &'c [Table], tables: &Tables, mapping: &Mapping) -> Result<&'c Table, Error> {
    if let Some(name) = tables.users.clone().or_else(|| mapping.model.as_ref().map(Label::table)) {
        return find(catalogue, &name);
    }
    let is_users = |table: &&Table| {
        [mapping.email.as_str(), mapping::PASSWORD, mapping::LAST_LOGIN].iter().all(|column| table.has(column))
    };
    let found: Vec<_> = catalogue.iter().filter(is_users).collect();
    match found.as_slice() {
        [table] => Ok(table),
        [] => Err(Error::Input(format!(
            "there is no table of users in it: none has the columns {}, password and last_login. Name the model with \
             --model, and the field of its address with --email",
            mapping.email
        ))),
        several => {
            let names: Vec<_> = several.iter().map(|table| table.name.as_str()).collect();
            Err(Error::Input(format!(
                "there is more than one table of users in it; choose one with --table: {}",
                names.join(", ")
            )))
        }
    }
}

fn users_query(
    catalogue: &[Table],
    users: &Table,
    key: &Column,
    mapping: &Mapping,
    dialect: Dialect,
) -> Result<Query, Error> {
    let mut columns = mapping.required();
    if let Some(missing) = columns.iter().find(|column| !users.has(column)) {
        return Err(no_field(&users.name, missing));
    }
    columns.extend(mapping.optional().into_iter().filter(|column| users.has(column)));
    let mut fields: Vec<_> = columns.into_iter().map(|column| (column.to_owned(), format!("t.\"{column}\""))).collect();
    let members = format!("{}_{}", users.name, mapping.groups.name);
    match catalogue.iter().find(|table| table.name == members) {
        Some(table) => {
            let others = table.columns.iter().filter(|column| !column.is_key && column.name != "group_id");
            let user = others.map(|column| &column.name).find(|name| is_name(name));
            let user = user.filter(|_| table.has("group_id")).ok_or_else(|| no_field(&members, "group_id"))?;
            let groups = dialect.groups(&members, user, &key.name);
            fields.push((mapping.groups.name.clone(), groups));
        }
        None if mapping.groups.named => return Err(no_field(&users.name, &mapping.groups.name)),
        None => {}
    }
    if let EmailVerified::Field(field) = &mapping.email_verified {
        required(users, field)?;
    }
    let model = mapping.model.as_ref().map_or(users.name.as_str(), Label::as_str);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Ok(query(model, users, key, &fields, dialect))
}

fn query(model: &str, table: &Table, key: &Column, fields: &[(&str, &str)], dialect: Dialect) -> Query {
    let members: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sql = format!(
        "SELECT {}, CAST({} AS TEXT) FROM \"{}\" t ORDER BY t.\"{}\"",
        key_text(&key.name, key.is_hex_uuid),
        dialect.object(&members),
        table.name,
        key.name
    );
    Query { model: model.to_owned(), sql }
}

fn find<'c>(catalogue: &'c [Table], name: &str) -> Result<&'c Table, Error> {
    catalogue.iter().find(|table| table.name == name).ok_or_else(|| {
        Error::Input(format!(
            "there is no table {name} in it; say what it is called with --table, --links-table or --clients-table"
        ))
    })
}

fn required(table: &Table, column: &str) -> Result<(), Error> {
    if table.has(column) { Ok(()) } else { Err(no_field(&table.name, column)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Field, mapping::defaults};

    fn table(name: &str, columns: &[&str]) -> Table {
        let column = |name: &&str| Column { name: (*name).to_owned(), is_key: *name == "id", is_hex_uuid: false };
        Table { name: name.to_owned(), columns: columns.iter().map(column).collect() }
    }

    fn users(name: &str) -> Table {
        table(name, &["id", "email", "password", "last_login", "is_active", "nickname"])
    }

    fn asked(catalogue: &[Table], tables: &Tables, mapping: &Mapping) -> Result<Vec<Query>, String> {
        queries(catalogue, tables, mapping, Dialect::Sqlite).map_err(|error| error.to_string())
    }

    #[test]
    fn only_columns_that_are_there_are_asked_for() {
        let queries = asked(&[users("auth_user")], &Tables::default(), &defaults()).unwrap();
        let [query] = &queries[..] else { panic!("{queries:?}") };
        assert_eq!(
            query.sql,
            "SELECT CAST(t.\"id\" AS TEXT), CAST(json_object('email', t.\"email\", 'password', t.\"password\", \
             'last_login', t.\"last_login\", 'is_active', t.\"is_active\") AS TEXT) FROM \"auth_user\" t \
             ORDER BY t.\"id\""
        );
    }

    #[test]
    fn a_field_that_was_named_must_be_there() {
        let field = |name: &str| Field { name: name.to_owned(), named: true };
        let mapping = Mapping { username: field("nickname"), ..defaults() };
        assert!(asked(&[users("auth_user")], &Tables::default(), &mapping).unwrap()[0].sql.contains("t.\"nickname\""));
        for mapping in [
            Mapping { staff: field("is_stff"), ..defaults() },
            Mapping { groups: field("teams"), ..defaults() },
            Mapping { email_verified: EmailVerified::Field("confirmed".to_owned()), ..defaults() },
        ] {
            let error = asked(&[users("auth_user")], &Tables::default(), &mapping).unwrap_err();
            assert!(error.starts_with("auth_user has no field"), "{error}");
        }
    }

    #[test]
    fn the_table_of_users_is_found_or_named() {
        let both = [users("auth_user"), users("shop_customer")];
        let error = asked(&both, &Tables::default(), &defaults()).unwrap_err();
        assert!(error.ends_with("choose one with --table: auth_user, shop_customer"), "{error}");
        let named = Tables { users: Some("shop_customer".to_owned()), ..Tables::default() };
        assert!(asked(&both, &named, &defaults()).unwrap()[0].sql.contains("FROM \"shop_customer\""));
        let mapping = Mapping { model: Label::parse("auth.User"), ..defaults() };
        let query = &asked(&both, &Tables::default(), &mapping).unwrap()[0];
        assert!(query.sql.contains("FROM \"auth_user\"") && query.model == "auth.user");
        assert!(asked(&[], &Tables::default(), &defaults()).unwrap_err().starts_with("there is no table of users"));
        assert!(asked(&[], &named, &defaults()).unwrap_err().starts_with("there is no table shop_customer"));
    }

    #[test]
    fn a_table_needs_a_key_of_one_column() {
        let mut users = users("auth_user");
        users.columns[0].is_key = false;
        let error = asked(&[users], &Tables::default(), &defaults()).unwrap_err();
        assert_eq!(error, "the table auth_user has no primary key of one column");
    }
}
