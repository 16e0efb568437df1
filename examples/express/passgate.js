// Takes Passgate's word for who is calling.
import { createHash, timingSafeEqual } from "node:crypto";

/**
 * Middleware that makes `req.user` whom Passgate names, or null.
 *
 * @param {string} key what Passgate sends as X-Passgate-Key, 32 characters or more
 */
export function passgate(key) {
  if (!key || key.length < 32) throw new Error("PASSGATE_KEY wants 32 characters or more: `openssl rand -hex 32`");
  const expected = digest(key);
  return (req, res, next) => {
    req.user = null;
    const id = req.get("X-Forwarded-User");
    if (id === undefined) return next();
    // Of one length, as timingSafeEqual wants them.
    if (!timingSafeEqual(digest(req.get("X-Passgate-Key") ?? ""), expected)) {
      return res.status(403).json({ detail: "This did not come through Passgate." });
    }
    const groups = req.get("X-Forwarded-Groups");
    req.user = {
      id,
      email: text(req.get("X-Forwarded-Email")),
      name: text(req.get("X-Forwarded-Preferred-Username")),
      groups: groups ? groups.split(",").map(text) : [],
    };
    next();
  };
}

/** Middleware for what only those who are signed in may see, should its route at Passgate ask for less. */
export function required(req, res, next) {
  if (req.user) return next();
  res.status(401).set("WWW-Authenticate", 'Bearer realm="api"').json({ detail: "Sign in first." });
}

const digest = (value) => createHash("sha256").update(value).digest();

/** Values are percent-encoded UTF-8; a header that is absent says nothing. */
const text = (value) => (value === undefined ? null : decodeURIComponent(value));
