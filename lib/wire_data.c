/* SPDX-License-Identifier: Apache-2.0 */
/* DATA and ACK: fixed places, big-endian. */
#include "wire.h"

#include <errno.h>

static void put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof v);
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof v);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return be32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return be64toh(v);
}

void wire_data_pack(uint8_t ret[WIRE_HEADER_BYTES], const struct wire_data *d)
{
	ret[0] = WIRE_DATA;
	ret[1] = d->flags;
	ret[2] = d->channel;
	ret[3] = 0;
	put32(ret + 4, d->count);
	put64(ret + 8, d->number);
	put64(ret + 16, d->token);
	put64(ret + 24, d->clock_ms);
}

int wire_data_unpack(struct wire_data *ret, const void *frame, size_t len)
{
	const uint8_t *p = frame;

	if (len != WIRE_HEADER_BYTES || p[0] != WIRE_DATA || p[2] >= DIBAO_CHANNEL_COUNT)
		return -EBADMSG;
	*ret = (struct wire_data){.flags = p[1],
				  .channel = p[2],
				  .count = get32(p + 4),
				  .number = get64(p + 8),
				  .token = get64(p + 16),
				  .clock_ms = get64(p + 24)};
	return 0;
}

/* Where an item begins is known when the one before has been read, and a frame comes fresh from
 * the thread that received it, in another processor's cache: so what lies ahead is asked for while
 * this item is looked at, every line of it, for the application will read it next. */
static void ask_ahead(const uint8_t *p, size_t n, const uint8_t *end)
{
	enum { LINE = 64, AHEAD = 2048 };

	if ((size_t)(end - p) <= AHEAD + n)
		return;
	for (size_t i = 0; i < n; i += LINE)
		__builtin_prefetch(p + AHEAD + i);
}

int wire_payload_check(const uint8_t *p, size_t len, uint32_t count)
{
	const uint8_t *end = p + len;

	for (; count; count--) {
		size_t n;

		if (end - p < WIRE_ITEM_HEADER_BYTES)
			return -EBADMSG;
		n = (size_t)(p[2] << 8 | p[3]);
		p += WIRE_ITEM_HEADER_BYTES;
		if ((size_t)(end - p) < n)
			return -EBADMSG;
		ask_ahead(p, n, end);
		p += n;
	}
	return p == end ? 0 : -EBADMSG;
}

size_t wire_ack_pack(uint8_t ret[WIRE_ACK_MAX], const struct wire_ack *a)
{
	uint8_t *p = ret;

	*p++ = WIRE_ACK;
	*p++ = a->n;
	for (unsigned i = 0; i < a->n; i++, p += 17) {
		p[0] = a->at[i].channel;
		put64(p + 1, a->at[i].number);
		put64(p + 9, a->at[i].token);
	}
	return (size_t)(p - ret);
}

int wire_ack_unpack(struct wire_ack *ret, const void *frame, size_t len)
{
	const uint8_t *p = frame;
	struct wire_ack a = {0};

	if (len < 2 || p[0] != WIRE_ACK || p[1] < 1 || p[1] > DIBAO_CHANNEL_COUNT ||
	    len != 2 + 17u * p[1])
		return -EBADMSG;
	a.n = p[1];
	p += 2;
	for (unsigned i = 0; i < a.n; i++, p += 17) {
		if (p[0] >= DIBAO_CHANNEL_COUNT)
			return -EBADMSG;
		a.at[i].channel = p[0];
		a.at[i].number = get64(p + 1);
		a.at[i].token = get64(p + 9);
	}
	*ret = a;
	return 0;
}
