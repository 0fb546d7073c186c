/* SPDX-License-Identifier: Apache-2.0 */
#include "item.h"
#include "day.h"

#include "mpread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A map being read: what keys lead to. */
struct reading {
	struct item *item;
	bool bad;
};

static bool is_key(const struct mp_value *v, const char *name)
{
	return v->n == strlen(name) && !memcmp(v->p, name, v->n);
}

static void take_text(struct reading *r, const struct mp_value *v, struct item_text *ret)
{
	if (v->kind != MP_STR)
		r->bad = true;
	else
		*ret = (struct item_text){(uint16_t)(v->p - r->item->view), (uint16_t)v->n};
}

static void take_pid(struct reading *r, const struct mp_value *v, uint8_t ret[DIBAO_PID_BYTES])
{
	if (v->kind != MP_BIN || v->n != DIBAO_PID_BYTES)
		r->bad = true;
	else
		memcpy(ret, v->p, DIBAO_PID_BYTES);
}

static void take_ms(struct reading *r, const struct mp_value *v, int64_t *ret)
{
	if (v->kind != MP_UINT || v->u > INT64_MAX)
		r->bad = true;
	else
		*ret = (int64_t)v->u;
}

static void take_bool(struct reading *r, const struct mp_value *v, bool *ret)
{
	if (v->kind != MP_BOOL)
		r->bad = true;
	else
		*ret = v->boolean;
}

/* The next of the `left` entries of a map: its key, its value, and a cursor behind the value's
 * head. False at the end, or when it cannot be read, and then r is bad. */
static bool next_entry(struct reading *r, struct mp_cursor *c, uint32_t *left, struct mp_value *key,
		       struct mp_cursor *ret_at, struct mp_value *ret_v)
{
	if (*left == 0 || r->bad)
		return false;
	--*left;
	r->bad = !mp_read(c, key);
	*ret_at = *c;
	r->bad = r->bad || !mp_skip(c, MP_DEPTH_MAX) || !mp_read(ret_at, ret_v);
	return !r->bad;
}

/* {code, name}; the cursor stands behind the map's head. */
static void read_named(struct reading *r, struct mp_cursor *c, const struct mp_value *map,
		       struct item_named *ret)
{
	struct mp_value key, v;
	struct mp_cursor at;
	uint32_t left = map->n;

	if (map->kind != MP_MAP) {
		r->bad = true;
		return;
	}
	while (next_entry(r, c, &left, &key, &at, &v)) {
		if (is_key(&key, "code"))
			take_text(r, &v, &ret->code);
		else if (is_key(&key, "name"))
			take_text(r, &v, &ret->name);
	}
}

static void read_body(struct reading *r, struct mp_cursor *c, const struct mp_value *map)
{
	struct item *it = r->item;
	struct mp_value key, v;
	struct mp_cursor at;
	struct item_text state = {0};
	uint32_t left = map->n;

	if (map->kind != MP_MAP) {
		r->bad = true;
		return;
	}
	while (next_entry(r, c, &left, &key, &at, &v)) {
		if (is_key(&key, "from"))
			read_named(r, &at, &v, &it->from);
		else if (is_key(&key, "to"))
			read_named(r, &at, &v, &it->to);
		else if (is_key(&key, "kind"))
			read_named(r, &at, &v, &it->honour);
		else if (is_key(&key, "state"))
			take_text(r, &v, &state);
		else if (is_key(&key, "notice_until"))
			take_text(r, &v, &it->last_day);
		else if (is_key(&key, "contact"))
			take_text(r, &v, &it->contact);
		else if (is_key(&key, "public_reason"))
			take_text(r, &v, &it->reason);
	}
	/* A state that is neither must not pass for a decision. */
	it->is_proposed = !(state.len == 5 && !memcmp(it->view + state.at, "final", 5));
}

static int read_view(struct reading *r)
{
	struct item *it = r->item;
	struct mp_cursor c = {it->view, it->view + it->len}, at;
	struct mp_value map, key, v;
	uint32_t left;
	bool has_pid = false, has_body = false;
	struct item_text type = {0};

	if (!mp_read(&c, &map) || map.kind != MP_MAP)
		return -EBADMSG;
	left = map.n;
	while (next_entry(r, &c, &left, &key, &at, &v)) {
		if (is_key(&key, "pid")) {
			take_pid(r, &v, it->pid);
			has_pid = true;
		} else if (is_key(&key, "type")) {
			take_text(r, &v, &type);
		} else if (is_key(&key, "at")) {
			take_ms(r, &v, &it->at_ms);
		} else if (is_key(&key, "org")) {
			take_text(r, &v, &it->org);
		} else if (is_key(&key, "name")) {
			take_text(r, &v, &it->name);
		} else if (is_key(&key, "unit")) {
			take_text(r, &v, &it->unit);
		} else if (is_key(&key, "ref")) {
			take_text(r, &v, &it->ref);
		} else if (is_key(&key, "expires")) {
			take_ms(r, &v, &it->expires_ms);
		} else if (is_key(&key, "record")) {
			take_bool(r, &v, &it->is_record);
		} else if (is_key(&key, "corrects")) {
			it->has_corrects = true;
		} else if (is_key(&key, "follows")) {
			take_pid(r, &v, it->follows);
			it->has_follows = true;
		} else if (is_key(&key, "body")) {
			read_body(r, &at, &v);
			has_body = true;
		}
	}
	if (r->bad || !has_pid || !has_body || !it->name.len || !it->org.len)
		return -EBADMSG;
	it->is_promotion = type.len == 9 && !memcmp(it->view + type.at, "promotion", 9);
	if (!it->is_promotion && !(type.len == 5 && !memcmp(it->view + type.at, "award", 5)))
		return -ENOTSUP;
	if (it->is_promotion ? !it->to.name.len : !it->honour.name.len)
		return -EBADMSG;
	if (it->is_proposed && it->last_day.len)
		day_end((const char *)it->view + it->last_day.at, it->last_day.len,
			&it->last_day_end_ms);
	return 0;
}

int item_new(struct item **ret, const void *view, size_t len)
{
	struct mp_cursor c = {view, (const uint8_t *)view + len};
	struct reading r = {0};
	int e;

	if (len > DIBAO_EVENT_MAX_BYTES || mp_skip_checked(&c, MP_DEPTH_MAX) || c.p != c.end)
		return -EBADMSG;
	r.item = calloc(1, sizeof *r.item + len);
	if (!r.item)
		return -ENOMEM;
	r.item->len = (uint16_t)len;
	memcpy(r.item->view, view, len);
	e = read_view(&r);
	if (e < 0) {
		free(r.item);
		return e;
	}
	*ret = r.item;
	return 0;
}

int item_compare(const struct item *a, const struct item *b)
{
	int64_t x = a->published_ms ? a->published_ms : a->at_ms;
	int64_t y = b->published_ms ? b->published_ms : b->at_ms;

	if (a->area != b->area)
		return a->area < b->area ? -1 : 1;
	if (x != y)
		return x > y ? -1 : 1;
	return memcmp(a->pid, b->pid, sizeof a->pid);
}
