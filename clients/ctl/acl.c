/* SPDX-License-Identifier: Apache-2.0 */
/* What changes here changes in dibao-queue(7) too: tests/e2e/62-manuals.t compares them, and runs
 * the whole system as these users. */
#include "acl.h"

/* Every key of the queue but audit: all that a full daemon works with. Neither the roster nor the
 * SMS client's keys. */
#define QUEUE_KEYS                                                                                 \
	"~@", "~@public", "~@private", "~@public-now", "~@private-now", "~@uid:*", "~@scheduled",  \
		"~@withdrawn", "~@withdrawn-private", "~@quarantine", "~@cursors", "~@tail",       \
		"~@trimmed", "~@lease:*", "~@durable", "~@receipts", "~@epoch", "~@lost",          \
		"~@hidden", "~@shown:*"

/* In a selector of its own: who may delete elsewhere may only add here. */
#define ADD_TO_AUDIT "(%W~@audit +xadd)"

const struct acl_user acl_users[] = {
	{"dibaod",
	 "the daemon",
	 {QUEUE_KEYS, "+fcall",		"+info",  "+role",    "+config|get",   "+client|setname",
	  "+time",    "+memory|usage",	"+xread", "+xrange",  "+xrevrange",    "+xadd",
	  "+xdel",    "+xlen",		"+xtrim", "+xsetid",  "+xinfo|stream", "+get",
	  "+set",     "+exists",	"+del",	  "+pexpire", "+hget",	       "+hmget",
	  "+hgetall", "+hset",		"+hdel",  "+hexists", "+zadd",	       "+zrem",
	  "+zrange",  "+zrangebyscore", "+sadd",  "+srem",    ADD_TO_AUDIT}},
	{"dibaod-public",
	 "a daemon for boards alone: no key with a private event in it",
	 {"~@",		 "%R~@public",	  "%R~@public-now", "%R~@withdrawn",
	  "%R~@trimmed", "%R~@durable",	  "%R~@epoch",	    "%R~@hidden",
	  "~@cursors",	 "~@lease:*",	  "%W~@receipts",   "+fcall",
	  "+info",	 "+role",	  "+config|get",    "+client|setname",
	  "+time",	 "+memory|usage", "+xread",	    "+xrange",
	  "+xrevrange",	 "+xlen",	  "+xinfo|stream",  "+xadd",
	  "+get",	 "+exists",	  "+hget",	    "+hmget",
	  "+hgetall",	 "+hset",	  "+hexists",	    "+zrange"}},
	{"publisher",
	 "a program that publishes: reads no channel",
	 {"~@", "%RW~@uid:*", "%RW~@scheduled", "%RW~@withdrawn", "%RW~@withdrawn-private",
	  "%RW~@shown:*", "+fcall", "+time", "+hgetall", "+hset", "+hdel", "+del", "+pexpire",
	  "+sadd", "+zadd", "+zrem",
	  "(%W~@public %W~@private %W~@public-now %W~@private-now +xadd)"}},
	{"producer",
	 "a program that adds entries by hand",
	 {"%W~@public", "%W~@private", "%W~@public-now", "%W~@private-now", "+xadd"}},
	{"reader",
	 "reads what is public, past the daemon",
	 {"%R~@public", "%R~@public-now", "+xrange", "+xread", "+xlen"}},
	{"sms",
	 "the SMS client: the roster and its own outbox, no channel",
	 {"~@",	      "%R~@roster", "%R~@roster:*",   "%R~@lease:*",	   "~@sms:*",  "+fcall",
	  "+info",    "+role",	    "+config|get",    "+client|setname",   "+time",    "+get",
	  "+set",     "+exists",    "+pexpire",	      "+persist",	   "+hget",    "+hmget",
	  "+hgetall", "+hset",	    "+hdel",	      "+hexists",	   "+hincrby", "+zadd",
	  "+zrem",    "+zrange",    "+zrangebyscore", "+zremrangebyscore", "+zscore"}},
	{"operator",
	 "an administrator, for dibaoctl",
	 {QUEUE_KEYS,  "+fcall",     "+function|load",
	  "+time",     "+xrange",    "+xadd",
	  "+xdel",     "+get",	     "+set",
	  "+del",      "+pexpire",   "+hget",
	  "+hmget",    "+hgetall",   "+hset",
	  "+hdel",     "+zadd",	     "+zrem",
	  "+zrange",   "+sadd",	     "+srem",
	  "+smembers", ADD_TO_AUDIT, "(%R~@audit +xrange +xrevrange +xinfo|stream)"}},
	{"auditor",
	 "reads what was done and what became of events, changes nothing",
	 {"%R~@audit", "%R~@receipts", "%R~@lost", "+xrange", "+xrevrange", "+xlen",
	  "+xinfo|stream"}},
	{"notices",
	 "who looks after texts: what waits, what was not served, releases",
	 {"~@",		  "~@sms:row:*",    "~@sms:batch:*",  "~@sms:open",
	  "~@sms:report", "~@sms:released", "~@sms:unserved", "+fcall",
	  "+time",	  "+exists",	    "+hget",	      "+hmget",
	  "+hgetall",	  "+hset",	    "+hdel",	      "+hexists",
	  "+hscan",	  "+pexpire",	    "+persist",	      "+zadd",
	  "+zrem",	  "+zrange",	    "+zrangebyscore", "+zcard",
	  ADD_TO_AUDIT}},
	{0},
};
