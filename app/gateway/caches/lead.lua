-- Prolongs or ends the time for which somebody makes an entry, if it is still he.
-- KEYS: lead (string: who makes it). ARGV: his token, ms from now (0: end it).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
