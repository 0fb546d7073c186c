/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue in Redis: names of keys and functions, and how to load them.
 * The functions themselves are lib/queue.lua, embedded in the library; their
 * contract is written at the head of that file and in dibao-queue(7).
 *
 * Keys of one bureau share a hash tag and so a cluster slot:
 *   dibao:{B}:public, :private, :public-now, :private-now   streams; fields below
 *   dibao:{B}:uid:<uid>     hash: s state, c channel, i entry id, t type, o org, b badge,
 *                           h sha1 of the bytes, w "1" once withdrawn, y uid of what took it back,
 *                           e bytes (scheduled only), n not_before,
 *                           q sha1 of what was sent under this uid and lost by Redis
 *   dibao:{B}:scheduled     zset: uid by not_before (Unix ms)
 *   dibao:{B}:scheduling    stream: uid, act, due (of what was put on the schedule or off it)
 *   dibao:{B}:withdrawn     zset: uid by ms of withdrawal, of public events
 *   dibao:{B}:withdrawn-private  zset: the same of private ones
 *   dibao:{B}:quarantine    stream: channel, id, reason, e
 *   dibao:{B}:cursors       hash: durable name -> "epoch id0 id1 id2 id3"
 *   dibao:{B}:tail          hash: channel name -> last id that a daemon wholly processed
 *   dibao:{B}:trimmed       hash: channel name -> last id that retention removed
 *   dibao:{B}:lease:<name>  hash: instance (hex), epoch, counter, until (Redis ms), daemon
 *   dibao:{B}:durable       hash: durable name -> hold limit in ms
 *   dibao:{B}:durable-public, :cursors-public, :lease-public:<name>  hash, the same of boards
 *   dibao:{B}:receipts      stream: name, instance, key, state, at, detail, token
 *   dibao:{B}:receipts-public  stream, the same of boards
 *   dibao:{B}:epoch         integer, 1 at setup; up by one at each healed rollback
 *   dibao:{B}:lost          stream: channel, from, to, reason, uid (many)
 *   dibao:{B}:hidden        hash: badge -> until (Unix ms, 0 = for good)
 *   dibao:{B}:shown:<badge>  set: uids of a person's public events, for hiding
 *   dibao:{B}:audit         stream: who, act, what, result
 *
 * A stream entry has field `e` (the event's bytes) and, if a function wrote it, `f` = "1"; an entry
 * with `e` alone was added by hand and is sent to nobody until it is adopted, which moves it to
 * the channel's end with `f`. A retraction or correction is in the -now
 * channel of its own audience; the entry that takes the original back is in the -now channel of the
 * original's audience and has field `w` = "<type> <org> <uid>" (of the original). When the two
 * channels are the same, it is one entry with e, f and w; else the second entry has w and f alone.
 */
#ifndef LIB_QUEUE_H
#define LIB_QUEUE_H

#include <dibao/publish.h>
#include <dibao/subscriber.h>

/* AUDIT_MAX: entries of audit, about. It also stands in queue.lua, whose functions trim by it. */
enum { QUEUE_BUREAU_MAX = 16, QUEUE_KEY_MAX = 128, QUEUE_AUDIT_MAX = 100000 };

/* "dibao:{3205}:" + suffix into buf. Length, or -EINVAL for a bad bureau, -ENOBUFS. */
int queue_key(char *buf, size_t cap, const char *bureau, const char *suffix);
/* 0, or -EINVAL. */
int queue_bureau_check(const char *bureau);

/* The function library's text with the table's public types filled in; NUL-terminated, made once,
 * borrowed. Its version is a number in the text that FCALL dibao_version reports as
 * "<version> <hex of the text's hash>". */
const char *queue_functions(size_t *ret_len);
const char *queue_functions_version(void);

struct redisContext;
/* Opens a synchronous connection (unix:/path or ip:port), authenticates. */
int queue_connect(struct redisContext **ret, const struct dibao_redis_options *opt,
		  struct dibao_error *err);
/* 0 loaded and current; -ENOSYS not loaded; -ESTALE another version (*err says which). */
int queue_functions_check(struct redisContext *c, struct dibao_error *err);
/* FUNCTION LOAD REPLACE, and the keys a fresh bureau needs (epoch). Idempotent. */
int queue_setup(struct redisContext *c, const char *bureau, struct dibao_error *err);

#endif
