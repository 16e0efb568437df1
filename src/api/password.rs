//! `POST password/`: the bearer's account gets another password, and its other sessions end.
//!
//! A bearer alone is not enough, since it may be stolen: the current password proves who asks. Where there is none yet, a
//! token of a provider does that the account is linked to; not elsewhere, since a bearer is enough to link one.

use std::sync::Arc;

use axum::{extract::State, routing::post};
use http::StatusCode;
use utoipa::ToSchema;

use super::{
    Api, Caller,
    body::Body,
    create,
    endpoint::{Endpoint, operations},
    error::Error,
    form::Form,
    guard::{Access, User},
    links::Proof,
    openapi::refusals::{ProofUnavailable, Throttled, WrongFieldsOrProof},
};
use crate::{
    account::{RegisterError, SignInError},
    authn::Rejection,
    model::Epoch,
    secret::Secret,
    throttle::Event,
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        path: "password/",
        name: "Password",
        description: "Sets another password and ends the other sessions.",
        access: Access::User,
        allow: "POST, OPTIONS",
        methods: post(change),
        operations: operations![change],
    }
}

/// A new password, and the current one or a provider's token.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is read field by field")]
struct PasswordFields {
    #[schema(min_length = 8, max_length = 128)]
    new_password: String,
    /// Needed where the account has a password.
    current_password: Option<String>,
    /// Where it has none: the provider of a link of the account.
    #[schema(max_length = 200)]
    backend: Option<String>,
    /// That provider's access token, or its ID token.
    #[schema(max_length = 5000)]
    token: Option<String>,
    /// What the ID token must have as its `nonce`.
    #[schema(max_length = 500)]
    nonce: Option<String>,
}

#[utoipa::path(
    post, path = "/password/", tag = "accounts", operation_id = "changePassword",
    request_body = PasswordFields,
    responses(
        (status = 204, description = "The password is changed, and the other sessions have ended."),
        (status = 400, response = WrongFieldsOrProof),
        (status = 429, response = Throttled),
        (status = 503, response = ProofUnavailable),
    ),
)]
async fn change(State(api): State<Arc<Api>>, user: User, caller: Caller, body: Body) -> Result<StatusCode, Error> {
    let mut form = Form::new(body.fields()?);
    let new = form.password("new_password");
    let proof = if form.has("backend") || form.has("token") {
        By::Provider(Proof::read(&mut form))
    } else {
        By::Password(form.password("current_password"))
    };
    form.finish()?;

    let session = user.principal.session;
    let failed = |error: &Error| {
        if matches!(error, Error::Fields(_) | Error::Denied(..)) {
            caller.password_change_failed(user.account.id, session);
        }
    };
    let epoch = proof.check(&api, &user, &caller).await.inspect_err(failed)?;
    match api.oauth.change_password(user.account, epoch, session, new, &caller).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        // Meanwhile somebody else changed it, or ended this session.
        Ok(false) => Err(Error::Unauthorized(Rejection::Revoked)),
        Err(RegisterError::Fields(faults)) => {
            Err(Error::Fields(faults.into_iter().map(|(_, text)| ("new_password", text)).collect()))
        }
        Err(error) => Err(create::refusal(error)),
    }
}

/// What proves the owner.
enum By {
    Password(Secret),
    Provider(Proof),
}

impl By {
    /// The account's epoch from before the proof, if it is one.
    async fn check(self, api: &Api, user: &User, caller: &Caller) -> Result<Epoch, Error> {
        match self {
            Self::Password(password) => {
                api.oauth.admit(Event::SignIn, caller).await?;
                let attempt = api.oauth.attempt_own(user.account.id, caller).await?;
                let proven = api.accounts.prove(user.account.id, password).await;
                if !matches!(proven, Ok(None) | Err(SignInError::Invalid(_))) {
                    api.oauth.throttle.uncount(attempt).await;
                }
                match proven {
                    Ok(Some(epoch)) => Ok(epoch),
                    Ok(None) | Err(SignInError::Invalid(_)) => {
                        Err(Error::field("current_password", "This is not the current password."))
                    }
                    Err(SignInError::Busy(busy)) => Err(busy.into()),
                    Err(SignInError::Store(error)) => Err(error.into()),
                }
            }
            Self::Provider(_) if api.accounts.has_password(user.account.id).await? => {
                Err(Error::field("current_password", "current_password is required."))
            }
            Self::Provider(proof) => {
                let key = proof.key(api, caller).await?;
                if api.store.linked_account(&key).await? == Some(user.account.id) {
                    Ok(user.account.epoch)
                } else {
                    Err(Error::field("token", "This account is not linked to that identity."))
                }
            }
        }
    }
}
