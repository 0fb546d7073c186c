/* SPDX-License-Identifier: Apache-2.0 */
/* A policy of any bytes is taken or refused; of what is taken no board has anything private, and
 * every key leads to its name. */
#include "../../daemon/access.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct access *a, const struct access_entry *e)
{
	static const char *const private[] = {
		"penalty", "welfare_visit", "mailbox_reply", "Award", "", "*"};

	if (access_find(a, e->name) != e)
		abort();
	for (unsigned i = 0; i < e->n_keys; i++)
		if (access_by_key(a, e->keys[i]) != e)
			abort();
	for (size_t i = 0; e->kind == ACCESS_BOARD && i < sizeof private / sizeof private[0]; i++)
		if (access_allows(e, (struct dibao_str){private[i], strlen(private[i])}, NULL, 0,
				  -1, 0)
			    .yes)
			abort();
	for (int c = 0; e->kind == ACCESS_BOARD && c < DIBAO_CHANNEL_COUNT; c++)
		if (c % 2 && e->channels >> c & 1)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct access *a = NULL;
	FILE *f = size ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL, *out;
	char *text = NULL;
	size_t len;

	out = open_memstream(&text, &len);
	(void)access_parse(&a, f, "fuzz", out);
	fclose(out);
	free(text);
	if (f)
		fclose(f);
	for (size_t i = 0; a && i < a->n; i++)
		check(a, &a->entries[i]);
	access_free(a);
	return 0;
}
