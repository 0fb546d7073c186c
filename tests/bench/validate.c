/* SPDX-License-Identifier: Apache-2.0 */
/* validate: ns to check one event of about 100, 200 and 1,000 bytes. One line of JSON each. */
#include <dibao/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 1000000, TRIES = 5 };

static void set(struct dibao_builder *b, const char *path, const char *text)
{
	if (dibao_builder_str(b, path, text, strlen(text)) < 0)
		exit(70);
}

static uint8_t *event_of(size_t bytes, size_t *ret_len)
{
	char reason[2048];
	uint8_t *out = NULL;
	size_t pad = 0;

	for (int round = 0; round < 2; round++) {
		struct dibao_builder *b;
		struct dibao_error err;

		free(out);
		dibao_builder_new(&b, "award");
		set(b, "uid", "20261123-A1-0001");
		dibao_builder_int(b, "at", 1795400000000);
		set(b, "org", "320508530000");
		set(b, "person.badge", "A1");
		set(b, "person.name", "张三");
		set(b, "issuer", "局");
		set(b, "body.kind.code", "A");
		set(b, "body.kind.name", "嘉奖");
		set(b, "body.state", "final");
		for (size_t i = 0; i + 3 < sizeof reason; i += 3)
			memcpy(reason + i, "见", 3);
		if (pad)
			dibao_builder_str(b, "body.reason", reason, pad - pad % 3);
		if (dibao_builder_encode(b, &out, ret_len, &err) < 0)
			exit(70);
		dibao_builder_free(b);
		pad = bytes > *ret_len + 12 ? bytes - *ret_len - 9 : 0;
		if (!pad)
			break;
	}
	return out;
}

static double once(const uint8_t *event, size_t len)
{
	struct timespec a, b;
	struct dibao_event ev;
	unsigned sum = 0;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < ROUNDS; i++) {
		if (dibao_event_parse(&ev, event, len, NULL) < 0)
			exit(70);
		sum += (unsigned)ev.uid.len;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (sum == 0)
		exit(70);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / ROUNDS;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	static const size_t sizes[] = {100, 200, 1000};

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		double ns[TRIES];
		size_t len;
		uint8_t *event = event_of(sizes[i], &len);

		for (int t = 0; t < TRIES; t++)
			ns[t] = once(event, len);
		qsort(ns, TRIES, sizeof ns[0], compare);
		printf("{\"bytes\":%zu,\"ns\":%.1f}\n", len, ns[TRIES / 2]);
		free(event);
	}
	return 0;
}
