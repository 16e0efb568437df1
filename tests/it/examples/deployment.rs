//! What runs a gateway: containers, Kubernetes, systemd. None of them is at hand in a test; what they say of the
//! gateway is held against its configuration, and against each other.

use std::{collections::BTreeSet, time::Duration};

use super::{yaml::documents, *};

/// Long enough for any of them.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names that a configuration wants from the environment, with values that will do.
fn variables(yaml: &str) -> Vec<(String, String)> {
    let named = yaml.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    let value = |name: &str| if name.ends_with("_URL") { "redis://user:password@redis" } else { SECRET };
    named.map(|name| (name.to_owned(), value(name).to_owned())).collect()
}

/// The values that the unit gives to a key.
fn unit(key: &str) -> Vec<String> {
    let unit = text("examples/systemd/passgate.service");
    let lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    lines.map(str::to_owned).collect()
}

/// What systemd makes for the unit: its credentials, in `directory`, and its environment.
fn unit_environment(directory: &TempDir) -> Vec<(String, String)> {
    for credential in unit("LoadCredential") {
        let (name, from) = credential.split_once(':').unwrap();
        assert!(text("examples/systemd/README.md").contains(&format!("> {from}")), "README.md makes {from}");
        fs::write(directory.path().join(name), SECRET).unwrap();
    }
    let filled = |line: String| line.replace("%d", directory.path().to_str().unwrap());
    let lines = unit("Environment").into_iter().map(filled);
    lines.map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap()).collect()
}

fn files_under(directory: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_under(path) } else { vec![path] }).collect()
}

#[test]
fn every_configuration_that_comes_with_passgate_holds() {
    let credentials = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = files_under(root.join("examples"));
    let examples: Vec<_> = examples.into_iter().filter(|path| path.ends_with("passgate.yaml")).collect();
    assert!(examples.len() > 6, "{examples:?}");
    // Beside them is their schema.
    let files =
        files_under(root.join("config")).into_iter().filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    for path in files.chain(examples) {
        let mut command = passgate();
        command.args(["check", "--config"]).arg(&path).envs(variables(&fs::read_to_string(&path).unwrap()));
        if path.ends_with("systemd/passgate.yaml") {
            command.envs(unit_environment(&credentials));
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}: {}", path.display(), stderr(&output));
    }
}

/// The configuration of this example in force.
fn settings(name: &str) -> passgate::config::Settings {
    let yaml = text(&format!("examples/{name}/passgate.yaml"));
    passgate::config::parse(&yaml, name, variables(&yaml).into_iter()).unwrap_or_else(|report| panic!("{report}"))
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.trim_end_matches('s').parse().unwrap())
}

#[test]
fn who_ends_a_gateway_waits_for_longer_than_it_drains() {
    for name in ["compose", "quickstart-compose"] {
        let compose = documents(&text(&format!("examples/{name}/compose.yaml"))).remove(0);
        let services = compose["services"].as_object().unwrap();
        let gateways: Vec<_> = services.values().filter(|service| service.get("build").is_some()).collect();
        assert!(!gateways.is_empty());
        for gateway in gateways {
            let patience = seconds(gateway["stop_grace_period"].as_str().unwrap());
            assert!(patience > settings(name).limits.drain, "{name}");
        }
    }
    let drain = passgate::config::parse(
        &text("examples/systemd/passgate.yaml"),
        "systemd",
        unit_environment(&tempfile::tempdir().unwrap()).into_iter(),
    );
    let patience = seconds(&unit("TimeoutStopSec")[0]);
    assert!(patience > drain.unwrap_or_else(|report| panic!("{report}")).limits.drain);

    let pod = &deployment()["spec"]["template"]["spec"];
    let first = &pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"];
    assert_eq!(first[0], "sleep");
    let patience = seconds(pod["terminationGracePeriodSeconds"].as_str().unwrap());
    assert!(patience > settings("kubernetes").limits.drain + seconds(first[1].as_str().unwrap()));
}

