//! A live SQLite database.

use std::path::Path;

use futures_util::TryStreamExt as _;
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};
use tokio::sync::mpsc;

use super::{Column, Dialect, Query, Table, queries};
use crate::import::{
    Error, Tables, gather,
    mapping::Mapping,
    record::Record,
    source::{BATCH, Rows},
};

/// Reads the database as it is at one moment, and changes nothing.
pub(in crate::import) async fn read(
    path: &Path,
    tables: &Tables,
    mapping: &Mapping,
    rows: mpsc::Sender<Rows>,
) -> Result<(), Error> {
    if !path.try_exists().unwrap_or(false) {
        return Err(Error::Input(format!("there is no file {}", path.display())));
    }
    let failed = |error: sqlx::Error| Error::Unavailable(format!("{} cannot be read: {error}", path.display()));
    let options = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
    let mut connection = options.connect().await.map_err(failed)?;
    sqlx::query("BEGIN").execute(&mut connection).await.map_err(failed)?;
    let catalogue = catalogue(&mut connection).await.map_err(failed)?;
    for query in queries(&catalogue, tables, mapping, Dialect::Sqlite)? {
        if !send(&mut connection, query, &rows).await.map_err(failed)? {
            break;
        }
    }
    connection.close().await.map_err(failed)
}

async fn catalogue(connection: &mut SqliteConnection) -> Result<Vec<Table>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT t.name, c.name, c.pk > 0, c.type FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
         WHERE t.type = 'table' ORDER BY t.name, c.cid",
    )
    .fetch_all(connection)
    .await?;
    let mut tables: Vec<Table> = Vec::new();
    for row in rows {
        let name: String = row.try_get(0)?;
        let declared: String = row.try_get(3)?;
        let column = Column { name: row.try_get(1)?, is_key: row.try_get(2)?, is_hex_uuid: declared == "char(32)" };
        match tables.last_mut() {
            Some(table) if table.name == name => table.columns.push(column),
            _ => tables.push(Table { name, columns: vec![column] }),
        }
    }
    Ok(tables)
}

/// Sends the rows of a query on; false when nobody takes them any more.
async fn send(connection: &mut SqliteConnection, query: Query, rows: &mpsc::Sender<Rows>) -> Result<bool, sqlx::Error> {
    let mut found = sqlx::query(sqlx::AssertSqlSafe(query.sql)).fetch(connection);
    let mut records = Vec::with_capacity(BATCH);
    while let Some(row) = found.try_next().await? {
        records.push(record(&query.model, row.try_get(0)?, row.try_get(1)?)?);
        if records.len() == BATCH {
            let records = std::mem::replace(&mut records, Vec::with_capacity(BATCH));
            if rows.send(Rows { records, bytes: 0 }).await.is_err() {
                return Ok(false);
            }
        }
    }
    Ok(rows.send(Rows { records, bytes: 0 }).await.is_ok())
}

/// A row as the database answers it.
pub(super) fn record(model: &str, key: String, fields: &str) -> Result<Record, sqlx::Error> {
    let fields = serde_json::from_str(fields).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(gather::record(model, key, fields))
}
