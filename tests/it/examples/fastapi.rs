//! `examples/fastapi`, with the packages that `make test` installs.

use std::process::Command;

use super::{Site, does_not_start_without_a_key, takes_the_gateways_word_and_nobody_elses};

/// Of the virtual environment that `make test` makes.
const PYTHON: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../fastapi/bin/python");

fn server(site: &Site) -> Command {
    let mut command = site.command(PYTHON);
    command.args(["-m", "uvicorn", "main:app", "--host", "127.0.0.1", "--port", &site.app.port().to_string()]);
    command
}

#[tokio::test]
#[ignore = "needs the packages that `make test` installs"]
async fn fastapi_names_whom_passgate_names() {
    let site = Site::new("fastapi");
    does_not_start_without_a_key(server(&site));
    let _app = site.start(&mut server(&site)).await;
    takes_the_gateways_word_and_nobody_elses(&site).await;
}
