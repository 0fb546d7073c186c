/* SPDX-License-Identifier: Apache-2.0 */
/* client_check: ns per event that a subscriber spends on checking what came: header, count,
 * lengths, each item found. Frames of 64 KiB with events of 100, 200 and 1,000 bytes. A line of
 * JSON each. */
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVENTS = 20000000, TRIES = 5 };

static uint8_t payload[WIRE_PAYLOAD_MAX];

static uint32_t fill(size_t bytes, size_t *ret_len)
{
	uint8_t *p = payload;
	uint32_t n = 0;

	for (; p + WIRE_ITEM_HEADER_BYTES + bytes <= payload + 65536; n++)
		p = wire_item_pack(p, DIBAO_ITEM_EVENT, 0, (uint16_t)bytes) + bytes;
	*ret_len = (size_t)(p - payload);
	return n;
}

static double once(uint32_t count, size_t len)
{
	struct wire_data d = {.count = count, .number = 1};
	uint8_t header[WIRE_HEADER_BYTES];
	struct timespec a, b;
	unsigned sum = 0, rounds = EVENTS / count;

	wire_data_pack(header, &d);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned i = 0; i < rounds; i++) {
		const uint8_t *p = payload;
		struct wire_item it;

		if (wire_data_unpack(&d, header, sizeof header) < 0 ||
		    wire_payload_check(payload, len, d.count) < 0)
			exit(70);
		for (uint32_t k = 0; k < d.count; k++) {
			p = wire_item_next(p, &it);
			sum += it.len;
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (sum == 0)
		exit(70);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / rounds /
	       count;
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
		uint32_t n = fill(sizes[i], &len);

		for (int t = 0; t < TRIES; t++)
			ns[t] = once(n, len);
		qsort(ns, TRIES, sizeof ns[0], compare);
		printf("{\"bytes\":%zu,\"ns\":%.2f}\n", sizes[i], ns[TRIES / 2]);
	}
	return 0;
}
