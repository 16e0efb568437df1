//! A live PostgreSQL database.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Row as _,
    postgres::{PgConnectOptions, PgConnection},
};
use tokio::sync::mpsc;

use super::{Column, Dialect, Query, Table, queries, sqlite::record};
use crate::{
    import::{Error, Tables, mapping::Mapping, source::Rows},
    secret::Secret,
};

/// How long a server may take to answer the knock.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the database as it is at one moment, and changes nothing.
pub(in crate::import) async fn read(
    url: &Secret,
    tables: &Tables,
    mapping: &Mapping,
    rows: mpsc::Sender<Rows>,
) -> Result<(), Error> {
    // Its error would quote the URL, and the password with it.
    let options = PgConnectOptions::from_str(url.expose())
        .map_err(|_| Error::Input("this is no URL of a PostgreSQL database: postgres://USER@HOST/DATABASE".to_owned()))?
        .application_name("passgate import")
        .disable_statement_logging();
    let connecting = tokio::time::timeout(PATIENCE, options.connect());
    let connected = connecting.await.map_err(|_| Error::Unavailable("PostgreSQL does not answer".to_owned()))?;
    let failed = |error: sqlx::Error| Error::Unavailable(format!("PostgreSQL cannot be read: {error}"));
    let mut connection = connected.map_err(failed)?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    sqlx::query(begin).execute(&mut connection).await.map_err(failed)?;
    let catalogue = catalogue(&mut connection).await.map_err(failed)?;
    for query in queries(&catalogue, tables, mapping, Dialect::Postgres)? {
        if !send(&mut connection, query, &rows).await.map_err(failed)? {
            break;
        }
    }
    connection.close().await.map_err(failed)
}

/// What unqualified names lead to.
async fn catalogue(connection: &mut PgConnection) -> Result<Vec<Table>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT c.relname::text, a.attname::text, coalesce(a.attnum = ANY (i.indkey), false) \
         FROM pg_class c \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
         WHERE c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid) \
             AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) \
         ORDER BY c.relname, a.attnum",
    )
    .fetch_all(connection)
    .await?;
    let mut tables: Vec<Table> = Vec::new();
    for row in rows {
        let name: String = row.try_get(0)?;
        let column = Column { name: row.try_get(1)?, is_key: row.try_get(2)?, is_hex_uuid: false };
        match tables.last_mut() {
            Some(table) if table.name == name => table.columns.push(column),
            _ => tables.push(Table { name, columns: vec![column] }),
        }
    }
    Ok(tables)
}

/// Sends the rows of a query on, through a cursor of the server's, so that neither side holds them all; false when
/// nobody takes them any more.
async fn send(connection: &mut PgConnection, query: Query, rows: &mpsc::Sender<Rows>) -> Result<bool, sqlx::Error> {
    let declare = format!("DECLARE rows NO SCROLL CURSOR FOR {}", query.sql);
    sqlx::query(sqlx::AssertSqlSafe(declare)).execute(&mut *connection).await?;
    loop {
        let page = sqlx::query("FETCH 500 FROM rows").fetch_all(&mut *connection).await?;
        if page.is_empty() {
            break;
        }
        let records = page.iter().map(|row| record(&query.model, row.try_get(0)?, row.try_get(1)?));
        let records = records.collect::<Result<_, _>>()?;
        if rows.send(Rows { records, bytes: 0 }).await.is_err() {
            return Ok(false);
        }
    }
    sqlx::query("CLOSE rows").execute(connection).await?;
    Ok(true)
}
