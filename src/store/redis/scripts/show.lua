-- Promises: an account that waits is seen from now on, and stays. The same call again changes nothing.
-- KEYS: the account.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[1], 'waiting')
redis.call('PERSIST', KEYS[1])
return 1
