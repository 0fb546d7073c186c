#!lua name=dibao
-- SPDX-License-Identifier: Apache-2.0
--
-- The queue's functions: all that changes the queue, each one atomic, each safe from any number of
-- callers. `dibaoctl setup` loads them; dibaod and the publisher refuse to work with another version.
--
-- Every call is FCALL <function> 1 <base> args..., base = "dibao:{BUREAU}:"; the keys, which share the
-- base's hash tag, are listed in lib/queue.h, arguments and replies in dibao-queue(7). Errors begin with
-- a word of their own:
--   DIBAO_INVALID   the bytes are not an event, or an argument is wrong
--   DIBAO_NOREF     retracts or corrects an event that is not known
--   DIBAO_PERSON    retracts or corrects an event of another person
--   DIBAO_STALE     the fencing token is not the current one
--   DIBAO_NODURABLE no such durable name is registered
--   DIBAO_AUDIT     the caller may not add to the audit stream
-- No error holds a value of the event: it may end in a log.
--
-- A uid's record (uid:<uid>) is the one authority on what became of it:
--   stored       names its entry, c and i; both empty for a retraction that nobody needs to hear
--   scheduled    keeps the bytes until their time
--   cancelled    was scheduled and never sent; the same bytes again are a repeat
--   quarantined  may come again, with whatever bytes
-- It lasts as long as the entry it names; a record that names none, RECORD_KEEP_MS.
--
-- Publishing decodes the envelope only; the whole check is the publisher library's and the daemon's,
-- which sets aside what does not pass. So a raw caller can store what nobody will be sent. But what
-- decides the channel (type, private, urgent) is checked here: Redis' own rights part the audiences,
-- and an entry is readable in its channel before any daemon sees it.
--
-- Deliberately not here: who may call what (Redis' ACL), and when to trim or release (the daemon).
--
-- @PUBLIC_TYPES@ and @VERSION@ are filled in when the library is loaded: the table of types is in C.

local VERSION = '@VERSION@'
local PUBLIC = { @PUBLIC_TYPES@ }
local MAX_BYTES = 16384
local MS_MAX = 253402300799999 -- 9999-12-31, as in the table of types
local FIELDS_MAX = 8 -- of an entry that is copied; the daemon quarantines those with more
local LAST_MAX = 100000
local LAST_STEP = 500 -- entries looked at by one call: some milliseconds
local AUDIT_MAX = 100000 -- about; no age is kept
local SCHEDULING_MAX = 10000 -- about; as many as a daemon remembers (daemon/schedule.h)
local WHO_MAX, WHAT_MAX = 128, 200 -- bytes
local CURSOR_MAX = 256 -- bytes: an epoch and four ids are at most 185
local RECORD_KEEP_MS = 400 * 24 * 3600 * 1000 -- the longest retention by default
local CHANNELS = { 'public', 'private', 'public-now', 'private-now' }

local function fail(code, text)
	return redis.error_reply(code .. ' ' .. text)
end

local function now_ms()
	local t = redis.call('TIME')
	return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function is_text(v, least, most)
	return type(v) == 'string' and #v >= least and #v <= most
end

-- Redis' own decoder (cmsgpack) knows no binary, which `trace` is. So what it refuses is read here:
-- value and next index of the value at b[i], or an error. Counts need no check of their own: each
-- element takes a byte, and reading past the end is an error.
local function number(b, i, n)
	local v = 0
	for k = i, i + n - 1 do
		v = v * 256 + b:byte(k)
	end
	return v
end

local function read(b, i, depth)
	if depth == 0 then
		error('nested too deep')
	end
	local t = b:byte(i)
	local function text(at, n)
		if at + n - 1 > #b then
			error('truncated')
		end
		return b:sub(at, at + n - 1), at + n
	end
	local function list(at, n, keyed)
		local out = {}
		for k = 1, n do
			local key, v = k, nil
			if keyed then
				key, at = read(b, at, depth - 1)
			end
			v, at = read(b, at, depth - 1)
			if key ~= nil then
				out[key] = v
			end
		end
		return out, at
	end
	if t < 0x80 then
		return t, i + 1
	elseif t < 0x90 then
		return list(i + 1, t - 0x80, true)
	elseif t < 0xa0 then
		return list(i + 1, t - 0x90, false)
	elseif t < 0xc0 then
		return text(i + 1, t - 0xa0)
	elseif t >= 0xe0 then
		return t - 256, i + 1
	elseif t == 0xc0 then
		return nil, i + 1
	elseif t == 0xc2 or t == 0xc3 then
		return t == 0xc3, i + 1
	elseif t >= 0xc4 and t <= 0xc6 then
		local n = 2 ^ (t - 0xc4)
		return text(i + 1 + n, number(b, i + 1, n))
	elseif t >= 0xc7 and t <= 0xc9 then
		local n = 2 ^ (t - 0xc7)
		return text(i + 2 + n, number(b, i + 1, n))
	elseif t == 0xca or t == 0xcb then
		return 0, i + (t == 0xca and 5 or 9)
	elseif t >= 0xcc and t <= 0xcf then
		local n = 2 ^ (t - 0xcc)
		return number(b, i + 1, n), i + 1 + n
	elseif t >= 0xd0 and t <= 0xd3 then
		local n = 2 ^ (t - 0xd0)
		local v = number(b, i + 1, n)
		return v >= 2 ^ (8 * n - 1) and v - 2 ^ (8 * n) or v, i + 1 + n
	elseif t >= 0xd4 and t <= 0xd8 then
		return text(i + 2, 2 ^ (t - 0xd4))
	elseif t >= 0xd9 and t <= 0xdb then
		local n = 2 ^ (t - 0xd9)
		return text(i + 1 + n, number(b, i + 1, n))
	elseif t == 0xdc or t == 0xdd then
		local n = t == 0xdc and 2 or 4
		return list(i + 1 + n, number(b, i + 1, n), false)
	elseif t == 0xde or t == 0xdf then
		local n = t == 0xde and 2 or 4
		return list(i + 1 + n, number(b, i + 1, n), true)
	end
	error('not msgpack')
end

-- The envelope of an event, or nil and what is wrong with it.
local function envelope(bytes)
	if #bytes > MAX_BYTES then
		return nil, 'over 16384 bytes'
	end
	local ok, after, e = pcall(cmsgpack.unpack_one, bytes)
	if ok then
		ok = after == -1
	else
		ok, e, after = pcall(read, bytes, 1, 10)
		ok = ok and after == #bytes + 1
	end
	if not ok or type(e) ~= 'table' then
		return nil, 'not a msgpack map'
	end
	if not is_text(e.uid, 1, 64) then
		return nil, 'uid: expected 1 to 64 bytes'
	end
	if not is_text(e.type, 1, 32) or e.type:find('[%s%c]') then
		return nil, 'type: expected 1 to 32 bytes without blanks' -- it is a word of `w`
	end
	if not is_text(e.org, 12, 12) or e.org:find('%D') then
		return nil, 'org: expected 12 decimal digits'
	end
	for _, f in ipairs({ 'retracts', 'corrects' }) do
		if e[f] ~= nil and not is_text(e[f], 1, 64) then
			return nil, f .. ': expected 1 to 64 bytes'
		end
	end
	for _, f in ipairs({ 'private', 'urgent' }) do
		if e[f] ~= nil and type(e[f]) ~= 'boolean' then
			return nil, f .. ': expected true or false'
		end
	end
	local due = e.not_before
	if due ~= nil and not (type(due) == 'number' and due >= 0 and due <= MS_MAX and due % 1 == 0) then
		return nil, 'not_before: expected Unix ms'
	end
	local badge = ''
	if type(e.person) == 'table' and type(e.person.badge) == 'string' then
		badge = e.person.badge
	end
	return {
		uid = e.uid, type = e.type, org = e.org, badge = badge,
		retracts = e.retracts, corrects = e.corrects, not_before = e.not_before,
		private = not PUBLIC[e.type] or e.private == true,
		now = e.urgent == true or e.retracts ~= nil or e.corrects ~= nil,
	}
end

local function channel_of(e)
	return (e.private and 'private' or 'public') .. (e.now and '-now' or '')
end

local function audience_now(channel)
	return (channel:sub(1, 7) == 'private' and 'private' or 'public') .. '-now'
end

-- Apart by audience, so that a daemon for boards need not be able to read the private one.
local function withdrawn_key(base, channel)
	return base .. (channel:sub(1, 7) == 'private' and 'withdrawn-private' or 'withdrawn')
end

-- The record of a uid as a table, or nil.
local function record(base, uid)
	local flat = redis.call('HGETALL', base .. 'uid:' .. uid)
	if #flat == 0 then
		return nil
	end
	local r = {}
	for i = 1, #flat, 2 do
		r[flat[i]] = flat[i + 1]
	end
	return r
end

local function keep(base, e, state, channel, id, hash)
	redis.call('DEL', base .. 'uid:' .. e.uid)
	redis.call('HSET', base .. 'uid:' .. e.uid, 's', state, 'c', channel, 'i', id, 't', e.type,
		'o', e.org, 'b', e.badge, 'h', hash)
	-- What boards may show of a person, so that hiding can take it off.
	if state == 'stored' and channel:sub(1, 6) == 'public' and e.badge ~= '' then
		redis.call('SADD', base .. 'shown:' .. e.badge, e.uid)
	end
end

-- For a record that names no entry, so that no trim will take it away.
local function expire(base, uid)
	redis.call('PEXPIRE', base .. 'uid:' .. uid, RECORD_KEEP_MS)
end

-- Does the record of uid name this entry? Ids of two channels may be equal.
local function names(base, uid, channel, id)
	local r = redis.call('HMGET', base .. 'uid:' .. uid, 'c', 'i')
	return r[1] == channel and r[2] == id
end

-- What the schedule takes in and gives up before its time is in no channel: here the daemons hear of it,
-- so that a Redis that comes back without it is found out.
local function note_scheduling(base, uid, act, due)
	redis.call('XADD', base .. 'scheduling', 'MAXLEN', '~', SCHEDULING_MAX, '*', 'uid', uid, 'act', act,
		'due', due)
end

local function cancel_scheduled(base, uid, due)
	local key = base .. 'uid:' .. uid
	redis.call('ZREM', base .. 'scheduled', uid)
	note_scheduling(base, uid, 'cancelled', due)
	redis.call('HDEL', key, 'e', 'n')
	redis.call('HSET', key, 's', 'cancelled')
	expire(base, uid)
end

-- The event that e takes back: its record, or nil and an error. nil alone: e takes nothing back.
local function original_of(base, e)
	local uid = e.retracts or e.corrects
	if not uid then
		return nil
	end
	if uid == e.uid then
		return nil, fail('DIBAO_INVALID', 'an event cannot take itself back')
	end
	local o = record(base, uid)
	if not o or o.s == 'quarantined' then
		return nil, fail('DIBAO_NOREF', 'the event it refers to is not known')
	end
	if o.b ~= e.badge then
		return nil, fail('DIBAO_PERSON', 'the event it refers to is of another person')
	end
	o.uid = uid
	return o
end

-- Marks the original as taken back. Returns the channel and the `w` field that tell of it, or nil when
-- it was never sent.
local function withdraw(base, o, by, now)
	if o.s == 'scheduled' then
		cancel_scheduled(base, o.uid, o.n)
		redis.call('HSET', base .. 'uid:' .. o.uid, 'y', by)
		return nil
	end
	if o.s == 'cancelled' or o.c == '' then
		return nil
	end
	redis.call('HSET', base .. 'uid:' .. o.uid, 'w', '1', 'y', by)
	redis.call('ZADD', withdrawn_key(base, o.c), now, o.uid)
	return audience_now(o.c), o.t .. ' ' .. o.o .. ' ' .. o.uid
end

-- Stores a checked event now: its entry, its record, and what it takes back.
local function store(base, e, bytes, hash, o)
	local w_channel, w
	local channel = channel_of(e)
	if o then
		w_channel, w = withdraw(base, o, e.uid, now_ms())
		-- Of a scheduled event nobody has heard: neither need they of its end.
		if not w and e.retracts then
			keep(base, e, 'stored', '', '', hash)
			expire(base, e.uid)
			return '', ''
		end
	end
	local id
	if w and w_channel == channel then
		id = redis.call('XADD', base .. channel, '*', 'e', bytes, 'f', '1', 'w', w)
	else
		id = redis.call('XADD', base .. channel, '*', 'e', bytes, 'f', '1')
		if w then
			redis.call('XADD', base .. w_channel, '*', 'w', w, 'f', '1')
		end
	end
	keep(base, e, 'stored', channel, id, hash)
	return channel, id
end

-- o: what it takes back. A correction takes a scheduled original's place at once, lest the original be
-- released before it; all else it takes back in its own time.
local function schedule(base, e, bytes, hash, o)
	if o and o.s == 'scheduled' and e.corrects then
		withdraw(base, o, e.uid)
	end
	local due = string.format('%.0f', e.not_before)
	keep(base, e, 'scheduled', channel_of(e), '', hash)
	redis.call('HSET', base .. 'uid:' .. e.uid, 'e', bytes, 'n', due)
	redis.call('ZADD', base .. 'scheduled', due, e.uid)
	note_scheduling(base, e.uid, 'scheduled', due)
end

local function publish_bytes(base, bytes)
	local e, why = envelope(bytes)
	if not e then
		return fail('DIBAO_INVALID', why)
	end
	local hash = redis.sha1hex(bytes)
	local r = record(base, e.uid)
	if r and r.s ~= 'quarantined' then
		return { r.h == hash and 'repeat' or 'conflict', r.c, r.i }
	end
	local o, err = original_of(base, e)
	if err then
		return err
	end
	if e.not_before and e.not_before > now_ms() then
		schedule(base, e, bytes, hash, o)
		return { 'scheduled', channel_of(e), '' }
	end
	local channel, id = store(base, e, bytes, hash, o)
	return { 'new', channel, id }
end

-- Is v one of the words, or within one of them when they are prefixes? `*`: anything is.
local function is_granted(words, v, as_prefix)
	if words == '*' then
		return true
	end
	for word in words:gmatch('%S+') do
		if word == v or (as_prefix and v:sub(1, #word) == word) then
			return true
		end
	end
	return false
end

-- For a publisher that has no rights here: what it takes back must be of a type and an organisation that
-- it may publish itself. It is told the same of an event that is not known.
local function relay(keys, args)
	local base, types, orgs = keys[1], args[2] or '', args[3] or ''
	local e = envelope(args[1] or '')
	local o = e and record(base, e.retracts or e.corrects or '')
	if o and not (is_granted(types, o.t, false) and is_granted(orgs, o.o, true)) then
		return fail('DIBAO_NOREF', 'the event it refers to is not known')
	end
	return publish_bytes(base, args[1] or '')
end

-- ---- administrative acts ----

-- `nothing` for what changed nothing; an error's own word; what the act replied if that is a word.
local function result_of(reply)
	if type(reply) == 'table' then
		return reply.err and reply.err:match('^%-?([%w_]+)') or reply[1]
	elseif reply == 0 or reply == '' then
		return 'nothing'
	end
	return type(reply) == 'string' and reply:match('^%a+$') or 'ok'
end

-- Does f and writes down who did it, both or neither. `who` is what the caller says of himself.
local function audited(base, who, act, what, f)
	local key = base .. 'audit'
	if not is_text(who, 1, WHO_MAX) or who:find('%c') then
		who = '-'
	end
	if not redis.acl_check_cmd('XADD', key, '*', 'who', who) then
		return fail('DIBAO_AUDIT', 'the caller may not add to the audit stream')
	end
	local reply, same = f()
	if not same then
		redis.call('XADD', key, 'MAXLEN', '~', AUDIT_MAX, '*', 'who', who, 'act', act, 'what',
			what:sub(1, WHAT_MAX), 'result', result_of(reply))
	end
	return reply
end

-- A function of n arguments and, after them, who calls it.
local function by_hand(act, n, f)
	return function(keys, args)
		local what = table.concat(args, ' ', 1, math.min(n, #args))
		return audited(keys[1], args[n + 1], act, what, function()
			return f(keys, args)
		end)
	end
end

-- With a second argument, by hand.
local function publish(keys, args)
	local base, bytes = keys[1], args[1] or ''
	if not args[2] then
		return publish_bytes(base, bytes)
	end
	local e = envelope(bytes) or { uid = '' }
	local original = e.retracts or e.corrects
	local act = e.retracts and 'retract' or e.corrects and 'correct' or 'publish'
	return audited(base, args[2], act, original and original .. ' ' .. e.uid or e.uid, function()
		return publish_bytes(base, bytes)
	end)
end

-- ---- setting right what was added by hand ----

local function is_channel(c)
	return c == 'public' or c == 'private' or c == 'public-now' or c == 'private-now'
end

-- One entry's fields as a table, or nil.
local function entry(base, channel, id)
	local found = redis.call('XRANGE', base .. channel, id, id)
	if #found == 0 then
		return nil
	end
	local f = {}
	for i = 1, #found[1][2], 2 do
		f[found[1][2][i]] = found[1][2][i + 1]
	end
	return f
end

local function set_aside(base, channel, id, reason, bytes)
	redis.call('XADD', base .. 'quarantine', '*', 'channel', channel, 'id', id, 'reason', reason, 'e', bytes)
	redis.call('XDEL', base .. channel, id)
end

local function quarantine(keys, args)
	local base, channel, id, reason = keys[1], args[1], args[2], args[3]
	if not is_channel(channel) then
		return fail('DIBAO_INVALID', 'no such channel')
	end
	local f = entry(base, channel, id)
	if not f then
		return 0
	end
	local bytes = f.e or ''
	set_aside(base, channel, id, reason, bytes:sub(1, MAX_BYTES + 1))
	local e = envelope(bytes)
	local r = e and record(base, e.uid)
	if r and r.i == id and r.c == channel then
		redis.call('HSET', base .. 'uid:' .. e.uid, 's', 'quarantined')
		expire(base, e.uid)
	elseif e and not r then
		keep(base, e, 'quarantined', channel, id, redis.sha1hex(bytes))
		expire(base, e.uid)
	end
	return 1
end

-- The entry moves to the channel's end, where it bears `f`: so who may read the channel alone (a daemon
-- for boards) can tell what has been checked against the records from what has not.
local function adopt(keys, args)
	local base, channel, id = keys[1], args[1], args[2]
	if not is_channel(channel) then
		return fail('DIBAO_INVALID', 'no such channel')
	end
	local f = entry(base, channel, id)
	if not f then
		return 'gone'
	end
	if f.f then
		return 'ok'
	end
	local bytes = f.e or ''
	local e, why = envelope(bytes)
	if not e then
		set_aside(base, channel, id, why, bytes:sub(1, MAX_BYTES + 1))
		return 'quarantined'
	end
	local hash = redis.sha1hex(bytes)
	local r = record(base, e.uid)
	if r and r.s ~= 'quarantined' then
		if r.h == hash then
			redis.call('XDEL', base .. channel, id)
			return 'repeat'
		end
		set_aside(base, channel, id, 'uid was published before with other bytes', bytes)
		return 'quarantined'
	end
	if (channel:sub(1, 7) == 'private') ~= e.private then
		set_aside(base, channel, id, 'stands in the channel of another audience', bytes)
		return 'quarantined'
	end
	local uid = e.retracts or e.corrects
	local o, err = original_of(base, e)
	if uid and err then
		set_aside(base, channel, id, err.err:gsub('^%-', ''), bytes)
		return 'quarantined'
	end
	redis.call('XDEL', base .. channel, id)
	if e.not_before and e.not_before > now_ms() then
		schedule(base, e, bytes, hash, o)
		return 'scheduled'
	end
	return store(base, e, bytes, hash, o) == '' and 'gone' or 'moved'
end

local function retry(keys, args)
	local base = keys[1]
	local f = entry(base, 'quarantine', args[1])
	if not f then
		return 'gone'
	end
	local reply = publish_bytes(base, f.e or '')
	if reply.err then
		return reply
	end
	if reply[1] ~= 'conflict' then
		redis.call('XDEL', base .. 'quarantine', args[1])
	end
	return reply[1]
end

local function drop(keys, args)
	return redis.call('XDEL', keys[1] .. 'quarantine', args[1])
end

-- ---- the schedule ----

local function release(keys, args)
	local base, most, now = keys[1], tonumber(args[1]), now_ms()
	local due = redis.call('ZRANGEBYSCORE', base .. 'scheduled', '-inf', string.format('%.0f', now), 'LIMIT', 0, most)
	local n = 0
	for _, uid in ipairs(due) do
		local r = record(base, uid)
		redis.call('ZREM', base .. 'scheduled', uid)
		if r and r.s == 'scheduled' and r.e then
			local e = envelope(r.e)
			local o = original_of(base, e)
			if type(o) ~= 'table' or o.err then
				o = nil
			end
			store(base, e, r.e, r.h, o)
			n = n + 1
		end
	end
	local next_due = redis.call('ZRANGE', base .. 'scheduled', 0, 0, 'WITHSCORES')
	return { n, next_due[2] and tonumber(next_due[2]) or -1, now }
end

local function cancel(keys, args)
	local base, uid = keys[1], args[1]
	local r = record(base, uid)
	if not r or r.s ~= 'scheduled' then
		return 0
	end
	cancel_scheduled(base, uid, r.n)
	return 1
end

-- ---- leases, cursors, receipts ----

-- A board's durable name has keys of its own, which end so: Redis' rights can then give a daemon for boards
-- the places of boards and nobody else's. A name is registered as one or the other, and is in no other keys.
-- What such a daemon wrote there is not to be trusted: it may stop boards, not others.
local BOARDS = '-public'

-- nil: not registered.
local function suffix_of(base, name)
	if redis.call('HEXISTS', base .. 'durable' .. BOARDS, name) == 1 then
		return BOARDS
	end
	-- Whom Redis does not let ask, to him there is no such name.
	return redis.pcall('HEXISTS', base .. 'durable', name) == 1 and '' or nil
end

-- What the name's keys end with, if (instance, epoch, counter) is what its lease holds; else nil. An expired
-- lease that nobody took since still counts: who had it last may finish its writes.
local function holds(base, name, instance, epoch, counter)
	local suffix = suffix_of(base, name)
	if not suffix then
		return nil
	end
	local l = redis.call('HMGET', base .. 'lease' .. suffix .. ':' .. name, 'instance', 'epoch', 'counter')
	return l[1] and (instance == nil or l[1] == instance) and l[2] == epoch and l[3] == counter and suffix or nil
end

local function lease(keys, args)
	local base, name, instance, ttl, daemon = keys[1], args[1], args[2], tonumber(args[3]), args[4]
	local suffix = args[5] == 'board' and BOARDS or ''
	if suffix_of(base, name) ~= suffix then
		return fail('DIBAO_NODURABLE', 'no such durable name is registered')
	end
	local key, now = base .. 'lease' .. suffix .. ':' .. name, now_ms()
	local l = redis.call('HMGET', key, 'instance', 'counter', 'until', 'daemon', 'epoch')
	local counter = tonumber(l[2] or '0')
	local left = tonumber(l[3] or '0') - now
	if l[1] and l[1] ~= instance and left > 0 then
		return { 0, left, l[4] or '' }
	end
	local epoch = redis.call('GET', base .. 'epoch') or '1'
	if l[1] ~= instance or l[5] ~= epoch then
		counter = counter + 1
	end
	redis.call('HSET', key, 'instance', instance, 'epoch', epoch, 'counter', string.format('%.0f', counter),
		'until', string.format('%.0f', now + ttl), 'daemon', daemon)
	return { 1, tonumber(epoch), counter, now, redis.call('HGET', base .. 'cursors' .. suffix, name) or '' }
end

local function renew(keys, args)
	local base, ttl, until_ms = keys[1], tonumber(args[1]), nil
	local out = {}
	until_ms = string.format('%.0f', now_ms() + ttl)
	for i = 2, #args, 4 do
		local suffix = holds(base, args[i], args[i + 1], args[i + 2], args[i + 3])
		if suffix then
			redis.call('HSET', base .. 'lease' .. suffix .. ':' .. args[i], 'until', until_ms)
		end
		out[#out + 1] = suffix and 1 or 0
	end
	return out
end

local function unlease(keys, args)
	local suffix = holds(keys[1], args[1], args[2], args[3], args[4])
	if not suffix then
		return 0
	end
	redis.call('HSET', keys[1] .. 'lease' .. suffix .. ':' .. args[1], 'until', '0')
	return 1
end

local function split_id(id)
	local ms, seq = id:match('^(%d+)-(%d+)$')
	if not ms then
		return nil
	end
	return ms, seq
end

-- Decimal strings without leading zeros, compared without going through doubles.
local function less_number(a, b)
	if #a ~= #b then
		return #a < #b
	end
	return a < b
end

local function less_id(a, b)
	local am, as = split_id(a)
	local bm, bs = split_id(b)
	if am ~= bm then
		return less_number(am, bm)
	end
	return less_number(as, bs)
end

-- '' if there is none, or what cannot be one.
local function cursor_of(base, suffix, name)
	local v = redis.call('HGET', base .. 'cursors' .. suffix, name) or ''
	return #v <= CURSOR_MAX and v or ''
end

local function cursors(keys, args)
	local base, out = keys[1], {}
	local epoch_now = redis.call('GET', base .. 'epoch') or '1'
	if #args % 7 ~= 0 then
		return fail('DIBAO_INVALID', 'cursor: expected name epoch counter and four ids')
	end
	for i = 1, #args do
		if i % 7 > 3 or i % 7 == 0 then
			if not split_id(args[i]) then
				return fail('DIBAO_INVALID', 'cursor: expected ms-seq')
			end
		end
	end
	for i = 1, #args, 7 do
		local name = args[i]
		local suffix = holds(base, name, nil, args[i + 1], args[i + 2])
		if suffix then
			local old = {}
			for word in cursor_of(base, suffix, name):gmatch('%S+') do
				old[#old + 1] = word
			end
			local ids = {}
			for c = 1, 4 do
				local id, was = args[i + 2 + c], old[c + 1] or '0-0'
				-- What is no id must not stop the other names' cursors.
				ids[c] = (not split_id(was) or less_id(was, id)) and id or was
			end
			redis.call('HSET', base .. 'cursors' .. suffix, name, epoch_now .. ' ' .. table.concat(ids, ' '))
		end
		out[#out + 1] = suffix and 1 or 0
	end
	return out
end

local function receipt(keys, args)
	local base, name, instance, epoch, counter = keys[1], args[1], args[2], args[3], args[4]
	local suffix = args[9] == 'board' and BOARDS or ''
	if name ~= '' and holds(base, name, instance, epoch, counter) ~= suffix then
		return fail('DIBAO_STALE', 'another instance is active')
	end
	return redis.call('XADD', base .. 'receipts' .. suffix, '*', 'name', name, 'instance', instance, 'key', args[5],
		'state', args[6], 'at', args[7], 'detail', args[8] or '', 'token', epoch .. ':' .. counter)
end

-- A token must never be given out twice: a name that was forgotten and is registered the other way begins
-- after the last one that it had.
local function carry_counter(base, name, from, to)
	local was = redis.call('HGET', base .. 'lease' .. from .. ':' .. name, 'counter') or '0'
	local key = base .. 'lease' .. to .. ':' .. name
	if was:match('^%d+$') and #was <= 15 and tonumber(was) > (tonumber(redis.call('HGET', key, 'counter') or '') or 0) then
		redis.call('HSET', key, 'counter', was)
	end
end

local function durable(keys, args)
	local base, verb, name = keys[1], args[1], args[2]
	if not is_text(name, 1, 64) or name:find('[^%w._-]') then
		return fail('DIBAO_INVALID', 'durable name: expected 1 to 64 of A-Z a-z 0-9 . _ -')
	end
	if verb == 'set' or verb == 'set-board' then
		local suffix, other = '', BOARDS
		if verb == 'set-board' then
			suffix, other = BOARDS, ''
		end
		if not is_text(args[3], 1, 15) or args[3]:find('%D') then
			return fail('DIBAO_INVALID', 'hold limit: expected ms')
		end
		if redis.call('HGET', base .. 'durable' .. other, name) then
			return fail('DIBAO_INVALID', 'durable name ' .. name .. ' is registered as ' ..
				(other == BOARDS and "a board's" or "no board's") .. ': forget it first')
		end
		local was = redis.call('HGET', base .. 'durable' .. suffix, name)
		if not was then
			carry_counter(base, name, other, suffix)
		end
		redis.call('HSET', base .. 'durable' .. suffix, name, args[3])
		return 1, was == args[3]
	elseif verb == 'forget' then
		local n = 0
		for _, suffix in ipairs({ '', BOARDS }) do
			redis.call('HDEL', base .. 'cursors' .. suffix, name)
			-- The counter stays.
			redis.call('HDEL', base .. 'lease' .. suffix .. ':' .. name, 'instance', 'until', 'daemon')
			n = n + redis.call('HDEL', base .. 'durable' .. suffix, name)
		end
		return n
	end
	return fail('DIBAO_INVALID', 'expected set, set-board or forget')
end

-- Four of each that is registered: name, hold, cursor, 1 for a board's.
local function durables(keys)
	local base, out = keys[1], {}
	for _, suffix in ipairs({ '', BOARDS }) do
		local all = redis.call('HGETALL', base .. 'durable' .. suffix)
		for i = 1, #all, 2 do
			local n = #out
			out[n + 1], out[n + 2] = all[i], all[i + 1]
			out[n + 3], out[n + 4] = cursor_of(base, suffix, all[i]), suffix == BOARDS and 1 or 0
		end
	end
	return out
end

-- ---- the tail, retention ----

local function raise_field(key, field, id)
	local was = redis.call('HGET', key, field) or '0-0'
	if less_id(was, id) then
		redis.call('HSET', key, field, id)
	end
end

local function tail(keys, args)
	for c = 1, 4 do
		if not split_id(args[c]) then
			return fail('DIBAO_INVALID', 'expected ms-seq')
		end
		raise_field(keys[1] .. 'tail', CHANNELS[c], args[c])
	end
	return 1
end

-- Removes at most `most` entries below minid, with the records of their uids.
local function trim(keys, args)
	local base, channel, minid, most = keys[1], args[1], args[2], tonumber(args[3])
	if not is_channel(channel) then
		return fail('DIBAO_INVALID', 'no such channel')
	end
	local old = redis.call('XRANGE', base .. channel, '-', '(' .. minid, 'COUNT', most)
	if #old == 0 then
		return { 0, 0 }
	end
	for _, x in ipairs(old) do
		for i = 1, #x[2], 2 do
			local e = x[2][i] == 'e' and envelope(x[2][i + 1])
			if e and names(base, e.uid, channel, x[1]) then
				redis.call('DEL', base .. 'uid:' .. e.uid)
				redis.call('ZREM', withdrawn_key(base, channel), e.uid)
				redis.call('SREM', base .. 'shown:' .. e.badge, e.uid)
			end
		end
	end
	-- By length: the id after the last one may not exist.
	redis.call('XTRIM', base .. channel, 'MAXLEN', redis.call('XLEN', base .. channel) - #old)
	raise_field(base .. 'trimmed', channel, old[#old][1])
	return { #old, #old == most and 1 or 0 }
end

-- ---- after a rollback ----

-- Up by one from what the caller knows, unless another was first. Redis may have come back with an
-- older one, or none: an epoch must not come again, for tokens begin with it.
local function epoch(keys, args)
	local key, known = keys[1] .. 'epoch', tonumber(args[1])
	local now = tonumber(redis.call('GET', key) or '1')
	if not known then
		return fail('DIBAO_INVALID', 'epoch: expected a number')
	end
	if now > known then
		return now
	end
	redis.call('SET', key, string.format('%.0f', known + 1))
	return known + 1
end

local function heal(keys, args)
	local base, channel, bytes = keys[1], args[1], args[2]
	if not is_channel(channel) then
		return fail('DIBAO_INVALID', 'no such channel')
	end
	local e, why = envelope(bytes)
	if not e then
		return fail('DIBAO_INVALID', why)
	end
	local r = record(base, e.uid)
	local hash = redis.sha1hex(bytes)
	local is_there = r and r.s == 'stored' and r.i ~= '' and entry(base, r.c, r.i)
	if r and r.h ~= hash and (is_there or r.s == 'scheduled') then
		if r.q ~= hash then -- once, however many daemons heal
			redis.call('XADD', base .. 'quarantine', '*', 'channel', channel, 'id', '0-0', 'reason',
				'was sent, then lost by Redis, and its uid came again with other bytes', 'e', bytes)
			redis.call('HSET', base .. 'uid:' .. e.uid, 'q', hash)
		end
		return { 2, r.i }
	end
	if is_there then
		return { 0, r.i }
	end
	if r and r.s == 'stored' and r.i == '' then
		return { 0, '' }
	end
	local o, err = original_of(base, e)
	if err then
		o = nil -- its original is gone from Redis too; the event itself must not be
	end
	redis.call('ZREM', base .. 'scheduled', e.uid)
	local _, id = store(base, e, bytes, hash, o)
	if r and r.w then
		redis.call('HSET', base .. 'uid:' .. e.uid, 'w', r.w, 'y', r.y or '')
	end
	return { 1, id }
end

-- act and uid, again and again, as a daemon heard of them: 1 it is so, 0 a scheduled event is not known any
-- more, 2 one that was cancelled stood there again, and is cancelled now.
local function reschedule(keys, args)
	local base, out = keys[1], {}
	for i = 1, #args, 2 do
		local r = record(base, args[i + 1] or '')
		if args[i] == 'scheduled' then
			out[#out + 1] = r and 1 or 0
		elseif args[i] == 'cancelled' then
			out[#out + 1] = r and r.s == 'scheduled' and 2 or 1
			if r and r.s == 'scheduled' then
				cancel_scheduled(base, args[i + 1], r.n)
			end
		else
			return fail('DIBAO_INVALID', 'expected scheduled or cancelled, and a uid')
		end
	end
	return out
end

-- Somebody has seen what was lost and seen to it.
local function settle(keys, args)
	return redis.call('XDEL', keys[1] .. 'lost', args[1])
end

local function reappend(keys, args)
	local base, channel, id = keys[1], args[1], args[2]
	if not is_channel(channel) then
		return fail('DIBAO_INVALID', 'no such channel')
	end
	local found = redis.call('XRANGE', base .. channel, id, id)
	if #found == 0 then
		return ''
	end
	local fields = found[1][2]
	if #fields > 2 * FIELDS_MAX then
		set_aside(base, channel, id, 'too many fields', '')
		return ''
	end
	local new = redis.call('XADD', base .. channel, '*', unpack(fields))
	redis.call('XDEL', base .. channel, id)
	for i = 1, #fields, 2 do
		if fields[i] == 'e' then
			local e = envelope(fields[i + 1])
			if e and names(base, e.uid, channel, id) then
				redis.call('HSET', base .. 'uid:' .. e.uid, 'i', new)
			end
		end
	end
	return new
end

local function raise(keys, args)
	local key, id = keys[1] .. args[1], args[2]
	if not is_channel(args[1]) or not split_id(id) then
		return fail('DIBAO_INVALID', 'expected a channel and ms-seq')
	end
	if id == '0-0' then
		return 0
	end
	if redis.call('EXISTS', key) == 0 then
		redis.call('XADD', key, id, 'f', '1')
		redis.call('XDEL', key, id)
		return 1
	end
	local info = redis.call('XINFO', 'STREAM', key)
	for i = 1, #info, 2 do
		if info[i] == 'last-generated-id' and less_id(info[i + 1], id) then
			redis.call('XSETID', key, id)
			return 1
		end
	end
	return 0
end

-- ---- where sessions start, hiding ----

-- Does an entry's event pass? types: a set, empty for all; orgs: a list of prefixes, empty for all. What is
-- no event passes who gets all.
local function passes(fields, types, orgs)
	if not next(types) and #orgs == 0 then
		return true
	end
	local e
	for i = 1, #fields, 2 do
		e = e or fields[i] == 'e' and envelope(fields[i + 1])
	end
	if not e or next(types) and not types[e.type] then
		return false
	end
	for _, org in ipairs(orgs) do
		if e.org:sub(1, #org) == org then
			return true
		end
	end
	return #orgs == 0
end

-- A step back in a channel from `before` (exclusive; '+' for its end), to the n-th entry that passes:
-- how many passed, the id of the earliest looked at, how many were looked at, whether there are more.
-- So that who gets a part of a channel cannot tell from his last n how much else is there.
local function last(keys, args)
	local channel, n, before = args[1], tonumber(args[2]), args[3]
	if not is_channel(channel) or not n or n < 1 or n > LAST_MAX or not args[5] or
		not (before == '+' or before:match('^%d+%-%d+$')) then
		return fail('DIBAO_INVALID', 'expected a channel, 1 to ' .. LAST_MAX .. ', an id or +, types, orgs')
	end
	local types, orgs, found = {}, {}, 0
	for t in args[4]:gmatch('%S+') do
		types[t] = true
	end
	for o in args[5]:gmatch('%S+') do
		orgs[#orgs + 1] = o
	end
	local got = redis.call('XREVRANGE', keys[1] .. channel, before == '+' and before or '(' .. before, '-',
		'COUNT', LAST_STEP)
	for k, entry in ipairs(got) do
		found = found + (passes(entry[2], types, orgs) and 1 or 0)
		if found == n then
			return { found, entry[1], k, 0 }
		end
	end
	return { found, #got > 0 and got[#got][1] or '0-0', #got, #got == LAST_STEP and 1 or 0 }
end

-- Each public event of a person that stands and was not taken back: f(record).
local function each_shown(base, badge, f)
	for _, uid in ipairs(redis.call('SMEMBERS', base .. 'shown:' .. badge)) do
		local r = record(base, uid)
		if r and r.s == 'stored' and not r.w then
			r.uid = uid
			f(r)
		end
	end
end

-- Entries with field x concern public views alone: what is shown of the person is taken off (w), and
-- comes again (e) when the person is hidden no more.
local function hide(keys, args)
	local base, badge, until_ms = keys[1], args[1], args[2]
	if not is_text(badge, 1, 20) or badge:find('%W') or not is_text(until_ms, 1, 15) or until_ms:find('%D') then
		return fail('DIBAO_INVALID', 'expected a badge and Unix ms (0: for good)')
	end
	local x = badge .. ' ' .. until_ms
	redis.call('HSET', base .. 'hidden', badge, until_ms)
	local id = redis.call('XADD', base .. 'public-now', '*', 'x', x, 'f', '1')
	each_shown(base, badge, function(r)
		redis.call('XADD', base .. 'public-now', '*', 'w', r.t .. ' ' .. r.o .. ' ' .. r.uid, 'x', x, 'f', '1')
	end)
	return id
end

local function show_again(base, badge)
	local x = badge .. ' -1'
	local id = redis.call('XADD', base .. 'public-now', '*', 'x', x, 'f', '1')
	each_shown(base, badge, function(r)
		local found = entry(base, r.c, r.i)
		if found and found.e then
			redis.call('XADD', base .. 'public-now', '*', 'e', found.e, 'x', x, 'f', '1')
		end
	end)
	return id
end

local function unhide(keys, args)
	local base, badge = keys[1], args[1]
	if redis.call('HDEL', base .. 'hidden', badge) == 0 then
		return ''
	end
	return show_again(base, badge)
end

-- Those of the badges whose time is over, by this clock; of others nothing changes.
local function reshow(keys, args)
	local base, now, n = keys[1], now_ms(), 0
	for _, badge in ipairs(args) do
		local until_ms = tonumber(redis.call('HGET', base .. 'hidden', badge) or '0')
		if until_ms > 0 and until_ms <= now then
			redis.call('HDEL', base .. 'hidden', badge)
			show_again(base, badge)
			n = n + 1
		end
	end
	return n
end

local function durable_by_hand(keys, args)
	local n = args[1] == 'forget' and 2 or 3
	return by_hand('durable', n, durable)(keys, args)
end

local function version()
	return VERSION
end

redis.register_function{ function_name = 'dibao_version', callback = version, flags = { 'no-writes' } }
redis.register_function{ function_name = 'dibao_last', callback = last, flags = { 'no-writes' } }
redis.register_function('dibao_publish', publish)
redis.register_function('dibao_relay', relay)
redis.register_function('dibao_adopt', adopt)
redis.register_function('dibao_quarantine', quarantine)
redis.register_function('dibao_retry', by_hand('quarantine retry', 1, retry))
redis.register_function('dibao_drop', by_hand('quarantine drop', 1, drop))
redis.register_function('dibao_release', release)
redis.register_function('dibao_cancel', by_hand('schedule cancel', 1, cancel))
redis.register_function{ function_name = 'dibao_lease', callback = lease, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'dibao_renew', callback = renew, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'dibao_unlease', callback = unlease, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'dibao_cursors', callback = cursors, flags = { 'allow-oom' } }
redis.register_function('dibao_receipt', receipt)
redis.register_function('dibao_durable', durable_by_hand)
redis.register_function{ function_name = 'dibao_durables', callback = durables, flags = { 'no-writes' } }
redis.register_function{ function_name = 'dibao_tail', callback = tail, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'dibao_trim', callback = trim, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'dibao_epoch', callback = epoch, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'dibao_heal', callback = heal, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'dibao_reschedule', callback = reschedule, flags = { 'allow-oom' } }
redis.register_function('dibao_settle', by_hand('lost settle', 1, settle))
redis.register_function{ function_name = 'dibao_reappend', callback = reappend, flags = { 'allow-oom' } }
redis.register_function{ function_name = 'dibao_raise', callback = raise, flags = { 'allow-oom' } }
redis.register_function('dibao_hide', by_hand('hide', 2, hide))
redis.register_function('dibao_unhide', by_hand('unhide', 1, unhide))
redis.register_function('dibao_reshow', reshow)
