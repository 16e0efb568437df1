//! Identities at providers, as the owner of an account adds and removes them.

use std::sync::Arc;

use super::{OAuth, audit::Caller, to_its_end};
use crate::{
    model::{AccountId, LinkKey},
    store::{DeleteLink, InsertLink, StoreError},
};

impl OAuth {
    /// Has the account sign in by this identity from now on.
    pub async fn link(
        self: &Arc<Self>,
        account: AccountId,
        key: LinkKey,
        caller: &Caller,
    ) -> Result<InsertLink, StoreError> {
        let (oauth, caller) = (Arc::clone(self), caller.clone());
        to_its_end(async move {
            let outcome = oauth.store.insert_link(account, &key).await?;
            if let InsertLink::Inserted(link) = &outcome {
                caller.linked(account, &key.provider, link.id);
            }
            Ok(outcome)
        })
        .await
    }

    /// Has it no longer do so, unless that is its only way in. A provider that is not configured any more is none.
    pub async fn unlink(
        self: &Arc<Self>,
        account: AccountId,
        provider: String,
        link: i64,
        caller: &Caller,
    ) -> Result<DeleteLink, StoreError> {
        let (oauth, caller) = (Arc::clone(self), caller.clone());
        to_its_end(async move {
            let usable: Vec<String> = oauth.providers.names().map(str::to_owned).collect();
            let outcome = oauth.store.delete_link(account, &provider, link, &usable).await?;
            if outcome == DeleteLink::Deleted {
                caller.unlinked(account, &provider, link);
            }
            Ok(outcome)
        })
        .await
    }
}
