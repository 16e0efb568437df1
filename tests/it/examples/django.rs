//! `examples/django`, with the Django that `make test` installs for tests/it/django.rs.

use std::process::Command;

use super::*;

/// Of the virtual environment that `make test` makes.
const PYTHON: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../django/bin/python");

fn manage(site: &Site, arguments: &[&str]) -> Command {
    let mut command = site.command(PYTHON);
    command.env("DEMO_DATABASE", site.file("demo.sqlite3")).arg("manage.py").args(arguments);
    command
}

/// Runs a command of Django's to its end.
fn managed(site: &Site, arguments: &[&str]) -> Vec<u8> {
    let output = manage(site, arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{PYTHON}: {error}; `make test` makes it"));
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output.stdout
}

/// Runs code in Django.
fn django(site: &Site, code: &str) {
    let code = format!("from django.contrib.auth.models import Group, User\n{code}");
    managed(site, &["shell", "--no-imports", "--command", &code]);
}

#[test]
fn the_django_of_the_example_is_the_one_that_is_tested() {
    let pins = |path: PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    let tested = pins(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/django/requirements.txt"));
    for pin in pins(example("django").join("requirements.txt")) {
        assert!(tested.contains(&pin), "{pin}");
    }
}

#[tokio::test]
#[ignore = "needs the Django that `make test` installs"]
async fn django_names_whom_passgate_names() {
    let site = Site::new("django");
    does_not_start_without_a_key(manage(&site, &["check"]));
    managed(&site, &["migrate", "--verbosity", "0"]);
    // Grace was here before Passgate, and Ida; keys are not the order of arrival.
    django(
        &site,
        "editors, keepers = Group.objects.create(name='editors'), Group.objects.create(name='keepers')\n\
         for pk, name in ((41, 'grace'), (42, 'ida')):\n  \
           User.objects.create_user(name, f'{name}@example.com', f'horse-{name}', pk=pk).groups.add(editors)\n",
    );
    fs::write(site.file("dump.json"), managed(&site, &["dumpdata", "auth.user", "auth.group"])).unwrap();
    site.run(&["import", "django", "dump.json"]);
    site.run(&["account", "promote", "grace@example.com"]);
    // Django's own, and one whose members are decided at Passgate.
    django(
        &site,
        "grace = User.objects.get(pk=41)\n\
         grace.groups.set([Group.objects.get(name='keepers')])\n\
         User.objects.filter(pk=42).update(is_active=False)\n",
    );
    let _app = site.start(&mut manage(&site, &["runserver", "--noreload", &site.app.to_string()])).await;
    let gateway = site.gateway().await;
    let door = gateway.door;

    let grace = gateway.sign_in("grace@example.com", "horse-grace").await;
    let told = json!({ "user": 41, "username": "grace", "first_name": "", "email": "grace@example.com",
                       "is_staff": false, "groups": ["editors", "keepers"] });
    assert_eq!(gateway.call("/", &grace, &[]).await, told, "staff at Passgate, and not in Django");
    let ida = gateway.sign_in("ida@example.com", "horse-ida").await;
    assert_eq!(door.get("/", Some(&ida)).await.json()["detail"], "User inactive or deleted.");

    gateway.sign_up("ada@example.com", "Ada Ö, 100%").await;
    let ada = gateway.sign_in("ada@example.com", PASSWORD).await;
    let told = json!({ "user": 43, "username": subject(&ada), "first_name": "Ada Ö, 100%", "email": "",
                       "is_staff": false, "groups": [] });
    assert_eq!(gateway.call("/", &ada, &[]).await, told);
    assert_eq!(gateway.call("/api/me/", &ada, &[]).await, told);
    let bearer = format!("Bearer {ada}");
    let posted = door.send("POST", "/api/me/", &[JSON, ("Authorization", &bearer)], "{}").await;
    assert_eq!((posted.status, posted.json(), posted.header("Set-Cookie")), (200, told.clone(), None));
    assert_eq!(door.get("/api/reports/", Some(&ada)).await.status, 403);

    for key in ["", "guessed", KEY] {
        let forged = [
            ("X-Account-Id", "01a202ee-c147-70bf-a95d-c3bdcad1bc06"),
            ("X-User-Id", "41"),
            ("X-User-Staff", "true"),
            ("X-User-Groups", "editors"),
            ("X-Passgate-Key", key),
        ];
        assert_eq!(gateway.call("/", &ada, &forged).await, told, "{key:?}");
        assert_eq!(gateway.call("/public/", &ada, &forged).await["user"], Value::Null, "{key:?}");
        let stranger = door.send("GET", "/public/", &forged, "").await;
        assert_eq!((stranger.status, &stranger.json()["user"]), (200, &Value::Null), "{key:?}");
        assert_eq!(door.send("GET", "/", &forged, "").await.status, 401, "{key:?}");
        // What all this is for: whoever gets past the gateway, and knows the key, is believed.
        let past = if key == KEY { 200 } else { 403 };
        for path in ["/", "/public/", "/api/me/"] {
            assert_eq!(site.direct().send("GET", path, &forged, "").await.status, past, "{path} {key:?}");
        }
    }
    let nobody = site.direct().get("/api/me/", None).await;
    assert_eq!((nobody.status, nobody.header("WWW-Authenticate")), (401, Some(r#"Bearer realm="api""#)));

    // Who has no password in Django is staff for as long as Passgate says so, and in groups for as long.
    site.run(&["account", "promote", "ada@example.com"]);
    django(&site, "User.objects.get(pk=43).groups.set(Group.objects.all())\n");
    let promoted = gateway.sign_in("ada@example.com", PASSWORD).await;
    let told = gateway.call("/", &promoted, &[]).await;
    assert_eq!((&told["user"], &told["is_staff"], &told["groups"]), (&json!(43), &json!(true), &json!(["keepers"])));
    assert_eq!(door.get("/api/reports/", Some(&promoted)).await.status, 200);
    django(&site, "user = User.objects.get(pk=43)\nuser.set_password('horse-ada')\nuser.save()\n");
    assert_eq!(gateway.call("/", &promoted, &[]).await["is_staff"], false, "a password here is another way in");
}
