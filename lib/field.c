/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading one field of an event by its dotted path, in the bytes themselves: for those who want a
 * few fields now and then. Keys that the table does not know are found too.
 */
#include "mpread.h"
#include "types.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

/* The value at a dotted path, looked up in the bytes themselves. */
static int value_at(const struct dibao_event *ev, const char *path, struct mp_value *ret)
{
	struct mp_cursor c = {ev->bytes, ev->bytes + ev->len};
	struct mp_value v, key;

	if (!strncmp(path, "body.", 5) && ev->slot_[SLOT_BODY].len) {
		c.p = ev->bytes + ev->slot_[SLOT_BODY].off;
		path += 5;
	}
	if (!mp_read(&c, &v))
		return -EBADMSG;
	for (;;) {
		size_t n = strcspn(path, ".");
		bool found = false;

		if (v.kind != MP_MAP)
			return -ENOENT;
		for (uint32_t i = 0; i < v.n && !found; i++) {
			if (!mp_read(&c, &key) || key.kind != MP_STR)
				return -EBADMSG;
			found = key.n == n && !memcmp(key.p, path, n);
			if (!found && !mp_skip(&c, MP_DEPTH_MAX))
				return -EBADMSG;
		}
		if (!found)
			return -ENOENT;
		if (!mp_read(&c, &v))
			return -EBADMSG;
		if (!path[n]) {
			*ret = v;
			return 0;
		}
		path += n + 1;
	}
}

int dibao_event_str(const struct dibao_event *ev, const char *path, struct dibao_str *ret)
{
	struct mp_value v;
	int r = value_at(ev, path, &v);

	if (r < 0)
		return r;
	if (v.kind != MP_STR && v.kind != MP_BIN)
		return -EINVAL;
	*ret = (struct dibao_str){(const char *)v.p, v.n};
	return 0;
}

int dibao_event_int(const struct dibao_event *ev, const char *path, int64_t *ret)
{
	struct mp_value v;
	int r = value_at(ev, path, &v);

	if (r < 0)
		return r;
	if (v.kind == MP_INT ? false : v.kind != MP_UINT || v.u > INT64_MAX)
		return -EINVAL;
	*ret = v.i;
	return 0;
}

int dibao_event_bool(const struct dibao_event *ev, const char *path, bool *ret)
{
	struct mp_value v;
	int r = value_at(ev, path, &v);

	if (r < 0)
		return r;
	if (v.kind != MP_BOOL)
		return -EINVAL;
	*ret = v.boolean;
	return 0;
}

bool dibao_org_within(const char *org, size_t org_len, const char *prefix, size_t prefix_len)
{
	return prefix_len <= org_len && !memcmp(org, prefix, prefix_len);
}

void dibao_event_hash(const void *bytes, size_t len, uint8_t ret_hash[16])
{
	crypto_generichash(ret_hash, 16, bytes, len, NULL, 0);
}
