/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is an event or refused with a reason; what is taken comes out as JSON that makes the
 * same bytes. */
#include <dibao/event.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dibao_error err = {.code = 0};
	uint8_t *bytes, *again;
	size_t len, len_again;
	char *text;

	if (dibao_event_from_json((const char *)data, size, 1, &bytes, &len, &err) < 0) {
		must(err.code < 0 && err.reason[0] && err.line > 0);
		return 0;
	}
	must(dibao_event_to_json(bytes, len, &text) == 0);
	must(dibao_event_from_json(text, strlen(text), 1, &again, &len_again, &err) == 0);
	must(len == len_again && !memcmp(bytes, again, len));
	free(text);
	free(bytes);
	free(again);
	return 0;
}
