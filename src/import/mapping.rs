//! Which fields of Django's rows are read, and what for.

use super::{Label, record::Record};

/// The model of social-auth-app-django that links users to providers.
pub(super) const LINKS: &str = "social_django.usersocialauth";
/// The model of django-oauth-toolkit that has the clients.
pub(super) const CLIENTS: &str = "oauth2_provider.application";
/// Django's groups.
pub(super) const GROUPS: &str = "auth.group";

/// Fields of [`LINKS`].
pub(super) const LINK_FIELDS: [&str; 3] = ["provider", "uid", "user"];
/// Fields of [`CLIENTS`]; the last is of django-oauth-toolkit 2.4 and later.
pub(super) const CLIENT_FIELDS: [&str; 5] =
    ["client_id", "client_type", "authorization_grant_type", "client_secret", "hash_client_secret"];

/// Fields that Django's `AbstractBaseUser` has, under these names.
pub(super) const PASSWORD: &str = "password";
pub(super) const LAST_LOGIN: &str = "last_login";

/// A field of the user model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The operator named it, so it must be there: a slip of the pen would make everybody active.
    pub named: bool,
}

/// Whether Django's addresses count as verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmailVerified {
    /// All of them, or none.
    All(bool),
    /// Those of users where this field is true.
    Field(String),
}

/// The fields of the user model by what they mean.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The model; without one it is found by its fields.
    pub model: Option<Label>,
    /// The address to sign in with.
    pub email: String,
    /// What others call the user.
    pub username: Field,
    /// Given name.
    pub first_name: Field,
    /// Family name.
    pub last_name: Field,
    /// Whether it may do what staff may.
    pub staff: Field,
    /// Whether it may sign in.
    pub active: Field,
    /// Its groups, a many-to-many field.
    pub groups: Field,
    /// When it was made.
    pub joined: Field,
    /// Whether its address counts as verified.
    pub email_verified: EmailVerified,
}

impl Mapping {
    /// The columns that a row of the user model must have.
    pub(super) fn required(&self) -> Vec<&str> {
        let mut names = vec![self.email.as_str(), PASSWORD, LAST_LOGIN];
        names.extend(self.columns().into_iter().filter(|field| field.named).map(|field| field.name.as_str()));
        if let EmailVerified::Field(name) = &self.email_verified {
            names.push(name);
        }
        names
    }

    /// The columns that are read where they are there, [`Mapping::required`] aside.
    pub(super) fn optional(&self) -> Vec<&str> {
        self.columns().into_iter().filter(|field| !field.named).map(|field| field.name.as_str()).collect()
    }

    /// Whether a field of this name, of whatever model, may be wanted.
    pub(super) fn wants(&self, name: &str) -> bool {
        name == "name"
            || name == self.groups.name
            || LINK_FIELDS.contains(&name)
            || CLIENT_FIELDS.contains(&name)
            || self.required().contains(&name)
            || self.optional().contains(&name)
    }

    /// Whether a row has what every user has.
    pub(super) fn is_user(&self, record: &Record) -> bool {
        [self.email.as_str(), PASSWORD, LAST_LOGIN].iter().all(|field| record.fields.contains_key(*field))
    }

    /// All but the groups, which are in a table of their own.
    fn columns(&self) -> [&Field; 6] {
        [&self.username, &self.first_name, &self.last_name, &self.staff, &self.active, &self.joined]
    }
}

/// The defaults, for tests: what the command line says when it is told nothing.
#[cfg(test)]
pub(super) fn defaults() -> Mapping {
    let field = |name: &str| Field { name: name.to_owned(), named: false };
    Mapping {
        model: None,
        email: "email".to_owned(),
        username: field("username"),
        first_name: field("first_name"),
        last_name: field("last_name"),
        staff: field("is_staff"),
        active: field("is_active"),
        groups: field("groups"),
        joined: field("date_joined"),
        email_verified: EmailVerified::All(false),
    }
}
