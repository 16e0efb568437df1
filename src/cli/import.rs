//! `passgate import …`: accounts from another system, beside a running gateway or without one.

mod progress;
mod told;

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, Subcommand};

use self::progress::Bar;
use super::{Failure, store::block_on};
use crate::{
    app::{self, Opened},
    clock::Clock,
    config::Settings,
    import::{self, EmailVerified, Field, Label, Mapping, Source, Tables, Target, is_name},
    master::ClientSecrets,
    model::Scope,
    secret::Secret,
    store::{self, sql::Role},
};

/// From where accounts can come.
#[derive(Subcommand)]
pub enum ImportCommand {
    /// Users, social links and OAuth applications of a Django site (drf-social-oauth2 and its parts)
    #[command(after_help = EXAMPLES)]
    Django(Box<Django>),
}

const EXAMPLES: &str = "\
Examples:
  python manage.py dumpdata accounts auth.group social_django oauth2_provider.application > dump.json
  passgate import django --dry-run dump.json      See what would come, and what would not
  passgate import django --report left.jsonl dump.json
  ssh db cat dump.json | passgate import django -
  passgate import django /srv/site/db.sqlite3
  PGPASSWORD=… passgate import django postgres://django@db.internal/shop --model shop.Customer

Users keep their passwords; their primary key becomes the account's external_id. Nothing that is there is
changed: run it again whenever you like. An account that was imported before stays as it is, and gets the links
that it lacks, also those that its owner has removed here. A gateway may run meanwhile.

Links to Google that name an address wait for their owner: the first sign-in with that very address, verified by
Google, takes the link over. Of users whose addresses differ in letter case alone, the one who signed in last
keeps the address.";

/// What to take over, and under which names it is found.
#[derive(Args)]
pub struct Django {
    /// A dump, a database, or `-` for a dump at standard input
    #[arg(value_name = "FILE|URL")]
    source: String,
    /// Read and judge everything, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write a line of JSON for each row that is left out or changed; has addresses in it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Scopes that imported clients may ask for
    #[arg(long, value_name = "SCOPES", default_value = "read write", value_parser = scopes)]
    scopes: Scope,

    /// The model of the users, when it is not the only one with a password, an address and a last_login
    #[arg(long, value_name = "APP.MODEL", value_parser = label, help_heading = "The user model")]
    model: Option<Label>,
    /// Its field of the address to sign in with
    #[arg(long, value_name = "FIELD", default_value = "email", value_parser = name, help_heading = "The user model")]
    email: String,
    /// Its field of the name to show [default: username, or the beginning of the address]
    #[arg(long, value_name = "FIELD", value_parser = name, help_heading = "The user model")]
    username: Option<String>,
    /// Its field of the given name [default: first_name, if there is one]
    #[arg(long, value_name = "FIELD", value_parser = name, help_heading = "The user model")]
    first_name: Option<String>,
    /// Its field of the family name [default: last_name, if there is one]
    #[arg(long, value_name = "FIELD", value_parser = name, help_heading = "The user model")]
    last_name: Option<String>,
    /// Its flag of those who may do what staff may [default: is_staff, or nobody]
    #[arg(long, value_name = "FIELD", value_parser = name, help_heading = "The user model")]
    staff: Option<String>,
    /// Its flag of those who may sign in [default: is_active, or everybody]
    #[arg(long, value_name = "FIELD", value_parser = name, help_heading = "The user model")]
    active: Option<String>,
    /// Its field of the groups, whose names are taken [default: groups, if there is one]
    #[arg(long, value_name = "FIELD", value_parser = name, help_heading = "The user model")]
    groups: Option<String>,
    /// Its field of when the user came [default: date_joined, or today]
    #[arg(long, value_name = "FIELD", value_parser = name, help_heading = "The user model")]
    joined: Option<String>,
    /// Whether addresses count as verified, so that upstreams are told of them: all, none, or those with this flag
    #[arg(long, value_name = "FIELD|yes|no", default_value = "no", value_parser = verified, help_heading = "The user model")]
    email_verified: EmailVerified,

    /// The table of the user model [default: app_model]
    #[arg(long, value_name = "TABLE", value_parser = name, help_heading = "In a database")]
    table: Option<String>,
    /// The table of social links [default: social_auth_usersocialauth]
    #[arg(long, value_name = "TABLE", value_parser = name, help_heading = "In a database")]
    links_table: Option<String>,
    /// The table of applications [default: oauth2_provider_application]
    #[arg(long, value_name = "TABLE", value_parser = name, help_heading = "In a database")]
    clients_table: Option<String>,
}

fn name(text: &str) -> Result<String, &'static str> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("a name has letters, digits and _") }
}

fn label(text: &str) -> Result<Label, &'static str> {
    Label::parse(text).ok_or("a model is named by its app and itself: accounts.Account")
}

fn scopes(text: &str) -> Result<Scope, &'static str> {
    Scope::parse(text).ok_or("scopes are visible ASCII characters other than \" and \\, separated by spaces")
}

