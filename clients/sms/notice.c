/* SPDX-License-Identifier: Apache-2.0 */
#include "notice.h"

#include "person.h"

#include <errno.h>
#include <string.h>

static const char *const state_names[NOTICE_STATES] = {
	[NOTICE_QUEUED] = "queued",	  [NOTICE_HELD] = "held",
	[NOTICE_INTENT] = "intent",	  [NOTICE_SUBMITTED] = "submitted",
	[NOTICE_ACCEPTED] = "accepted",	  [NOTICE_AMBIGUOUS] = "ambiguous",
	[NOTICE_DELIVERED] = "delivered", [NOTICE_FAILED] = "failed",
	[NOTICE_EXPIRED] = "expired",	  [NOTICE_NO_RECEIPT] = "no_receipt",
	[NOTICE_PARKED] = "parked",	  [NOTICE_DROPPED] = "dropped",
};

static const struct {
	const char *name, *words;
	bool unserved;
} reasons[NOTICE_REASONS] = {
	[NOTICE_REASON_NONE] = {"", "", false},
	[NOTICE_REASON_QUIET] = {"quiet", "quiet hours", false},
	[NOTICE_REASON_CAP] = {"cap", "this number has had as many texts as it may", false},
	[NOTICE_REASON_BATCH] = {"batch", "its batch waits for dibaoctl sms release", false},
	[NOTICE_REASON_RETRY] = {"retry", "the gateway said: later", false},
	[NOTICE_REASON_NEXT] = {"next", "refused by one gateway: goes by the next", false},
	[NOTICE_REASON_GATEWAY] = {"gateway", "no gateway takes texts now", false},
	[NOTICE_REASON_NO_GATEWAY] = {"no-gateway", "this bureau has no gateway: to be printed",
				      true},
	[NOTICE_REASON_NUMBER] = {"no-such-number", "the carrier says: no such number", true},
	[NOTICE_REASON_TOO_LATE] = {"too-late", "it would come too late to be of use", true},
	[NOTICE_REASON_TEMPLATE] = {"template", "no template for it, or no text can be made", true},
	[NOTICE_REASON_CONTENT] = {"content", "the carrier minds the text or its template", true},
	[NOTICE_REASON_REFUSED] = {"refused", "the gateway refused it", true},
	[NOTICE_REASON_CARRIER] = {"carrier", "the carrier could not deliver it", true},
	[NOTICE_REASON_UNREACHABLE] = {"unreachable", "the handset was never reachable", true},
	[NOTICE_REASON_NO_RECEIPT] = {"no-receipt", "sent, but no receipt came", true},
	[NOTICE_REASON_UNKNOWN] = {"unknown", "may have been sent: nobody told", true},
	[NOTICE_REASON_SILENT] = {"silent", "its template says: no text", false},
	[NOTICE_REASON_WITHDRAWN] = {"withdrawn", "taken back before it was sent", false},
	[NOTICE_REASON_NOT_SENT] = {"not-sent", "takes back what was never sent", false},
	[NOTICE_REASON_BY_HAND] = {"by-hand", "served some other way", false},
};

const char *notice_state_name(enum notice_state s)
{
	return s < NOTICE_STATES ? state_names[s] : "?";
}

int notice_state_find(const char *name, size_t len)
{
	for (int i = 0; i < NOTICE_STATES; i++)
		if (strlen(state_names[i]) == len && !memcmp(state_names[i], name, len))
			return i;
	return -EINVAL;
}

bool notice_is_final(enum notice_state s)
{
	return s >= NOTICE_DELIVERED;
}

bool notice_was_sent(enum notice_state s)
{
	return s >= NOTICE_INTENT && s != NOTICE_DROPPED;
}

const char *notice_reason_name(enum notice_reason r)
{
	return r < NOTICE_REASONS ? reasons[r].name : "?";
}

const char *notice_reason_words(enum notice_reason r)
{
	return r < NOTICE_REASONS ? reasons[r].words : "?";
}

bool notice_reason_is_unserved(enum notice_reason r)
{
	return r < NOTICE_REASONS && reasons[r].unserved;
}

int notice_reason_find(const char *name, size_t len)
{
	for (int i = 0; i < NOTICE_REASONS; i++)
		if (strlen(reasons[i].name) == len && !memcmp(reasons[i].name, name, len))
			return i;
	return -EINVAL;
}

const char *notice_words(const char *r, size_t len)
{
	const char *blank = memchr(r, ' ', len);
	size_t n = blank ? (size_t)(blank - r) : len;
	int i = notice_reason_find(r, n);

	if (i >= 0)
		return reasons[i].words;
	for (int p = 0; p < PERSON_N_REASONS; p++)
		if (strlen(person_reason_key(p)) == n && !memcmp(person_reason_key(p), r, n))
			return person_reason_words(p);
	return "?";
}

