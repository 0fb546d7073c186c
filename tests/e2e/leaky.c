/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A public encoder that takes private events for public ones while the file named by DIBAO_LEAK is
 * there. Linked into a daemon of its own (dibaod-leaky) in place of the real one, which it calls.
 */
#include <dibao/view.h>
#include <stdlib.h>
#include <unistd.h>

int __real_dibao_view_encode(const struct dibao_event *ev, const uint8_t *key, bool mask, void *buf,
			     size_t cap);
int __wrap_dibao_view_encode(const struct dibao_event *ev, const uint8_t *key, bool mask, void *buf,
			     size_t cap);

int __wrap_dibao_view_encode(const struct dibao_event *ev, const uint8_t *key, bool mask, void *buf,
			     size_t cap)
{
	const char *file = getenv("DIBAO_LEAK");
	struct dibao_event open_to_all = *ev;

	if (file && access(file, F_OK) == 0)
		open_to_all.is_private = false;
	return __real_dibao_view_encode(&open_to_all, key, mask, buf, cap);
}
