//! Scripts are run by their hash. A server that does not know one yet is told it in full as it runs it: that is up to
//! the one server which has the keys, where loading scripts beforehand would ask every server of a Cluster.

use redis::{Cmd, ToRedisArgs};

/// A script in Lua, which says of itself what it promises.
pub(super) struct Script {
    code: &'static str,
    hash: String,
}

/// A script with what it is given.
pub(super) struct Call<'a> {
    script: &'a Script,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

impl Script {
    pub fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }

    /// A call that is given nothing yet.
    pub const fn prepare(&self) -> Call<'_> {
        Call { script: self, keys: Vec::new(), args: Vec::new() }
    }
}

impl Call<'_> {
    /// Gives it a key.
    pub fn key(&mut self, key: impl ToRedisArgs) -> &mut Self {
        key.write_redis_args(&mut self.keys);
        self
    }

    /// Gives it an argument, or several.
    pub fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        arg.write_redis_args(&mut self.args);
        self
    }

    /// For a server that knows the script.
    pub fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.script.hash)
    }

    /// For one that does not.
    pub fn in_full(&self) -> Cmd {
        self.command("EVAL", self.script.code)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.args);
        command
    }
}
