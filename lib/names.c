/* SPDX-License-Identifier: Apache-2.0 */
/* The words for the numbers of the public headers. */
#include <dibao/subscriber.h>

#include <string.h>

const char *dibao_channel_name(enum dibao_channel c)
{
	static const char *const names[] = {"public", "private", "public-now", "private-now"};

	return (unsigned)c < DIBAO_CHANNEL_COUNT ? names[c] : "?";
}

const char *dibao_reason_name(enum dibao_reason r)
{
	static const char *const names[] = {
		"none",	      "refused",	"revoked",	     "superseded", "draining",
		"no session", "protocol error", "no common version", "busy",	   "closing"};
	static const char *const own[] = {"no answer", "handshake failed", "connection lost"};

	if (r >= DIBAO_REASON_NO_ANSWER && r <= DIBAO_REASON_LOST)
		return own[r - DIBAO_REASON_NO_ANSWER];
	return (unsigned)r < sizeof names / sizeof names[0] ? names[r] : "unknown reason";
}

const char *dibao_receipt_name(enum dibao_receipt_state s)
{
	static const char *const names[] = {"?",	 "shown",    "queued",
					    "submitted", "accepted", "delivered",
					    "failed",	 "unserved", "dropped"};

	return (unsigned)s < sizeof names / sizeof names[0] ? names[s] : "?";
}

const char *dibao_strerror(int code)
{
	return strerror(code < 0 ? -code : code);
}
