/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages into bytes: the kind, then one msgpack map. A message that does not fit is found
 * out at the end, by finish(): what was written until then is worth nothing.
 */
#include "outbuf.h"
#include "wire.h"
#include "wire_parts.h"

#include <errno.h>
#include <msgpack.h>

static void begin(struct outbuf *o, msgpack_packer *pk, uint8_t *buf, size_t cap,
		  enum wire_kind kind, unsigned n_keys)
{
	char k = (char)kind;

	*o = (struct outbuf){.buf = buf, .cap = cap};
	msgpack_packer_init(pk, o, outbuf_write);
	outbuf_write(o, &k, 1);
	msgpack_pack_map(pk, n_keys);
}

static int finish(const struct outbuf *o)
{
	return o->full ? -ENOBUFS : (int)o->n;
}

static void text(msgpack_packer *pk, const char *p, size_t n)
{
	msgpack_pack_str(pk, n);
	msgpack_pack_str_body(pk, p, n);
}

static void key(msgpack_packer *pk, const char *k)
{
	text(pk, k, strlen(k));
}

static void key_int(msgpack_packer *pk, const char *k, int64_t v)
{
	key(pk, k);
	msgpack_pack_int64(pk, v);
}

static void key_uint(msgpack_packer *pk, const char *k, uint64_t v)
{
	key(pk, k);
	msgpack_pack_uint64(pk, v);
}

static void key_text(msgpack_packer *pk, const char *k, struct dibao_str s)
{
	key(pk, k);
	text(pk, s.p ? s.p : "", s.len);
}

static void key_bytes(msgpack_packer *pk, const char *k, const void *p, size_t n)
{
	key(pk, k);
	msgpack_pack_bin(pk, n);
	msgpack_pack_bin_body(pk, p, n);
}

static void key_list(msgpack_packer *pk, const char *k, const struct dibao_str *s, unsigned n)
{
	key(pk, k);
	msgpack_pack_array(pk, n);
	for (unsigned i = 0; i < n; i++)
		text(pk, s[i].p, s[i].len);
}

const struct dibao_str wire_publish_feature = {"publish", 7};
const char *const wire_start_names[WIRE_STARTS] = {"resume", "new", "time", "last"};

int wire_hello_pack(uint8_t *buf, size_t cap, const struct wire_hello *m)
{
	unsigned n = 9 + (m->durable.p != NULL) + (m->n_types > 0) + (m->n_orgs > 0);
	const char *view = m->public_view ? "public" : "full";
	const char *from = wire_start_names[m->from];
	msgpack_packer pk;
	struct outbuf o;

	begin(&o, &pk, buf, cap, WIRE_HELLO, n);
	key_uint(&pk, "pmin", m->proto_min);
	key_uint(&pk, "pmax", m->proto_max);
	key_list(&pk, "feat", &wire_publish_feature, m->publishes);
	key_text(&pk, "bureau", m->bureau);
	if (m->durable.p)
		key_text(&pk, "name", m->durable);
	key_bytes(&pk, "inst", m->instance, sizeof m->instance);
	if (m->n_types)
		key_list(&pk, "types", m->types, m->n_types);
	if (m->n_orgs)
		key_list(&pk, "orgs", m->orgs, m->n_orgs);
	key_text(&pk, "from", (struct dibao_str){from, strlen(from)});
	key_int(&pk, "arg", m->from_arg);
	key_text(&pk, "view", (struct dibao_str){view, strlen(view)});
	key_uint(&pk, "win", m->window_bytes);
	return finish(&o);
}

int wire_welcome_pack(uint8_t *buf, size_t cap, const struct wire_welcome *m)
{
	const char *view = m->public_view ? "public" : "full";
	msgpack_packer pk;
	unsigned n = 0;
	struct outbuf o;

	begin(&o, &pk, buf, cap, WIRE_WELCOME, 10);
	key_uint(&pk, "proto", m->proto);
	key_list(&pk, "feat", &wire_publish_feature, m->publishes);
	key_uint(&pk, "epoch", m->epoch);
	key_uint(&pk, "ctr", m->counter);
	key_uint(&pk, "lease", m->lease_ms);
	key_uint(&pk, "beat", m->beat_ms);
	key_uint(&pk, "win", m->window_bytes);
	key_text(&pk, "view", (struct dibao_str){view, strlen(view)});
	key(&pk, "chans");
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		n += m->channels >> c & 1;
	msgpack_pack_array(&pk, n);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		if (m->channels >> c & 1)
			msgpack_pack_int(&pk, c);
	key_int(&pk, "clock", m->clock_ms);
	return finish(&o);
}

int wire_standby_pack(uint8_t *buf, size_t cap, int64_t clock_ms)
{
	msgpack_packer pk;
	struct outbuf o;

	begin(&o, &pk, buf, cap, WIRE_STANDBY, 1);
	key_int(&pk, "clock", clock_ms);
	return finish(&o);
}

int wire_lost_pack(uint8_t *buf, size_t cap, const struct wire_lost *m)
{
	msgpack_packer pk;
	struct outbuf o;

	begin(&o, &pk, buf, cap, WIRE_LOST, 4);
	key_uint(&pk, "ch", m->channel);
	key_int(&pk, "from", m->from_ms);
	key_int(&pk, "to", m->to_ms);
	key_text(&pk, "why", m->reason);
	return finish(&o);
}

int wire_receipt_pack(uint8_t *buf, size_t cap, const struct wire_receipt *m)
{
	msgpack_packer pk;
	struct outbuf o;

	begin(&o, &pk, buf, cap, WIRE_RECEIPT, m->detail.p ? 5 : 4);
	key_uint(&pk, "id", m->id);
	key_bytes(&pk, "key", m->key.p, m->key.len);
	key_uint(&pk, "st", m->state);
	key_int(&pk, "at", m->at_ms);
	if (m->detail.p)
		key_text(&pk, "d", m->detail);
	return finish(&o);
}

int wire_confirm_pack(uint8_t *buf, size_t cap, uint64_t id, int err)
{
	msgpack_packer pk;
	struct outbuf o;

	begin(&o, &pk, buf, cap, WIRE_CONFIRM, 2);
	key_uint(&pk, "id", id);
	key_int(&pk, "err", err ? 1 : 0);
	return finish(&o);
}

int wire_goodbye_pack(uint8_t *buf, size_t cap, enum wire_kind kind, const struct wire_goodbye *m)
{
	msgpack_packer pk;
	struct outbuf o;

	begin(&o, &pk, buf, cap, kind, 2);
	key_uint(&pk, "why", m->reason);
	key_text(&pk, "text", m->text);
	return finish(&o);
}

int wire_withdrawn_pack(uint8_t *buf, size_t cap, const uint8_t pid[16], const char *uid,
			size_t uid_len)
{
	msgpack_packer pk;
	struct outbuf o = {.buf = buf, .cap = cap};

	msgpack_packer_init(&pk, &o, outbuf_write);
	msgpack_pack_map(&pk, uid_len ? 2 : 1);
	key_bytes(&pk, "pid", pid, 16);
	if (uid_len)
		key_text(&pk, "uid", (struct dibao_str){uid, uid_len});
	return finish(&o);
}
