/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file of any bytes is taken or refused; what is taken prints as a file that reads
 * back the same. */
#include "../../daemon/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config *parse(const void *bytes, size_t len)
{
	struct config *c = NULL;
	FILE *f = len > 0 ? fmemopen((void *)(uintptr_t)bytes, len, "r") : NULL;

	(void)config_parse(&c, f, "fuzz", NULL);
	if (f) {
		fclose(f);
	}
	return c;
}

static char *print(const struct config *c, size_t *ret_len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	config_print(c, f);
	fclose(f);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *c = parse(data, size), *again;
	char *text, *text_again;
	size_t len, len_again;

	if (!c) {
		return 0;
	}
	text = print(c, &len);
	again = parse(text, len);
	if (!again) {
		abort();
	}
	text_again = print(again, &len_again);
	if (len != len_again || memcmp(text, text_again, len) != 0) {
		abort();
	}
	free(text);
	free(text_again);
	config_free(c);
	config_free(again);
	return 0;
}
