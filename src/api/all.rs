//! `GET all/`: every account, inactive ones too, in the order of their ids.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::stream;
use http::{HeaderValue, header::CONTENT_TYPE};

use super::{
    Api,
    current_user::Shown,
    endpoint::{Endpoint, operations},
    error::Error,
    guard::Access,
};
use crate::model::{Account, AccountId};

/// Accounts read from the store at once.
const PAGE: u32 = 1000;

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        path: "all/",
        name: "All accounts",
        description: "Every account, for those who may see them.",
        access: Access::Listing,
        allow: "GET, HEAD, OPTIONS",
        methods: get(list),
        operations: operations![list],
    }
}

/// What of the list is yet to be sent.
enum Rest {
    /// All of it, of which this is the first page.
    All(Vec<Account>),
    /// What comes after this account.
    After(AccountId),
    Nothing,
}

/// The first page is read before the answer starts, so that a store out of reach is still a 503.
#[utoipa::path(
    get, path = "/all/", tag = "accounts", operation_id = "allAccounts",
    responses((status = 200, description = "The accounts, in the order of their ids.", body = [Shown])),
)]
async fn list(State(api): State<Arc<Api>>) -> Result<Response, Error> {
    let first = api.store.accounts(None, PAGE).await?;
    let pages = stream::try_unfold(Rest::All(first), move |rest| {
        let api = Arc::clone(&api);
        async move {
            let (mut json, page) = match rest {
                Rest::All(first) => (b"[".to_vec(), first),
                Rest::After(id) => (Vec::new(), api.store.accounts(Some(id), PAGE).await?),
                Rest::Nothing => return Ok(None),
            };
            let rest = write_page(&mut json, &page)?;
            Ok::<_, axum::BoxError>(Some((json, rest)))
        }
    });
    let body = Body::from_stream(pages);
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

/// Writes a page after what is in `json`, and the list's end after the last one.
fn write_page(json: &mut Vec<u8>, page: &[Account]) -> Result<Rest, serde_json::Error> {
    let opens = !json.is_empty();
    for (at, account) in page.iter().enumerate() {
        if at > 0 || !opens {
            json.push(b',');
        }
        serde_json::to_writer(&mut *json, &Shown::from(account))?;
    }
    match page.last() {
        Some(last) if page.len() >= PAGE as usize => Ok(Rest::After(last.id)),
        _ => {
            json.push(b']');
            Ok(Rest::Nothing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, model::Epoch};

    fn account(username: &str) -> Account {
        Account {
            id: AccountId::generate(),
            email: Some(format!("{username}@example.test")),
            email_verified: false,
            username: username.to_owned(),
            first_name: "A \"quoted\" name".to_owned(),
            last_name: "Unseen".to_owned(),
            groups: Vec::new(),
            staff: false,
            active: true,
            external_id: None,
            epoch: Epoch(0),
            created_at: Timestamp::default(),
        }
    }

    fn written(pages: &[Vec<Account>]) -> serde_json::Value {
        let mut whole = Vec::new();
        let mut rest = None;
        for (at, page) in pages.iter().enumerate() {
            let mut json = if at == 0 { b"[".to_vec() } else { Vec::new() };
            rest = Some(write_page(&mut json, page).unwrap());
            whole.append(&mut json);
        }
        assert!(matches!(rest, Some(Rest::Nothing)));
        serde_json::from_slice(&whole).unwrap()
    }

    #[test]
    fn pages_join_into_one_list_of_three_keys() {
        assert_eq!(written(&[vec![]]), serde_json::json!([]));
        let shown = |name: &str| serde_json::json!({ "email": format!("{name}@example.test"), "username": name, "first_name": "A \"quoted\" name" });
        assert_eq!(written(&[vec![account("a"), account("b")]]), serde_json::json!([shown("a"), shown("b")]));
        let full: Vec<_> = (0..PAGE).map(|n| account(&n.to_string())).collect();
        assert_eq!(written(&[full.clone(), vec![]]).as_array().unwrap().len(), 1000);
        assert_eq!(written(&[full, vec![account("last")]])[1000], shown("last"));
    }
}