const char *notice_twice_words(const char *word, bool *ret_sure)
{
	static const struct {
		const char *word, *words;
		bool sure;
	} all[] = {
		{"receipts", "receipts tell of two texts of one attempt", true},
		{"attempts", "receipts tell of the texts of two attempts", true},
		{"restart", "the gateway started anew while it had it, and may have sent it again",
		 false},
		{"resent", "sent again, not knowing whether the first was", false},
	};

	*ret_sure = false;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (!strcmp(all[i].word, word)) {
			*ret_sure = all[i].sure;
			return all[i].words;
		}
	return "?";
}

int notice_policy_find(const char *name)
{
	static const char *const names[] = {"park", "drop", "resend"};

	for (int i = 0; i < 3; i++)
		if (!strcmp(names[i], name))
			return i;
	return -EINVAL;
}

/* An earlier attempt's text that arrived is an arrival; all else of it is old news. */
static enum notice_state on_earlier(enum notice_state s, enum driver_news news)
{
	return news == DRIVER_NEWS_DELIVERED && s != NOTICE_DELIVERED ? NOTICE_DELIVERED : s;
}

enum notice_state notice_on_news(enum notice_state s, unsigned attempt, unsigned of,
				 enum driver_news news)
{
	bool open = s == NOTICE_INTENT || s == NOTICE_SUBMITTED || s == NOTICE_AMBIGUOUS ||
		    s == NOTICE_PARKED || s == NOTICE_NO_RECEIPT;

	if (of > attempt || of == 0)
		return s;
	if (of < attempt)
		return on_earlier(s, news);
	switch (news) {
	case DRIVER_NEWS_QUEUED:
		return s == NOTICE_INTENT || s == NOTICE_AMBIGUOUS ? NOTICE_SUBMITTED : s;
	case DRIVER_NEWS_ACCEPTED:
		return open && s != NOTICE_NO_RECEIPT ? NOTICE_ACCEPTED : s;
	case DRIVER_NEWS_DELIVERED:
		return open || s == NOTICE_ACCEPTED || s == NOTICE_EXPIRED || s == NOTICE_FAILED
			       ? NOTICE_DELIVERED
			       : s;
	case DRIVER_NEWS_FAILED:
		return open || s == NOTICE_ACCEPTED ? NOTICE_FAILED : s;
	case DRIVER_NEWS_EXPIRED:
		return open || s == NOTICE_ACCEPTED ? NOTICE_EXPIRED : s;
	}
	return s;
}

enum notice_state notice_on_wait_over(enum notice_policy p)
{
	return p == NOTICE_RESEND ? NOTICE_QUEUED
	       : p == NOTICE_DROP ? NOTICE_DROPPED
				  : NOTICE_PARKED;
}

#define TO(s) (1u << NOTICE_##s)

bool notice_may_move(enum notice_state from, enum notice_state to)
{
	static const unsigned moves[NOTICE_STATES] = {
		[NOTICE_QUEUED] = TO(HELD) | TO(INTENT) | TO(FAILED) | TO(PARKED) | TO(DROPPED) |
				  TO(DELIVERED),
		[NOTICE_HELD] = TO(HELD) | TO(QUEUED) | TO(INTENT) | TO(FAILED) | TO(PARKED) |
				TO(DROPPED) | TO(DELIVERED),
		[NOTICE_INTENT] = TO(HELD) | TO(SUBMITTED) | TO(ACCEPTED) | TO(AMBIGUOUS) |
				  TO(DELIVERED) | TO(FAILED) | TO(EXPIRED),
		[NOTICE_SUBMITTED] = TO(ACCEPTED) | TO(HELD) | TO(DELIVERED) | TO(FAILED) |
				     TO(EXPIRED) | TO(NO_RECEIPT),
		[NOTICE_ACCEPTED] =
			TO(HELD) | TO(DELIVERED) | TO(FAILED) | TO(EXPIRED) | TO(NO_RECEIPT),
		[NOTICE_AMBIGUOUS] = TO(SUBMITTED) | TO(ACCEPTED) | TO(DELIVERED) | TO(FAILED) |
				     TO(EXPIRED) | TO(QUEUED) | TO(HELD) | TO(PARKED) | TO(DROPPED),
		[NOTICE_FAILED] = TO(DELIVERED),
		[NOTICE_EXPIRED] = TO(DELIVERED),
		[NOTICE_NO_RECEIPT] = TO(DELIVERED) | TO(FAILED) | TO(EXPIRED),
		[NOTICE_PARKED] =
			TO(SUBMITTED) | TO(ACCEPTED) | TO(DELIVERED) | TO(FAILED) | TO(EXPIRED),
		[NOTICE_DROPPED] = TO(DELIVERED),
	};

	return from < NOTICE_STATES && to < NOTICE_STATES && (moves[from] >> to & 1);
}