fn verified(text: &str) -> Result<EmailVerified, &'static str> {
    match text {
        "yes" => Ok(EmailVerified::All(true)),
        "no" => Ok(EmailVerified::All(false)),
        field => name(field).map(EmailVerified::Field),
    }
}

impl Django {
    fn mapping(&self) -> Mapping {
        let field = |given: &Option<String>, usual: &str| Field {
            name: given.clone().unwrap_or_else(|| usual.to_owned()),
            named: given.is_some(),
        };
        Mapping {
            model: self.model.clone(),
            email: self.email.clone(),
            username: field(&self.username, "username"),
            first_name: field(&self.first_name, "first_name"),
            last_name: field(&self.last_name, "last_name"),
            staff: field(&self.staff, "is_staff"),
            active: field(&self.active, "is_active"),
            groups: field(&self.groups, "groups"),
            joined: field(&self.joined, "date_joined"),
            email_verified: self.email_verified.clone(),
        }
    }

    fn source(&self) -> Result<Source, Failure> {
        let tables =
            Tables { users: self.table.clone(), links: self.links_table.clone(), clients: self.clients_table.clone() };
        Ok(Source::named(&self.source, tables)?)
    }
}

/// Carries the command out.
pub fn run(command: ImportCommand, config: &Path) -> Result<(), Failure> {
    let ImportCommand::Django(command) = command;
    let settings = super::load(config)?;
    let source = command.source()?;
    let is_there = match &settings.store {
        store::Settings::Sqlite { path } => path.try_exists().unwrap_or(true),
        store::Settings::Redis(_) => true,
    };
    block_on(async {
        // Opening would make a store, and a master secret, where there is none.
        if command.dry_run && !is_there {
            return django(&command, source, &settings, None).await;
        }
        let opened = app::open(&settings, &Clock::system(), Role::Command).await?;
        let store = Arc::clone(&opened.store);
        let done = django(&command, source, &settings, Some(&opened)).await;
        store.close().await;
        done
    })
}

async fn django(command: &Django, source: Source, settings: &Settings, opened: Option<&Opened>) -> Result<(), Failure> {
    let secrets = opened.map(|opened| ClientSecrets::new(opened.masters.in_force()));
    // Without a store nothing is written: no MAC is looked at.
    let mac = |secret: &str| secrets.as_ref().map_or([0; 32], |secrets| secrets.mac(&Secret::from(secret)));
    let target = Target {
        store: opened.map(|opened| &*opened.store),
        client_secret_mac: &mac,
        configured_clients: settings.clients.iter().map(|client| client.id.clone()).collect(),
        configured_providers: settings.providers.iter().map(|provider| provider.name.clone()).collect(),
        scopes: command.scopes.clone(),
        dry_run: command.dry_run,
        clock: Clock::system(),
    };
    let mut report = command.report.as_deref().map(new_report).transpose()?;
    let report = report.as_mut().map(|file| file as &mut dyn Write);
    let bar = Bar::new(source.size());
    let done = import::run(source, &command.mapping(), &target, report, &bar).await;
    bar.end();
    let (model, summary) = done?;
    super::print(&told::told(&model, &summary, command.dry_run, command.report.is_some()))
}

/// A file for the operator alone, as there are addresses in it. One that is there is left: it may be the dump.
fn new_report(path: &Path) -> Result<BufWriter<std::fs::File>, Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map(BufWriter::new).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("{} is there already; name another file for the report", path.display()))
        }
        _ => Failure::usage(format!("the report {} cannot be made: {error}", path.display())),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        command: ImportCommand,
    }

    fn parse(line: &str) -> Result<Django, String> {
        let ImportCommand::Django(django) =
            Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?.command;
        Ok(*django)
    }

    #[test]
    fn fields_have_defaults_that_may_be_missing_and_names_that_may_not() {
        let mapping = parse("import django dump.json").unwrap().mapping();
        assert_eq!(mapping.staff, Field { name: "is_staff".to_owned(), named: false });
        assert_eq!((mapping.email.as_str(), mapping.model), ("email", None));
        assert_eq!(mapping.email_verified, EmailVerified::All(false));

        let line = "import django dump.json --model shop.Customer --staff boss --email-verified confirmed";
        let mapping = parse(line).unwrap().mapping();
        assert_eq!(mapping.staff, Field { name: "boss".to_owned(), named: true });
        assert_eq!(mapping.model, Label::parse("shop.customer"));
        assert_eq!(mapping.email_verified, EmailVerified::Field("confirmed".to_owned()));
    }

    #[test]
    fn what_could_be_more_than_a_name_is_refused() {
        for line in [
            "import django dump.json --email e-mail",
            "import django dump.json --staff x'y",
            "import django dump.json --table auth_user;",
            "import django dump.json --model user",
            "import django dump.json --scopes \"",
            "import django",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_report_is_its_operators_alone_and_replaces_nothing() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.jsonl");
        new_report(&path).ok().unwrap().write_all(b"{}").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let refused = new_report(&path).err().unwrap().to_string();
        assert!(refused.contains("is there already"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), b"{}");
    }
}
