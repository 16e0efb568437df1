//! What a build that is guided by a profile is trained on (`make profile`): what a gateway does all day, in about the shares
//! in which it does it. Nothing is measured, and no other proxy is needed.

use bytes::Bytes;
use passgate::token::RefreshTokens;

use super::{
    load::{CONNECTIONS, Clients, Connection, get, get_as},
    people,
    scenario::{refresh_all, sign_in},
    stage::Stage,
    tokens::{with_bad_signature, with_unknown_key},
    upstream,
};

/// On the command line.
pub const NAME: &str = "training";

const CALLERS: usize = 100;
/// Requests with a token that was seen before; the others are parts of it.
const SEEN: usize = 300_000;
const PUBLIC: usize = SEEN / 10;
const NEW: usize = SEEN / 30;
/// Of each kind.
const REFUSED: usize = SEEN / 60;
const REFRESHES_OF_EACH: usize = SEEN / 60 / CONNECTIONS;
/// Few: the loops of one hash count as much as a thousand requests, and what is less hot than them would count for
/// cold.
const SIGN_INS: usize = 5;

/// Has a gateway do it all, and ends it in peace, so that it writes its profile down.
pub async fn run() {
    let stage = Stage::set(upstream::start().await).await;
    let (opened, settings) = stage.open().await;
    let refresh_tokens = RefreshTokens::new(&opened.masters, opened.deployment_id);
    let (addresses, _) = people::with_password(&opened, &settings, SIGN_INS).await;
    let mut sessions = people::refreshing(&opened, &settings, SIGN_INS..SIGN_INS + CONNECTIONS).await;
    opened.store.close().await;

    let bearing = |tokens: &[String]| -> Vec<Bytes> { tokens.iter().map(|token| get_as("/orders/7", token)).collect() };
    let repeated = |requests: &[Bytes], count| requests.iter().cycle().take(count).cloned().collect::<Vec<_>>();
    let tokens = stage.mint.tokens(CALLERS + NEW);
    let (seen, new) = tokens.split_at(CALLERS);
    let token = &tokens[0];
    let bad = ["none-of-ours".to_owned(), with_unknown_key(token), stage.mint.expired(), with_bad_signature(token)];
    let refused = [vec![get("/orders/7", None)], bearing(&bad)].concat();

    let passgate = stage.passgate().await;
    let mut clients = Clients::connect(passgate.address, CONNECTIONS).await;
    clients.send(repeated(&bearing(seen), SEEN), 200).await;
    clients.send(repeated(&[get("/public/7", None)], PUBLIC), 200).await;
    clients.send(bearing(new), 200).await;
    clients.send(repeated(&refused, REFUSED * refused.len()), 401).await;
    refresh_all(&mut clients, &mut sessions, &refresh_tokens, REFRESHES_OF_EACH).await;
    let mut connection = Connection::open(passgate.address).await;
    for address in &addresses {
        assert_eq!(connection.ask(&sign_in(address)).await, 200);
    }
}
