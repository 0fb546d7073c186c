/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>

enum { MINUTE_USEC = 60000000 };

struct session *session_new(uint32_t routing_id)
{
	struct session *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->routing_id = routing_id;
	s->expires_ms = INT64_MAX;
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		s->at[c].next_number = 1;
	return s;
}

struct session *session_free(struct session *s)
{
	if (s) {
		for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
			free(s->at[c].flights);
		free(s->hello);
		free(s);
	}
	return NULL;
}

bool session_has_credit(const struct session *s, enum dibao_channel c, uint32_t bytes,
			uint32_t share)
{
	uint32_t inflight = s->inflight_bytes[channel_is_now(c)];
	uint32_t window = s->window_bytes < share ? s->window_bytes : share;

	if (s->at[c].n >= SESSION_FLIGHTS_MAX)
		return false;
	return inflight == 0 || inflight + bytes <= window;
}

enum { RATE_PAST_USEC = 60000000, FLIGHTS_KEPT = 64 };

bool session_has_rate(struct session *s, uint64_t now_usec)
{
	uint64_t earned;

	if (now_usec - s->rate_usec > RATE_PAST_USEC)
		s->rate_usec = now_usec - RATE_PAST_USEC;
	/* Time that earned no whole item stays uncounted. */
	earned = (now_usec - s->rate_usec) * s->rate / 1000000;
	s->rate_usec += earned * 1000000 / s->rate;
	s->rate_left += (int64_t)earned;
	if (s->rate_left > (int64_t)s->rate)
		s->rate_left = s->rate;
	return s->rate_left > 0;
}

static struct flight *flight_at(const struct session_channel *c, uint32_t i)
{
	return &c->flights[(c->head + i) & (c->cap - 1)];
}

static int grow(struct session_channel *c)
{
	uint32_t cap = c->cap ? 2 * c->cap : 8;
	struct flight *f = malloc(cap * sizeof *f);

	if (!f)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n; i++)
		f[i] = *flight_at(c, i);
	free(c->flights);
	c->flights = f;
	c->cap = cap;
	c->head = 0;
	return 0;
}

bool session_has_replay(const struct session *s, uint64_t a_minute, uint64_t now_usec)
{
	return !a_minute || s->replay_full_usec < now_usec + MINUTE_USEC;
}

void session_spend_replay(struct session *s, uint64_t a_minute, uint32_t bytes, uint64_t now_usec)
{
	uint64_t from = s->replay_full_usec > now_usec ? s->replay_full_usec : now_usec;

	if (a_minute)
		s->replay_full_usec = from + (uint64_t)bytes * MINUTE_USEC / a_minute;
}

int session_flight_add(struct session *s, enum dibao_channel ch, uint64_t token,
		       struct entry_id end, uint32_t bytes, uint64_t *ret_number)
{
	struct session_channel *c = &s->at[ch];

	if (c->n >= SESSION_FLIGHTS_MAX)
		return -ENOBUFS;
	if (c->n == c->cap) {
		int r = grow(c);

		if (r < 0)
			return r;
	}
	c->n++;
	*flight_at(c, c->n - 1) = (struct flight){c->next_number, token, end, bytes};
	s->inflight_bytes[channel_is_now(ch)] += bytes;
	*ret_number = c->next_number++;
	return 0;
}

void session_flight_undo(struct session *s, enum dibao_channel ch)
{
	struct session_channel *c = &s->at[ch];

	s->inflight_bytes[channel_is_now(ch)] -= flight_at(c, c->n - 1)->bytes;
	c->n--;
	c->next_number--;
}

int session_ack(struct session *s, enum dibao_channel ch, uint64_t number, uint64_t token)
{
	struct session_channel *c = &s->at[ch];
	uint64_t first = c->next_number - c->n;
	uint32_t n;

	if (number >= c->next_number || number == 0)
		return -EPROTO;
	if (number < first)
		return 0; /* acknowledged before: an ACK may be repeated */
	n = (uint32_t)(number - first) + 1;
	if (flight_at(c, n - 1)->token != token)
		return -EPROTO;
	c->acked = flight_at(c, n - 1)->end;
	for (uint32_t i = 0; i < n; i++)
		s->inflight_bytes[channel_is_now(ch)] -= flight_at(c, i)->bytes;
	c->head = (c->head + n) & (c->cap - 1);
	c->n -= n;
	/* One slow moment of a thousand clients is not to cost 40 MiB for good. */
	if (!c->n && c->cap > FLIGHTS_KEPT) {
		free(c->flights);
		c->flights = NULL;
		c->cap = c->head = 0;
	}
	return (int)n;
}

uint32_t session_in_flight(const struct session *s)
{
	uint32_t n = 0;

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		n += s->at[c].n;
	return n;
}