/// All objects for Kubernetes, by the kustomization.
fn objects() -> Vec<Value> {
    let kustomization = documents(&text("examples/kubernetes/kustomization.yaml")).remove(0);
    let listed = kustomization["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    listed.flat_map(|name| documents(&text(&format!("examples/kubernetes/{name}")))).collect()
}

fn objects_of(kind: &str) -> Vec<Value> {
    objects().into_iter().filter(|object| object["kind"] == kind).collect()
}

fn deployment() -> Value {
    objects_of("Deployment").remove(0)
}

#[test]
fn kubernetes_is_told_what_the_gateway_does() {
    let objects = objects();
    for object in &objects {
        assert!(object["apiVersion"].is_string() && object["metadata"]["name"].is_string(), "{object}");
    }
    let kustomization = documents(&text("examples/kubernetes/kustomization.yaml")).remove(0);
    let listed: BTreeSet<_> =
        kustomization["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let files = files_under(example("kubernetes"));
    let names: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let manifests = names
        .into_iter()
        .filter(|name| name.strip_suffix(".yaml").is_some_and(|name| !matches!(name, "passgate" | "kustomization")));
    assert_eq!(manifests.collect::<BTreeSet<_>>(), listed);

    // Where it finds its configuration, and what that names.
    let settings = settings("kubernetes");
    let deployment = deployment();
    let pod = &deployment["spec"]["template"]["spec"];
    let gateway = &pod["containers"][0];
    let generated = &kustomization["configMapGenerator"][0];
    assert_eq!(generated["files"], json!(["passgate.yaml"]));
    assert_eq!(pod["volumes"][0], json!({ "name": "config", "configMap": { "name": generated["name"] } }));
    assert_eq!(gateway["volumeMounts"][0]["mountPath"], "/etc/passgate");
    let claim = &objects_of("PersistentVolumeClaim")[0]["metadata"]["name"];
    assert_eq!(&pod["volumes"][1]["persistentVolumeClaim"]["claimName"], claim);
    let given = gateway["env"].as_array().unwrap().iter().map(|variable| variable["name"].as_str().unwrap().to_owned());
    let wanted = variables(&text("examples/kubernetes/passgate.yaml")).into_iter().map(|(name, _)| name);
    assert_eq!(given.collect::<BTreeSet<_>>(), wanted.collect());
    let readme = text("examples/kubernetes/README.md");
    for variable in gateway["env"].as_array().unwrap() {
        let key = variable["valueFrom"]["secretKeyRef"]["key"].as_str().unwrap();
        assert!(readme.contains(&format!("--from-literal={key}=")), "README.md makes {key}");
    }

    // Where it listens.
    let port = |name: &str| {
        let ports = gateway["ports"].as_array().unwrap();
        ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"]
            .as_str()
            .unwrap()
            .parse::<u16>()
            .unwrap()
    };
    assert_eq!(settings.listeners[0].address.port(), port("http"));
    assert_eq!(settings.admin.unwrap().port(), port("admin"));
    assert!(settings.admin.unwrap().ip().is_unspecified(), "probes do not come from within");
    for (probe, path) in [("startupProbe", "/readyz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")] {
        assert_eq!(gateway[probe]["httpGet"], json!({ "path": path, "port": "admin" }), "{probe}");
    }
    let label = &deployment["spec"]["template"]["metadata"]["labels"];
    let service = &objects_of("Service")[0]["spec"];
    assert_eq!((&service["selector"], &service["ports"][0]["targetPort"]), (label, &json!("http")));
    let upstreams = &objects_of("NetworkPolicy")[0]["spec"];
    assert_eq!(upstreams["ingress"], json!([{ "from": [{ "podSelector": { "matchLabels": label } }] }]));
    let gateways = &objects_of("NetworkPolicy")[1]["spec"];
    assert_eq!(&gateways["podSelector"]["matchLabels"], label);

    // As whom, and how little that may do.
    let uid = text("Dockerfile").lines().find_map(|line| line.strip_prefix("USER ").map(str::to_owned)).unwrap();
    assert_eq!(pod["securityContext"]["runAsUser"], uid, "by number, or runAsNonRoot refuses the image");
    assert_eq!(gateway["securityContext"]["readOnlyRootFilesystem"], "true");
    assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate", "one SQLite file, one gateway");
}
