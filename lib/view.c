/* SPDX-License-Identifier: Apache-2.0 */
#include <dibao/view.h>

#include "mpread.h"
#include "outbuf.h"
#include "types.h"

#include <errno.h>
#include <msgpack.h>
#include <sodium.h>
#include <string.h>

void dibao_pid(const uint8_t key[DIBAO_VIEW_KEY_BYTES], const char *uid, size_t uid_len,
	       uint8_t ret_pid[DIBAO_PID_BYTES])
{
	crypto_generichash(ret_pid, DIBAO_PID_BYTES, (const uint8_t *)uid, uid_len, key,
			   DIBAO_VIEW_KEY_BYTES);
}

static void key(msgpack_packer *pk, const char *k)
{
	msgpack_pack_str(pk, strlen(k));
	msgpack_pack_str_body(pk, k, strlen(k));
}

/* The value of a slot: as it stands in the event, but of a map only the rows that are public, for
 * an event may carry keys that nobody here knows. */
static void copy_slot(struct outbuf *o, msgpack_packer *pk, const struct dibao_event *ev,
		      const struct flat *flat, unsigned slot);

static void copy_public(struct outbuf *o, msgpack_packer *pk, const struct dibao_event *ev,
			const struct flat *flat, uint8_t first)
{
	unsigned n = 0;

	for (uint8_t s = first; s; s = flat->keys[s].next)
		n += ev->slot_[s].len && (flat->specs[s]->flags & DIBAO_FIELD_PUBLIC);
	msgpack_pack_map(pk, n);
	for (uint8_t s = first; s; s = flat->keys[s].next)
		if (ev->slot_[s].len && (flat->specs[s]->flags & DIBAO_FIELD_PUBLIC)) {
			key(pk, flat->specs[s]->name);
			copy_slot(o, pk, ev, flat, s);
		}
}

static void copy_slot(struct outbuf *o, msgpack_packer *pk, const struct dibao_event *ev,
		      const struct flat *flat, unsigned slot)
{
	if (flat->specs[slot]->kind == DIBAO_KIND_MAP)
		copy_public(o, pk, ev, flat, flat->keys[slot].child);
	else
		outbuf_write(o, (const char *)ev->bytes + ev->slot_[slot].off, ev->slot_[slot].len);
}

static void copy_if(struct outbuf *o, msgpack_packer *pk, const struct dibao_event *ev,
		    const struct flat *flat, unsigned slot, const char *name)
{
	if (!ev->slot_[slot].len)
		return;
	key(pk, name);
	copy_slot(o, pk, ev, flat, slot);
}

/* 张三丰 as 张**: the first character stays, also of a surname of two, and a star for each further
 * one, at most 4. A name of one character would stand there whole: it is a star. */
static void pack_masked(msgpack_packer *pk, struct dibao_str name)
{
	char buf[16];
	size_t n = 1, stars = 0;

	while (n < name.len && ((uint8_t)name.p[n] & 0xc0) == 0x80)
		n++;
	for (size_t i = n; i < name.len; i++)
		stars += ((uint8_t)name.p[i] & 0xc0) != 0x80;
	stars = stars > 4 ? 4 : stars;
	if (stars == 0) {
		n = 0;
		stars = 1;
	}
	memcpy(buf, name.p, n);
	memset(buf + n, '*', stars);
	msgpack_pack_str(pk, n + stars);
	msgpack_pack_str_body(pk, buf, n + stars);
}

static void pid_if(msgpack_packer *pk, const uint8_t *view_key, struct dibao_str uid,
		   const char *name)
{
	uint8_t pid[DIBAO_PID_BYTES];

	if (!uid.p)
		return;
	dibao_pid(view_key, uid.p, uid.len, pid);
	key(pk, name);
	msgpack_pack_bin(pk, sizeof pid);
	msgpack_pack_bin_body(pk, pid, sizeof pid);
}

int dibao_view_encode(const struct dibao_event *ev, const uint8_t view_key[DIBAO_VIEW_KEY_BYTES],
		      bool mask, void *buf, size_t cap)
{
	static const struct {
		unsigned slot;
		const char *name;
	} optional[] = {
		{SLOT_UNIT, "unit"},	   {SLOT_RANK, "rank"},	    {SLOT_REF, "ref"},
		{SLOT_EXPIRES, "expires"}, {SLOT_RECORD, "record"},
	};
	struct outbuf o = {.buf = buf, .cap = cap};
	unsigned n = 7 + !!ev->corrects.p + !!ev->follows.p;
	const struct flat *flat;
	struct dibao_str name;
	msgpack_packer pk;

	if (ev->is_private || ev->type == DIBAO_TYPE_UNKNOWN || ev->retracts.p ||
	    dibao_event_str(ev, "person.name", &name) < 0)
		return -EACCES;
	flat = types_flat(ev->type);
	for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++)
		n += ev->slot_[optional[i].slot].len > 0;
	msgpack_packer_init(&pk, &o, outbuf_write);
	msgpack_pack_map(&pk, n);
	key(&pk, "v");
	msgpack_pack_int(&pk, 1);
	pid_if(&pk, view_key, ev->uid, "pid");
	copy_if(&o, &pk, ev, flat, SLOT_TYPE, "type");
	copy_if(&o, &pk, ev, flat, SLOT_AT, "at");
	copy_if(&o, &pk, ev, flat, SLOT_ORG, "org");
	key(&pk, "name");
	if (mask)
		pack_masked(&pk, name);
	else
		copy_slot(&o, &pk, ev, flat, SLOT_NAME);
	for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++)
		copy_if(&o, &pk, ev, flat, optional[i].slot, optional[i].name);
	pid_if(&pk, view_key, ev->corrects, "corrects");
	pid_if(&pk, view_key, ev->follows, "follows");
	key(&pk, "body");
	copy_public(&o, &pk, ev, flat, flat->keys[flat->body].child);
	return o.full ? -ENOBUFS : (int)o.n;
}
