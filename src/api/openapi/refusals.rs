//! The refusals that endpoints share, as components of the document.

use utoipa::{
    ToResponse, ToSchema,
    openapi::{
        Components, ComponentsBuilder, ContentBuilder, Header, HeaderBuilder, ObjectBuilder, OneOfBuilder, Ref, RefOr,
        Response, ResponseBuilder, Type,
    },
};

use crate::api::error::{Detail, FieldLists, OAuthError};

/// A header of a refusal.
struct Sent {
    name: &'static str,
    /// Where it is not, the refusal's text says when.
    always: bool,
}

/// How to sign in (RFC 9110 section 11.6.1).
const CHALLENGE: Sent = Sent { name: "WWW-Authenticate", always: true };
const CHALLENGE_AT_TIMES: Sent = Sent { always: false, ..CHALLENGE };
/// When to try again, in seconds (RFC 9110 section 10.2.3).
const RETRY_AFTER: Sent = Sent { name: "Retry-After", always: true };

/// Each with its text, the shapes that its body may have, and its header. In `#[utoipa::path(…)]` it is
/// `(status = …, response = Name)`.
macro_rules! refusals {
    ($($(#[doc = $text:literal])+ $name:ident: $($shape:ident)|+ $(, $header:ident)?;)+) => {
        $(
            $(#[doc = $text])+
            pub(in crate::api) enum $name {}

            impl<'r> ToResponse<'r> for $name {
                fn response() -> (&'r str, RefOr<Response>) {
                    let shapes = vec![$(Ref::from_schema_name(<$shape as ToSchema>::name())),+];
                    (stringify!($name), refusal(concat!($($text),+), shapes, &[$($header)?]).into())
                }
            }
        )+

        /// All of them.
        pub(super) fn all() -> Components {
            ComponentsBuilder::new()$(.response_from::<$name>())+.build()
        }
    };
}

refusals! {
    /// Fields are wrong, and all that are wrong are told; or the body cannot be read.
    WrongFields: FieldLists | Detail;
    /// The grant is refused, or the body cannot be read.
    WrongGrant: OAuthError | Detail;
    /// Fields are wrong, and all that are wrong are told; or the client is refused; or the body cannot be read.
    WrongFieldsOrClient: FieldLists | OAuthError | Detail;
    /// Fields are wrong, and all that are wrong are told; or the provider's token, or what it proves, is refused; or the
    /// body cannot be read.
    WrongFieldsOrProof: FieldLists | OAuthError | Detail;
    /// Nobody is signed in, or the access token does not hold.
    Unauthorized: Detail, CHALLENGE;
    /// The client is not known, or did not prove who it is. The challenge is for those that used HTTP Basic.
    InvalidClient: OAuthError, CHALLENGE_AT_TIMES;
    /// Nobody is signed in, or the access token does not hold: then there is a challenge. Or the client did not prove
    /// who it is.
    UnauthorizedOrInvalidClient: Detail | OAuthError, CHALLENGE_AT_TIMES;
    /// This is not for everybody.
    Forbidden: Detail;
    /// There is none.
    NotFound: Detail;
    /// It is somebody else's.
    Conflict: Detail;
    /// The body is too large.
    TooLarge: Detail;
    /// The body is of another type than those described.
    UnsupportedMediaType: Detail;
    /// This was tried too often; try again later.
    Throttled: Detail, RETRY_AFTER;
    /// Too many signed up from there, or the client was tried to be too often; try again later.
    SignUpThrottled: Detail | OAuthError, RETRY_AFTER;
    /// Tokens were asked for too often; try again later.
    OAuthThrottled: OAuthError, RETRY_AFTER;
    /// Nothing can be said for now; try again.
    Unavailable: Detail, RETRY_AFTER;
    /// No tokens can be had for now; try again.
    OAuthUnavailable: OAuthError, RETRY_AFTER;
    /// Nothing can be said for now, of the client or at all; try again.
    ClientUnavailable: OAuthError | Detail, RETRY_AFTER;
    /// Nothing can be said for now, by us or by the provider; try again.
    ProofUnavailable: OAuthError | Detail, RETRY_AFTER;
}

fn refusal(text: &str, mut shapes: Vec<Ref>, headers: &[Sent]) -> Response {
    let schema = match shapes.pop() {
        Some(only) if shapes.is_empty() => RefOr::Ref(only),
        last => RefOr::T(shapes.into_iter().chain(last).fold(OneOfBuilder::new(), OneOfBuilder::item).into()),
    };
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new().description(text.trim()).content("application/json", content);
    headers.iter().fold(response, |response, sent| response.header(sent.name, sent.header())).build()
}

impl Sent {
    fn header(&self) -> Header {
        let schema = match self.name {
            "Retry-After" => ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)),
            _ => ObjectBuilder::new().schema_type(Type::String),
        };
        // utoipa has no field for it.
        let required = self.always.then(|| [("required", true)].into_iter().collect());
        HeaderBuilder::new().schema(Some(schema)).extensions(required).build()
    }
}
