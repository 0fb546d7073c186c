/* SPDX-License-Identifier: Apache-2.0 */
/* A public view of any bytes is an item or none; an item's texts lie within it, and what the page
 * is told of it is one line of JSON. */
#include "../../clients/board/item_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const struct item *i, struct item_text t)
{
	if ((size_t)t.at + t.len > i->len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jsonbuf j = {0};
	struct item *i;
	json_t *root;

	if (item_new(&i, data, size) < 0)
		return 0;
	check_text(i, i->org);
	check_text(i, i->name);
	check_text(i, i->unit);
	check_text(i, i->ref);
	check_text(i, i->last_day);
	check_text(i, i->contact);
	check_text(i, i->reason);
	check_text(i, i->from.name);
	check_text(i, i->to.code);
	check_text(i, i->honour.name);
	if (!i->name.len || !i->org.len || (i->last_day_end_ms && !i->is_proposed))
		abort();
	item_write(&j, i, NULL, false);
	/* No NUL is in it: strlen() below would end there. */
	root = j.failed || strlen(j.p) != j.n || strchr(j.p, '\n') || strchr(j.p, '<')
		       ? NULL
		       : json_loadb(j.p, j.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (!json_is_string(json_object_get(root, "name")))
		abort();
	json_decref(root);
	jsonbuf_done(&j);
	free(i);
	return 0;
}
