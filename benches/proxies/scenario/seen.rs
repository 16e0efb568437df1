//! An authenticated request whose token was seen before: what nearly all requests are.

use crate::{
    Options,
    load::{get, get_as},
    report::{Bound, Section},
    rounds::{Comparison, Entrant, compare_busy},
    stage::Stage,
    upstream,
};

pub const TITLE: &str = "A request whose token was seen before";

const NGINX: &str = "nginx, no authentication";
const NGINX_LOGGING: &str = "nginx with its access log";
const HAPROXY: &str = "HAProxy, no authentication";
const HAPROXY_RS256: &str = "HAProxy, `jwt_verify` RS256";
const PASSGATE: &str = "Passgate, one token";
const PASSGATE_HUNDRED: &str = "Passgate, 100 tokens";
const PASSGATE_PUBLIC: &str = "Passgate, `auth: public`";

pub async fn run(options: &Options) -> Section {
    let stage = Stage::set(upstream::start().await).await;
    let tokens = stage.mint.tokens(100);
    let bearing = |tokens: &[String]| tokens.iter().map(|token| get_as("/orders/7", token)).collect::<Vec<_>>();
    let plain = || vec![get("/orders/7", None)];

    let (nginx, logging, haproxy) = (stage.nginx().await, stage.nginx_with_access_log().await, stage.haproxy().await);
    let (verifying, rs256) = stage.haproxy_verifying(&tokens[..1]).await;
    let passgate = stage.passgate().await;
    let entrants = vec![
        Entrant::new(NGINX, &nginx, plain()),
        Entrant::new(NGINX_LOGGING, &logging, plain()),
        Entrant::new(HAPROXY, &haproxy, plain()),
        Entrant::new(HAPROXY_RS256, &verifying, bearing(&rs256)),
        Entrant::new(PASSGATE, &passgate, bearing(&tokens[..1])),
        Entrant::new(PASSGATE_HUNDRED, &passgate, bearing(&tokens)),
        Entrant::new(PASSGATE_PUBLIC, &passgate, vec![get("/public/7", None)]),
    ];
    let Comparison { cost: series, busy } = compare_busy(entrants, options).await;

    let mut section = Section::new(TITLE);
    section.table("CPU per request", "µs", &series);
    section.table("Its core busy with it", "%", &busy);
    section.ratios();
    for passgate in [PASSGATE, PASSGATE_HUNDRED] {
        section.ratio(&series, passgate, HAPROXY_RS256, Bound::AtMost(0.65));
        section.ratio(&series, passgate, NGINX, Bound::AtMost(2.1));
    }
    section.ratio(&series, PASSGATE, NGINX_LOGGING, Bound::None);
    section.ratio(&series, PASSGATE, HAPROXY, Bound::None);
    section.ratio(&series, PASSGATE, PASSGATE_PUBLIC, Bound::None);
    section
}
