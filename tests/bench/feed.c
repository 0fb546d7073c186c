/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed: publishes M events of about B bytes, through the publisher's library.
 *
 *   feed --redis ADDR --events M --bytes B [--rate R] [--window W]
 *
 * uid = "l<CLOCK_MONOTONIC µs at publishing>-<n>"; all of type award (public) for one station. With
 * a rate each event waits for its moment and for its answer. Prints one line of JSON.
 */
#include <dibao/publish.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static uint64_t n_bad;

static void done(void *userdata, int outcome, const struct dibao_error *err)
{
	(void)userdata;
	if (outcome != DIBAO_NEW && !n_bad++)
		fprintf(stderr, "feed: %d %s\n", outcome, err ? err->reason : "");
}

static void set(struct dibao_builder *b, const char *path, const char *text)
{
	if (dibao_builder_str(b, path, text, strlen(text)) < 0) {
		fprintf(stderr, "feed: %s\n", path);
		exit(70);
	}
}

/* A real award, padded by its reason; uid of 25 bytes to be written over. */
static uint8_t *template_of(size_t bytes, size_t *ret_len)
{
	char reason[4096];
	uint8_t *out = NULL;
	struct dibao_builder *b;
	struct dibao_error err;
	size_t pad = 0;

	for (int round = 0; round < 2; round++) {
		free(out);
		dibao_builder_new(&b, "award");
		set(b, "uid", "l0000000000000000-0000000");
		dibao_builder_int(b, "at", 1795400000000);
		set(b, "org", "320508530000");
		set(b, "person.badge", "A1");
		set(b, "person.name", "张三");
		set(b, "issuer", "局");
		set(b, "body.kind.code", "A");
		set(b, "body.kind.name", "嘉奖");
		set(b, "body.state", "final");
		memset(reason, 'x', sizeof reason);
		if (pad)
			dibao_builder_str(b, "body.reason", reason, pad);
		if (dibao_builder_encode(b, &out, ret_len, &err) < 0) {
			fprintf(stderr, "feed: %s: %s\n", err.field, err.reason);
			exit(70);
		}
		dibao_builder_free(b);
		pad = bytes > *ret_len + 10 ? bytes - *ret_len - 9 : 0;
		if (!pad)
			break;
	}
	return out;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"redis", required_argument, NULL, 'r'},  {"events", required_argument, NULL, 'n'},
		{"bytes", required_argument, NULL, 'b'},  {"rate", required_argument, NULL, 'R'},
		{"window", required_argument, NULL, 'w'}, {0},
	};
	struct dibao_redis_options ro = {.bureau = "3205", .timeout_ms = 30000};
	uint64_t events = 1, rate = 0, start;
	unsigned window = 512;
	size_t bytes = 200, len;
	struct dibao_publisher *p;
	struct dibao_error err;
	uint8_t *event, *uid;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'r':
			ro.address = optarg;
			break;
		case 'n':
			events = strtoull(optarg, NULL, 10);
			break;
		case 'b':
			bytes = strtoull(optarg, NULL, 10);
			break;
		case 'R':
			rate = strtoull(optarg, NULL, 10);
			break;
		case 'w':
			window = (unsigned)atoi(optarg);
			break;
		default:
			return 64;
		}
	if (!ro.address || dibao_publisher_new(&p, &ro, &err) < 0) {
		fprintf(stderr, "feed: %s\n", ro.address ? err.reason : "--redis is missing");
		return 69;
	}
	dibao_publisher_window(p, rate ? 1 : window);
	event = template_of(bytes, &len);
	uid = memmem(event, len, "l0000000000000000-", 18);
	start = now_usec();
	for (uint64_t i = 0; i < events; i++) {
		char text[32];

		if (rate) {
			uint64_t at = start + i * 1000000 / rate;

			while (now_usec() < at) {
				uint64_t wait = at - now_usec();

				if (wait > 60 && wait < 1000000)
					nanosleep(&(struct timespec){.tv_nsec = (long)(wait - 50) *
										1000},
						  NULL);
			}
		}
		snprintf(text, sizeof text, "l%016llu-%07llu", (unsigned long long)now_usec(),
			 (unsigned long long)i % 10000000);
		memcpy(uid, text, 25);
		if (dibao_publish_async(p, event, len, done, NULL) < 0)
			return 70;
		if (rate)
			dibao_publisher_flush(p);
	}
	if (dibao_publisher_flush(p) < 0 || n_bad)
		return 70;
	printf("{\"events\":%llu,\"bytes\":%zu,\"per_s\":%.0f}\n", (unsigned long long)events, len,
	       (double)events * 1e6 / (double)(now_usec() - start));
	dibao_publisher_free(p);
	free(event);
	return 0;
}
