/* SPDX-License-Identifier: Apache-2.0 */
#include "item_json.h"

static void text_member(struct jsonbuf *j, const char *key, const struct item *i,
			struct item_text t)
{
	jsonbuf_key(j, key);
	jsonbuf_text(j, (const char *)i->view + t.at, t.len);
}

static void named_member(struct jsonbuf *j, const char *key, const struct item *i,
			 const struct item_named *n)
{
	jsonbuf_key(j, key);
	jsonbuf_open(j, '{');
	text_member(j, "code", i, n->code);
	text_member(j, "name", i, n->name);
	jsonbuf_close(j, '}');
}

void item_write(struct jsonbuf *j, const struct item *i, const char *place, bool is_moment)
{
	static const char *const areas[] = {"bureau", "own", "district", "bureau"};

	jsonbuf_open(j, '{');
	jsonbuf_key(j, "pid");
	jsonbuf_hex(j, i->pid, sizeof i->pid);
	jsonbuf_key_text(j, "type", i->is_promotion ? "promotion" : "award");
	jsonbuf_key_text(j, "state", i->is_proposed ? "proposed" : "final");
	jsonbuf_key_int(j, "at", i->at_ms);
	jsonbuf_key_int(j, "published_ms", i->published_ms);
	jsonbuf_key_text(j, "area", areas[i->area]);
	if (place)
		jsonbuf_key_text(j, "org", place);
	else
		text_member(j, "org", i, i->org);
	text_member(j, "unit", i, i->unit);
	jsonbuf_key_bool(j, "show_unit", i->show_unit);
	text_member(j, "name", i, i->name);
	text_member(j, "ref", i, i->ref);
	if (i->is_promotion) {
		named_member(j, "from", i, &i->from);
		named_member(j, "to", i, &i->to);
	} else {
		named_member(j, "honour", i, &i->honour);
		text_member(j, "reason", i, i->reason);
	}
	if (i->is_proposed) {
		text_member(j, "last_day", i, i->last_day);
		text_member(j, "contact", i, i->contact);
	}
	jsonbuf_key_bool(j, "record", i->is_record);
	jsonbuf_key_bool(j, "moment", is_moment);
	jsonbuf_close(j, '}');
}
