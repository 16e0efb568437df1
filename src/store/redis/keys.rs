//! Signing keys: [`KeyStore`].

use std::sync::LazyLock;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{
    RedisStore,
    changes::{log_script, random_id},
    codec,
    script::Script,
};
use crate::{
    change_log::Change,
    clock::Timestamp,
    store::{KeyStore, StoreError, StoredKey},
};

static INSERT: LazyLock<Script> = log_script!("insert_key.lua");
static DELETE: LazyLock<Script> = log_script!("delete_key.lua");
static RESEAL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/reseal_key.lua")));

#[derive(Serialize, Deserialize)]
struct KeyRow {
    algorithm: String,
    /// In base64.
    sealed: String,
    created_at: i64,
    signs_from: i64,
}

#[async_trait]
impl KeyStore for RedisStore {
    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let mut all = redis::cmd("HGETALL");
        all.arg(self.0.names.beside_log("keys"));
        let rows: Vec<(String, String)> = self.within(self.0.connection.query(&all)).await?;
        let mut keys = rows.into_iter().map(|(kid, row)| key(kid, &row)).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by(|a, b| (a.signs_from, a.created_at, &a.kid).cmp(&(b.signs_from, b.created_at, &b.kid)));
        Ok(keys)
    }

    async fn insert_key(&self, key: &StoredKey, known: &[String]) -> Result<bool, StoreError> {
        let args = [&[key.kid.clone(), row(key)?], known].concat();
        self.change_beside_log(&INSERT, "keys", &Change::Keys, args).await
    }

    async fn reseal_key(&self, kid: &str, current: &[u8], sealed: &[u8]) -> Result<bool, StoreError> {
        let mut get = redis::cmd("HGET");
        get.arg(self.0.names.beside_log("keys")).arg(kid);
        let Some(found): Option<String> = self.within(self.0.connection.query(&get)).await? else { return Ok(false) };
        let mut kept = key(kid.to_owned(), &found)?;
        if kept.sealed != current {
            return Ok(false);
        }
        kept.sealed = sealed.to_vec();
        let mut script = RESEAL.prepare();
        script.key(self.0.names.beside_log("keys")).arg(kid).arg(found).arg(row(&kept)?);
        self.within(self.0.connection.run_once(&script)).await
    }

    async fn delete_key(&self, kid: &str) -> Result<bool, StoreError> {
        self.change_beside_log(&DELETE, "keys", &Change::Keys, vec![kid.to_owned()]).await
    }
}

impl RedisStore {
    /// Runs a script that changes what is kept beside the log, and logs that it did. Whether it did.
    pub(super) async fn change_beside_log(
        &self,
        script: &'static Script,
        what: &str,
        change: &Change,
        args: Vec<String>,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let entry = codec::write_change(change, self.short_until().await?);
            let mut script = script.prepare();
            script.key(self.0.names.log()).key(self.0.names.beside_log("state")).key(self.0.names.beside_log(what));
            script.arg(random_id()?).arg(entry).arg(args);
            let changed = self.0.connection.run_once(&script).await?;
            if changed {
                self.0.changes.apply(change);
            }
            Ok(changed)
        })
        .await
    }
}

fn row(key: &StoredKey) -> Result<String, StoreError> {
    codec::write(&KeyRow {
        algorithm: key.algorithm.clone(),
        sealed: STANDARD.encode(&key.sealed),
        created_at: key.created_at.millis(),
        signs_from: key.signs_from.millis(),
    })
}

fn key(kid: String, row: &str) -> Result<StoredKey, StoreError> {
    let row: KeyRow = codec::read("a signing key", row)?;
    Ok(StoredKey {
        kid,
        algorithm: row.algorithm,
        sealed: STANDARD.decode(row.sealed).map_err(|_| codec::unreadable("a signing key"))?,
        created_at: Timestamp::from_millis(row.created_at),
        signs_from: Timestamp::from_millis(row.signs_from),
    })
}
