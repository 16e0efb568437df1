//! `examples/express`, with the packages that `make test` installs.

use std::{fs, os::unix::fs::symlink, process::Command};

use super::{Site, does_not_start_without_a_key, example, takes_the_gateways_word_and_nobody_elses};

/// Of the directory that `make test` fills.
const PACKAGES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../express/node_modules");

/// node looks for packages beside the code: a copy of it stands beside those of `make test`.
fn server(site: &Site) -> Command {
    for file in ["package.json", "passgate.js", "server.js"] {
        fs::copy(example("express").join(file), site.file(file)).unwrap();
    }
    if !site.file("node_modules").exists() {
        symlink(PACKAGES, site.file("node_modules")).unwrap();
    }
    let mut command = site.command("node");
    command.current_dir(site.directory.path()).arg("server.js").env("PORT", site.app.port().to_string());
    command
}

#[tokio::test]
#[ignore = "needs the packages that `make test` installs"]
async fn express_names_whom_passgate_names() {
    let site = Site::new("express");
    does_not_start_without_a_key(server(&site));
    let _app = site.start(&mut server(&site)).await;
    takes_the_gateways_word_and_nobody_elses(&site).await;
}
