#!lua name=dibao_sms
-- SPDX-License-Identifier: Apache-2.0
--
-- The outbox's functions: all that changes a notice, each one atomic. `dibaoctl setup` loads them;
-- dibao-sms refuses to work with another version. Who may make which step is decided in C (notice.c);
-- here a step is compared with what the row holds, so that of two who decide one wins.
--
-- Every call is FCALL <function> 1 <base> args..., base = "dibao:{BUREAU}:". What the SMS client writes
-- comes with <name> <epoch> <counter> in front, its fencing token: whoever lost the lease of its durable
-- name can write nothing any more, not even an intent, and so sends nothing.
--
-- Keys: sms:row:<uid> (notice.h), sms:open (zset: uid by due time, of all that are not final),
-- sms:report (zset: uid by the time of the change, to be reported to the daemon), sms:unserved (zset:
-- uid by when it ended), sms:batch:<id> (hash: n texts, released, document), sms:released (zset: b<batch> or
-- u<uid> by when), sms:hours (hash: bulk texts by hour, u the usual number), sms:sent (zset: "<number>
-- <number and text> <uid> <attempt>", the first two as keyed hashes, by when, one day of it, for the caps),
-- sms:twice (zset: uid by when it was clear that its text arrived twice, or may have), sms:started (hash:
-- gateway, since when it runs), sms:key (signs receipts, and what keys those hashes is made of it), sms:bad and
-- sms:disputed (roster.h).
--
-- Errors: DIBAO_STALE the token is not the current one; DIBAO_INVALID an argument is wrong;
-- DIBAO_AUDIT the caller may not add to the audit stream. No error holds a value of an event.

local VERSION = '@VERSION@'
local AUDIT_MAX = 100000
local HOURS_KEPT = 168
local HOLDERS_PAGE = 2000 -- about
local DAY_MS = 24 * 3600 * 1000
local RELEASED_KEEP_MS = 30 * DAY_MS
local TAKEN_MS = 2500 -- what the carrier had so long before a start is told may have been noted later
local START_MS = 2000 -- a gateway tells whole seconds of its clock: it may have started so much later
local SEEN_MS = 10000 -- so often at least it is heard of
local STARTED_PAGE = 500
local TWICE = { resent = 1, restart = 2, attempts = 3, receipts = 4 } -- the better known over the lesser
local FINAL = { delivered = 1, failed = 1, expired = 1, no_receipt = 1, dropped = 1 }

local function fail(code, text)
	return redis.error_reply(code .. ' ' .. text)
end

local function text(n)
	return string.format('%.0f', n)
end

local function now_ms()
	local t = redis.call('TIME')
	return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function row_key(base, uid)
	return base .. 'sms:row:' .. uid
end

-- The text of uid arrived twice, or may have.
local function twice(base, uid, how, now)
	local key = row_key(base, uid)
	local known = redis.call('HGET', key, 'tw')
	if not known or TWICE[known] < TWICE[how] then
		redis.call('HSET', key, 'tw', how)
		redis.call('ZADD', base .. 'sms:twice', 'NX', text(now), uid)
		redis.call('ZADD', base .. 'sms:report', text(now), uid)
	end
end

-- A function of the active client alone.
local function fenced(f)
	return function(keys, args)
		local l = redis.call('HMGET', keys[1] .. 'lease:' .. (args[1] or ''), 'epoch', 'counter')
		if not l[1] or l[1] ~= args[2] or l[2] ~= args[3] then
			return fail('DIBAO_STALE', 'another instance is active')
		end
		return f(keys[1], args)
	end
end

-- What goes with a state: the lists a uid stands in, how long its row lasts. `from`: the state before; nil
-- for a new row.
local function settle(base, uid, from, state, due, unserved, keep, now)
	local key = row_key(base, uid)
	local had_ended = from and (FINAL[from] or from == 'parked')
	if FINAL[state] then
		redis.call('HDEL', key, 'e')
		redis.call('HSET', key, 'tf', text(now))
	end
	if FINAL[state] or state == 'parked' then
		redis.call('ZREM', base .. 'sms:open', uid)
		redis.call('PEXPIRE', key, keep)
	else
		redis.call('ZADD', base .. 'sms:open', due, uid)
		if had_ended then
			redis.call('PERSIST', key)
		end
	end
	if unserved == '1' then
		redis.call('ZADD', base .. 'sms:unserved', text(now), uid)
	elseif had_ended then
		redis.call('ZREM', base .. 'sms:unserved', uid)
	end
	redis.call('ZADD', base .. 'sms:report', text(now), uid)
end

-- The event uid is taken back by another. What waits is dropped; of what may have been sent the caller
-- must send word; what certainly did not arrive needs neither, and nobody need serve it any more.
local function take_back(base, uid, by, keep, now)
	local key = row_key(base, uid)
	local r = redis.call('HMGET', key, 's', 'ti', 'rs')
	local s = r[1]
	if not s then
		return 'none'
	end
	redis.call('HSET', key, 'y', by)
	if s == 'queued' or s == 'held' or (s == 'parked' and not r[2]) then
		redis.call('HSET', key, 's', 'dropped', 'r', 'withdrawn')
		settle(base, uid, s, 'dropped', '0', '0', keep, now)
		return r[3] and 'sent' or 'cancelled'
	end
	if s == 'failed' or s == 'expired' or (s == 'dropped' and not r[2]) then
		redis.call('ZREM', base .. 'sms:unserved', uid)
		return 'none'
	end
	return 'sent'
end

-- The usual number of bulk texts in an hour: the mean of a week, as the first of this hour finds it.
local function usual_of(base, hour)
	local hours = base .. 'sms:hours'
	if redis.call('HINCRBY', hours, hour, 1) == 1 then
		local sum, all = 0, redis.call('HGETALL', hours)
		for i = 1, #all, 2 do
			local h = tonumber(all[i])
			if h and h < tonumber(hour) - HOURS_KEPT then
				redis.call('HDEL', hours, all[i])
			elseif h and h < tonumber(hour) then
				sum = sum + tonumber(all[i + 1])
			end
		end
		redis.call('HSET', hours, 'u', text(math.ceil(sum / HOURS_KEPT)))
	end
	return tonumber(redis.call('HGET', hours, 'u') or '0')
end

local function add_to_batch(key)
	local n = redis.call('HINCRBY', key, 'n', 1)
	if n == 1 then
		redis.call('PEXPIRE', key, text(RELEASED_KEEP_MS))
	end
	return n
end

-- One more bulk text: the batch it belongs to, how many that has, whether it was released, its limit. A
-- document that is over its limit, or was released, is a batch of its own: its texts do not fill the hour,
-- and those that did are taken out, unless the hour itself is over its limit and waits already.
local function count_batch(base, ref, document, hour, limit)
	local of_hour, of_ref = base .. 'sms:batch:h' .. hour, base .. 'sms:batch:' .. ref
	local most = math.max(3 * usual_of(base, hour), limit)
	local q, key, n = 'h' .. hour, of_hour, 0
	if ref ~= '' then
		n = add_to_batch(of_ref)
		if n == 1 then
			redis.call('HSET', of_ref, 'document', document)
		end
		if n > limit or redis.call('HEXISTS', of_ref, 'released') == 1 then
			local inside = tonumber(redis.call('HGET', of_ref, 'in' .. hour) or '0')
			if inside > 0 and tonumber(redis.call('HGET', of_hour, 'n')) <= most then
				redis.call('HINCRBY', of_hour, 'n', -inside)
				redis.call('HDEL', of_ref, 'in' .. hour)
			end
			q, key, most = ref, of_ref, limit
		end
	end
	if q ~= ref then
		local in_hour = add_to_batch(of_hour)
		if ref ~= '' then
			redis.call('HINCRBY', of_ref, 'in' .. hour, 1)
		end
		if ref ~= '' and in_hour <= most then
			q, key, most = ref, of_ref, limit
		else
			n = in_hour
		end
	end
	redis.call('HSET', key, 'limit', text(most), 'seen', text(n))
	return q, n, redis.call('HEXISTS', key, 'released'), most
end

-- What the roster has of a badge: its row, and the marks that are set.
local function of_badge(base, badge)
	return redis.call('HGET', base .. 'roster', badge) or '', redis.call('HGET', base .. 'roster:confirmed', badge) or '',
		redis.call('HGET', base .. 'sms:bad', badge) or '', redis.call('HGET', base .. 'sms:disputed', badge) or ''
end

-- args: token, uid, state, reason, unserved, keep, due, lane, ref batch, hour, limit, retracts|corrects,
-- of, document, then fields of the row (b <badge> first). Reply: new|repeat, state, batch, its count, released,
-- limit, original, and of the badge the roster's row and marks
local function take(base, args)
	local uid, state, reason, unserved, keep, due = args[4], args[5], args[6], args[7], args[8], args[9]
	local lane, ref, hour, limit, k, of = args[10], args[11], args[12], tonumber(args[13]), args[14], args[15]
	local key, now = row_key(base, uid), now_ms()
	local s = redis.call('HGET', key, 's')
	if s then
		return { 'repeat', s }
	end
	local original = 'none'
	if of ~= '' then
		original = take_back(base, of, uid, keep, now)
		if k == 'retracts' and original ~= 'sent' and not FINAL[state] then
			state, reason, unserved = 'dropped', 'not-sent', '0'
		end
	end
	local q, n, released, most = '', 0, 0, 0
	if lane == 'bulk' and (state == 'queued' or state == 'held') then
		q, n, released, most = count_batch(base, ref, args[16], hour, limit)
	end
	redis.call('HSET', key, 's', state, 'r', reason, 'd', due, 'l', lane, 'n', '0', 'q', q, 'k', k, 'of', of,
		'os', original, 'tq', text(now), unpack(args, 17))
	settle(base, uid, nil, state, due, unserved, keep, now)
	return { 'new', state, q, n, released, most, original, of_badge(base, args[18]) }
end

-- A bare withdrawal: nobody told why, or by what.
-- args: token, uid, keep. Reply: none | cancelled | sent
local function withdraw(base, args)
	return take_back(base, args[4], '', args[5], now_ms())
end

-- args: token, uid, from, attempt, to, unserved, keep, due, place in sms:sent, then fields of the row (n
-- among them when the attempt changes). Reply: 1, or 0 and what the row holds
local function step(base, args)
	local uid, from, attempt, to, unserved, keep, due = args[4], args[5], args[6], args[7], args[8], args[9], args[10]
	local key, now, place = row_key(base, uid), now_ms(), args[11]
	local is = redis.call('HMGET', key, 's', 'n')
	if is[1] ~= from or is[2] ~= attempt then
		return { 0, is[1] or '', is[2] or '' }
	end
	local when = ({ intent = 'ti', submitted = 'ts', accepted = 'ta' })[to] or 'tl'
	redis.call('HSET', key, 's', to, 'd', due, when, text(now), unpack(args, 12))
	if to == 'intent' then
		redis.call('ZREMRANGEBYSCORE', base .. 'sms:sent', '-inf', text(now - DAY_MS))
		redis.call('ZADD', base .. 'sms:sent', text(now), place)
		if redis.call('HGET', key, 'rs') == '1' then
			twice(base, uid, 'resent', now)
		end
	elseif place ~= '' then
		redis.call('ZREM', base .. 'sms:sent', place)
	end
	settle(base, uid, from, to, due, unserved, keep, now)
	return { 1 }
end

-- What a receipt shows of how often the carrier had the text. Per attempt the row keeps the first ref of
-- what was accepted (fa<attempt>) and delivered (fd<attempt>), - for one that is not known, and that it
-- failed (ff<attempt>). args: token, uid, attempt, a|d|f, ref. Reply: 1, or 0: no such attempt
local function note(base, args)
	local uid, attempt, kind, ref, now = args[4], tonumber(args[5]), args[6], args[7], now_ms()
	local key = row_key(base, uid)
	local n = tonumber(redis.call('HGET', key, 'n') or '0')
	if attempt < 1 or attempt > n then
		return 0
	end
	if ref == '' or kind == 'f' then
		ref = '-'
	end
	local known = redis.call('HGET', key, 'f' .. kind .. attempt)
	if not known or known == '-' then
		redis.call('HSET', key, 'f' .. kind .. attempt, ref)
	elseif ref ~= '-' and ref ~= known then
		twice(base, uid, 'receipts', now)
	end
	local taken = 0
	for i = 1, n do
		local is = redis.call('HMGET', key, 'fa' .. i, 'fd' .. i, 'ff' .. i)
		if is[2] or (is[1] and not is[3]) then
			taken = taken + 1
		end
	end
	if taken > 1 then
		twice(base, uid, 'attempts', now)
	end
	return 1
end

-- A gateway runs since then: what it had before, and the carrier did not have when an earlier start was last
-- told of, it may have sent again. Looked at are the texts of the day before, a page a call. args: token,
-- gateway, when it started, when the start before was last told of (0: we did not run), index, how far from a
-- start that is known it is still the same. Reply: the next index; 0: that was all, or this start is known
local function started(base, args)
	local name, at, seen, index, now = args[4], tonumber(args[5]), tonumber(args[6]), tonumber(args[7]), now_ms()
	if math.abs(at - tonumber(redis.call('HGET', base .. 'sms:started', name) or '0')) <= tonumber(args[8]) then
		return 0
	end
	local key, to = base .. 'sms:sent', text(at + START_MS)
	local places = redis.call('ZRANGE', key, to, '-inf', 'BYSCORE', 'REV', 'LIMIT', index, STARTED_PAGE)
	if seen == 0 then -- we ran when the last of them was sent
		local last = redis.call('ZRANGE', key, to, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, 1, 'WITHSCORES')
		seen = math.min(at, tonumber(last[2] or '0') - SEEN_MS)
	end
	for _, place in ipairs(places) do
		local uid, attempt = place:match('^%S+ %S+ (.+) (%d+)$')
		local r = uid and redis.call('HMGET', row_key(base, uid), 'g', 'n', 's', 'ti', 'ta', 'tf')
		if r and r[1] == name and r[2] == attempt and r[3] ~= 'queued' and r[3] ~= 'held' then
			local taken = now
			for _, t in ipairs({ tonumber(r[5] or '0'), tonumber(r[6] or '0') }) do
				if t >= tonumber(r[4] or '0') and t < taken then -- of this attempt
					taken = t
				end
			end
			if taken > math.min(at, seen) - TAKEN_MS then
				twice(base, uid, 'restart', now)
			end
		end
	end
	if #places == STARTED_PAGE then
		return index + STARTED_PAGE
	end
	redis.call('HSET', base .. 'sms:started', name, text(at))
	return 0
end

-- The number of a badge is bad, or disputed. args: token, bad|disputed, badge, mark
local function mark(base, args)
	if args[4] ~= 'bad' and args[4] ~= 'disputed' then
		return fail('DIBAO_INVALID', 'expected bad or disputed')
	end
	return redis.call('HSET', base .. 'sms:' .. args[4], args[5], args[6])
end

-- Begins an activity. args: token, a random key in hex, how long rows are kept. Reply: the key that signs
-- receipts, now, how many numbers of the roster are a demonstration's
local function open(base, args)
	local now = now_ms()
	if redis.call('EXISTS', base .. 'sms:key') == 0 then
		redis.call('SET', base .. 'sms:key', args[4])
	end
	redis.call('ZREMRANGEBYSCORE', base .. 'sms:sent', '-inf', text(now - DAY_MS))
	redis.call('ZREMRANGEBYSCORE', base .. 'sms:released', '-inf', text(now - RELEASED_KEEP_MS))
	redis.call('ZREMRANGEBYSCORE', base .. 'sms:twice', '-inf', text(now - args[5]))
	return { redis.call('GET', base .. 'sms:key'), now, redis.call('HGET', base .. 'roster:meta', 'demo') or '0' }
end

-- args: token, start, count. Reply: per uid of sms:open its fields
local function load(base, args)
	local out = {}
	for i, uid in ipairs(redis.call('ZRANGE', base .. 'sms:open', args[4], args[4] + args[5] - 1)) do
		local r = redis.call('HMGET', row_key(base, uid), 's', 't', 'o', 'b', 'l', 'n', 'd', 'at', 'x', 'p', 'q', 'g',
			'r', 'ng')
		for j = 1, 14 do
			r[j] = r[j] or ''
		end
		out[i] = { uid, unpack(r) }
	end
	return out
end

-- Texts of the last day. args: token, start, count. Reply: place, ms, ...
local function sent(base, args)
	return redis.call('ZRANGE', base .. 'sms:sent', args[4], args[4] + args[5] - 1, 'WITHSCORES')
end

-- args: token, then uid, "state" or "state twice" ...: reported, unless it changed since
local function reported(base, args)
	for i = 4, #args, 2 do
		local key = row_key(base, args[i])
		local s, tw = unpack(redis.call('HMGET', key, 's', 'tw'))
		if not s or s .. (tw and ' ' .. tw or '') == args[i + 1] then
			redis.call('ZREM', base .. 'sms:report', args[i])
		end
		if s then
			redis.call('HSET', key, 'up', args[i + 1]:match('^%S+'))
		end
	end
	return 1
end

-- ---- what only reads ----

-- All that a text is made from. args: uid, badge
local function fetch(keys, args)
	local base = keys[1]
	local r = redis.call('HMGET', row_key(base, args[1]), 's', 'n', 'e', 'k', 'os', 'rl')
	r[7], r[8], r[9], r[10] = of_badge(base, args[2])
	for j = 1, 10 do
		r[j] = r[j] or ''
	end
	return r
end

-- Who has a number, a page of the roster at a time. args: cursor, number. Reply: the next cursor, then
-- badge, row ...
local function holders(keys, args)
	local page = redis.call('HSCAN', keys[1] .. 'roster', args[1], 'COUNT', HOLDERS_PAGE)
	local out = { page[1] }
	for j = 1, #page[2], 2 do
		if page[2][j + 1]:match('^1\t[^\t]*\t(%d+)\t') == args[2] then
			out[#out + 1] = page[2][j]
			out[#out + 1] = page[2][j + 1]
		end
	end
	return out
end

-- args: uid. Reply: state, attempt, type, badge, gateway, due, reason, lane, at; empty: no such row
local function look(keys, args)
	local r = redis.call('HMGET', row_key(keys[1], args[1]), 's', 'n', 't', 'b', 'g', 'd', 'r', 'l', 'at')
	for j = 1, 9 do
		r[j] = r[j] or ''
	end
	return r
end

-- What its gateway is asked about one that may have been sent. args: uid, badge. Reply: state, attempt,
-- hash, when it was intended, gateway, and of the badge the roster's row
local function doubt(keys, args)
	local r = redis.call('HMGET', row_key(keys[1], args[1]), 's', 'n', 'h', 'ti', 'g')
	r[6] = redis.call('HGET', keys[1] .. 'roster', args[2])
	for j = 1, 6 do
		r[j] = r[j] or ''
	end
	return r
end

-- args: count. Reply: per uid: uid, state, attempt, reason, since, resent, twice
local function reports(keys, args)
	local out = {}
	for i, uid in ipairs(redis.call('ZRANGE', keys[1] .. 'sms:report', 0, args[1] - 1)) do
		local r = redis.call('HMGET', row_key(keys[1], uid), 's', 'n', 'r', 'rs', 'tw')
		local at = redis.call('ZSCORE', keys[1] .. 'sms:report', uid)
		out[i] = { uid, r[1] or '', r[2] or '', r[3] or '', at, r[4] or '', r[5] or '' }
	end
	return out
end

-- What was released after a time. args: ms. Reply: b<batch> or u<uid>, ms, ...
local function released(keys, args)
	return redis.call('ZRANGEBYSCORE', keys[1] .. 'sms:released', '(' .. args[1], '+inf', 'WITHSCORES', 'LIMIT', 0, 500)
end

-- args: batch. Reply: n, released, limit, document
local function batch(keys, args)
	local r = redis.call('HMGET', keys[1] .. 'sms:batch:' .. args[1], 'seen', 'released', 'limit', 'document')
	return { tonumber(r[1] or '0'), r[2] and 1 or 0, tonumber(r[3] or '0'), r[4] or '' }
end

-- ---- by hand ----

local function audited(act, f)
	return function(keys, args)
		local base, what, who = keys[1], args[1] or '', args[2] or ''
		if #who < 1 or #who > 128 or who:find('%c') then
			who = '-'
		end
		if not redis.acl_check_cmd('XADD', base .. 'audit', '*', 'who', who) then
			return fail('DIBAO_AUDIT', 'the caller may not add to the audit stream')
		end
		local reply = f(base, what)
		redis.call('XADD', base .. 'audit', 'MAXLEN', '~', AUDIT_MAX, '*', 'who', who, 'act', act, 'what',
			what:sub(1, 200), 'result', reply == 1 and 'ok' or 'nothing')
		return reply
	end
end

local function release_batch(base, id)
	local key, now = base .. 'sms:batch:' .. id, now_ms()
	if redis.call('EXISTS', key) == 0 or redis.call('HEXISTS', key, 'released') == 1 then
		return 0
	end
	redis.call('HSET', key, 'released', text(now))
	redis.call('ZADD', base .. 'sms:released', text(now), 'b' .. id)
	return 1
end

-- A person has decided about a parked notice: send it after all.
local function release_one(base, uid)
	local key, now = row_key(base, uid), now_ms()
	local r = redis.call('HMGET', key, 's', 'e', 'ti')
	if r[1] ~= 'parked' or not r[2] then
		return 0
	end
	if r[3] then
		redis.call('HSET', key, 'rs', '1')
	end
	redis.call('HSET', key, 's', 'queued', 'r', '', 'rl', '1', 'd', text(now))
	settle(base, uid, 'parked', 'queued', text(now), '0', '0', now)
	redis.call('ZADD', base .. 'sms:released', text(now), 'u' .. uid)
	return 1
end

-- Or: it was served some other way.
local function drop(base, uid)
	local key = row_key(base, uid)
	if redis.call('HGET', key, 's') ~= 'parked' then
		return 0
	end
	redis.call('HSET', key, 's', 'dropped', 'r', 'by-hand')
	settle(base, uid, 'parked', 'dropped', '0', '0', text(180 * DAY_MS), now_ms())
	return 1
end

local function version()
	return VERSION
end

redis.register_function{ function_name = 'dibao_sms_version', callback = version, flags = { 'no-writes' } }
redis.register_function{ function_name = 'dibao_sms_fetch', callback = fetch, flags = { 'no-writes' } }
redis.register_function{ function_name = 'dibao_sms_holders', callback = holders, flags = { 'no-writes' } }
redis.register_function{ function_name = 'dibao_sms_look', callback = look, flags = { 'no-writes' } }
redis.register_function{ function_name = 'dibao_sms_doubt', callback = doubt, flags = { 'no-writes' } }
redis.register_function{ function_name = 'dibao_sms_reports', callback = reports, flags = { 'no-writes' } }
redis.register_function{ function_name = 'dibao_sms_released', callback = released, flags = { 'no-writes' } }
redis.register_function{ function_name = 'dibao_sms_batch', callback = batch, flags = { 'no-writes' } }
redis.register_function{ function_name = 'dibao_sms_load', callback = fenced(load), flags = { 'no-writes' } }
redis.register_function{ function_name = 'dibao_sms_sent', callback = fenced(sent), flags = { 'no-writes' } }
redis.register_function('dibao_sms_open', fenced(open))
redis.register_function('dibao_sms_take', fenced(take))
redis.register_function('dibao_sms_withdraw', fenced(withdraw))
redis.register_function{ function_name = 'dibao_sms_step', callback = fenced(step), flags = { 'allow-oom' } }
redis.register_function('dibao_sms_mark', fenced(mark))
redis.register_function{ function_name = 'dibao_sms_note', callback = fenced(note), flags = { 'allow-oom' } }
redis.register_function{ function_name = 'dibao_sms_started', callback = fenced(started), flags = { 'allow-oom' } }
redis.register_function{ function_name = 'dibao_sms_reported', callback = fenced(reported), flags = { 'allow-oom' } }
redis.register_function('dibao_sms_release', audited('sms release', release_batch))
redis.register_function('dibao_sms_release_one', audited('sms release --uid', release_one))
redis.register_function('dibao_sms_drop', audited('sms drop', drop))
