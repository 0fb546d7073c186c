/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts that were not confirmed yet: kept, and sent again with each new connection. */
#include "subscriber_parts.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>

/* Of the wire; a newer application may know more states than we. */
enum { RECEIPT_WIRE_MAX = 512, RECEIPT_STATE_MAX = 255 };

int dibao_subscriber_receipt(struct dibao_subscriber *s, const void *key, size_t key_len,
			     enum dibao_receipt_state state, int64_t at_ms, const char *detail,
			     uint64_t *ret_id)
{
	size_t detail_len = detail ? strlen(detail) : 0;
	struct receipt *r;

	if (key_len < 1 || key_len > DIBAO_UID_MAX_BYTES || detail_len > WIRE_TEXT_MAX ||
	    (int)state < 1 || (int)state > RECEIPT_STATE_MAX ||
	    !utf8_is_valid((const uint8_t *)detail, detail_len))
		return -EINVAL;
	if (s->n_receipts == RECEIPTS_MAX)
		return -EAGAIN;
	r = calloc(1, sizeof *r + key_len + detail_len);
	if (!r)
		return -ENOMEM;
	r->id = ++s->next_receipt;
	r->state = state;
	r->at_ms = at_ms;
	r->key_len = (uint8_t)key_len;
	r->detail_len = (uint16_t)detail_len;
	r->has_detail = detail != NULL;
	memcpy(r->bytes, key, key_len);
	if (detail_len)
		memcpy(r->bytes + key_len, detail, detail_len);
	if (!s->receipts)
		s->receipts_end = &s->receipts;
	*s->receipts_end = r;
	s->receipts_end = &r->next;
	s->n_receipts++;
	if (ret_id)
		*ret_id = r->id;
	receipts_send(s, link_now());
	subscriber_look_again(s);
	return 0;
}

void receipts_send(struct dibao_subscriber *s, uint64_t now)
{
	uint8_t buf[RECEIPT_WIRE_MAX];

	if (s->status.state != DIBAO_STATE_ACTIVE)
		return;
	for (struct receipt *r = s->receipts; r; r = r->next) {
		struct wire_receipt w = {
			.id = r->id,
			.key = {r->bytes, r->key_len},
			.state = r->state,
			.at_ms = r->at_ms,
			.detail = {r->has_detail ? r->bytes + r->key_len : NULL, r->detail_len},
		};
		int n;

		if (r->sent)
			continue;
		n = wire_receipt_pack(buf, sizeof buf, &w);
		if (n < 0 || !link_send(s, buf, (size_t)n, now))
			return;
		r->sent = true;
	}
}

void receipts_reset(struct dibao_subscriber *s)
{
	for (struct receipt *r = s->receipts; r; r = r->next)
		r->sent = false;
}

void receipts_confirmed(struct dibao_subscriber *s, uint64_t id, int err)
{
	for (struct receipt **at = &s->receipts; *at; at = &(*at)->next) {
		struct receipt *r = *at;

		if (r->id != id)
			continue;
		*at = r->next;
		if (!r->next)
			s->receipts_end = at;
		free(r);
		s->n_receipts--;
		if (s->opt.on_confirmed)
			s->opt.on_confirmed(s, id, err ? -EIO : 0, s->opt.userdata);
		return;
	}
}

void dibao_subscriber_forget_receipts(struct dibao_subscriber *s)
{
	while (s->receipts) {
		struct receipt *r = s->receipts;

		s->receipts = r->next;
		free(r);
	}
	s->n_receipts = 0;
}
