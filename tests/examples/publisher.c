/* SPDX-License-Identifier: Apache-2.0 */
/* Publishes an award, twice if run twice, but it is stored once: publisher REDIS BUREAU UID
 *     cc publisher.c $(pkg-config --cflags --libs dibao) */
#include <dibao/publish.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set(struct dibao_builder *b, const char *uid, struct dibao_error *err)
{
	const struct {
		const char *field, *value;
	} fields[] = {
		{"uid", uid},
		{"at", "2026-07-05T09:00:00+08:00"},
		{"org", "320508530000"},
		{"issuer", "演示数据"},
		{"person.badge", "F000001"},
		{"person.name", "演示"},
		{"body.kind.code", "HX"},
		{"body.kind.name", "火线奖励"},
		{"body.state", "final"},
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		int r = dibao_builder_text(b, fields[i].field, fields[i].value, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct dibao_redis_options o = {.address = argc > 1 ? argv[1] : "",
					.bureau = argc > 2 ? argv[2] : ""};
	struct dibao_publisher *p = NULL;
	struct dibao_builder *b = NULL;
	struct dibao_error err = {0};
	uint8_t *event = NULL;
	size_t len = 0;
	int r = dibao_builder_new(&b, "award");

	if (r == 0)
		r = set(b, argc > 3 ? argv[3] : "example-1", &err);
	if (r == 0)
		r = dibao_builder_encode(b, &event, &len, &err);
	if (r == 0)
		r = dibao_publisher_new(&p, &o, &err);
	if (r == 0)
		r = dibao_publish(p, event, len, &err);
	printf("%s %s\n", r < 0 ? dibao_strerror(r) : dibao_outcome_name(r), err.reason);
	dibao_publisher_free(p);
	dibao_builder_free(b);
	free(event);
	return r < 0;
}
