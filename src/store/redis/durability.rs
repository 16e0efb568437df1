//! What the Redis does with what it acknowledged, in plain words.

use std::collections::{BTreeSet, HashMap};

use super::connection::Connection;
use crate::store::StoreError;

/// Settings that tell, where they may be asked for.
const ASKED: [&str; 3] = ["save", "appendfsync", "maxmemory-policy"];

/// What can be lost by any of the servers, a sentence each.
pub(super) async fn weaknesses(connection: &Connection) -> Result<Vec<&'static str>, StoreError> {
    let mut servers = HashMap::<String, HashMap<String, String>>::new();
    for section in ["persistence", "memory", "replication"] {
        for (place, info) in connection.ask_each::<String>(redis::cmd("INFO").arg(section)).await? {
            let pairs = info.lines().filter_map(|line| line.split_once(':'));
            servers.entry(place).or_default().extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
    }
    for name in ASKED {
        // Where somebody else runs the Redis this is often forbidden.
        let asked = connection.ask_each::<Vec<(String, String)>>(redis::cmd("CONFIG").arg("GET").arg(name)).await;
        for (place, found) in asked.unwrap_or_default() {
            servers.entry(place).or_default().extend(found);
        }
    }
    let weaknesses: BTreeSet<_> = servers.values().flat_map(judge).collect();
    Ok(weaknesses.into_iter().collect())
}

fn judge(facts: &HashMap<String, String>) -> Vec<&'static str> {
    let is = |name: &str, value: &str| facts.get(name).is_some_and(|found| found == value);
    let disk = if is("aof_enabled", "1") {
        match facts.get("appendfsync").map(String::as_str) {
            Some("always") => None,
            Some("everysec") => Some("it may lose the last second of writes in a crash (appendfsync everysec)"),
            Some(_) => Some("it may lose half a minute of writes in a crash (appendfsync no)"),
            None => Some("it does not tell how soon writes are on disk (CONFIG GET appendfsync is forbidden)"),
        }
    } else if is("save", "") {
        Some("it saves nothing: a restart loses every account and session (neither appendonly nor save is set)")
    } else {
        Some("it saves now and then: a crash loses all that was written since (appendonly is off)")
    };
    let evicts = facts.get("maxmemory-policy").or_else(|| facts.get("maxmemory_policy"));
    let evicts = evicts.is_none_or(|policy| policy != "noeviction");
    let memory = "it throws accounts and sessions out when memory is short (maxmemory-policy is not noeviction)";
    let replica = "it is a replica: it takes no writes, and what it has may be old";
    [disk, evicts.then_some(memory), is("role", "slave").then_some(replica)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(facts: &[(&str, &str)]) -> Vec<&'static str> {
        judge(&facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    const KEEPS: (&str, &str) = ("maxmemory-policy", "noeviction");

    #[test]
    fn each_weakness_is_told_with_what_can_be_lost() {
        for (facts, told_of) in [
            (&[("aof_enabled", "1"), ("appendfsync", "everysec"), KEEPS][..], "last second"),
            (&[("aof_enabled", "1"), ("appendfsync", "no"), KEEPS], "half a minute"),
            (&[("aof_enabled", "1"), KEEPS], "does not tell"),
            (&[("aof_enabled", "0"), ("save", ""), KEEPS], "every account"),
            (&[("aof_enabled", "0"), ("save", "3600 1"), KEEPS], "since"),
            (&[("aof_enabled", "0"), KEEPS], "since"),
            (&[("aof_enabled", "1"), ("appendfsync", "always"), ("maxmemory_policy", "allkeys-lru")], "throws"),
            (&[("aof_enabled", "1"), ("appendfsync", "always")], "throws"),
            (&[("aof_enabled", "1"), ("appendfsync", "always"), KEEPS, ("role", "slave")], "replica"),
        ] {
            let [told] = told(facts)[..] else { panic!("{facts:?}: {:?}", told(facts)) };
            assert!(told.contains(told_of), "{told}");
        }
    }

    #[test]
    fn a_redis_that_keeps_all_is_told_nothing_of() {
        let facts = [("aof_enabled", "1"), ("appendfsync", "always"), KEEPS, ("role", "master")];
        assert!(told(&facts).is_empty());
    }
}
