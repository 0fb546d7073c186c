/* SPDX-License-Identifier: Apache-2.0 */
/* What is published may be any bytes. */
#include "queue_fixture.h"

struct raw {
	uint8_t p[20000];
	size_t len;
};

static void put(struct raw *r, const void *bytes, size_t len)
{
	memcpy(r->p + r->len, bytes, len);
	r->len += len;
}

static void put_str(struct raw *r, const char *s)
{
	uint8_t head = (uint8_t)(0xa0 + strlen(s));

	put(r, &head, 1);
	put(r, s, strlen(s));
}

/* A map of uid, type, org and one more pair, which may take another's place: the last of two equal
 * keys counts. */
static struct raw with(const char *key, const char *value, size_t value_len)
{
	static const char *const pairs[][2] = {{"uid", "a"}, {"type", "award"}, {"org", GUSU}};
	struct raw r = {.len = 0};

	put(&r, "\x84", 1);
	for (size_t i = 0; i < 3; i++) {
		put_str(&r, pairs[i][0]);
		put_str(&r, pairs[i][1]);
	}
	put_str(&r, key);
	put(&r, value, value_len);
	return r;
}

static void refused(struct raw r, const char *why)
{
	char error[96];

	snprintf(error, sizeof error, "DIBAO_INVALID %s", why);
	assert_error(call_bytes("dibao_publish", NULL, (struct bytes){r.p, r.len}), error);
}

#define WITH(key, value) with(key, value, sizeof(value) - 1)

static void bytes_that_are_no_event_are_refused_by_the_field(void **state)
{
	struct raw r = {.len = 0};

	(void)state;
	r = WITH("x", "\xc0");
	publish_bytes((struct bytes){r.p, r.len}, "new"); /* the rest differ from it by one thing */
	command("FLUSHALL");
	refused((struct raw){.len = 0}, "not a msgpack map");
	refused((struct raw){.p = "\xc1", .len = 1}, "not a msgpack map");
	refused((struct raw){.p = "\x93\x01\x02\x03", .len = 4}, "uid");
	refused((struct raw){.p = "\xdf\xff\xff\xff\xff\xa1", .len = 6}, "not a msgpack map");
	refused((struct raw){.p = "\x81\xa3uid\xdb\xff\xff\xff\xff", .len = 10},
		"not a msgpack map");
	memset(r.p, 0x91, 16384);
	r.len = 16384;
	refused(r, "not a msgpack map");
	memset(r.p, 0x81, 16384);
	refused(r, "not a msgpack map");
	r.len = 16385;
	refused(r, "over 16384 bytes");
	r = WITH("x", "\xc0");
	put(&r, "x", 1);
	refused(r, "not a msgpack map");
	r = WITH("x", "\xc4\x01z");
	put(&r, "x", 1);
	refused(r, "not a msgpack map");
	r = WITH("x", "\xc4\x01z");
	r.len--;
	refused(r, "not a msgpack map");
	refused(WITH("uid", "\xa0"), "uid");
	refused(WITH("uid", "\x01"), "uid");
	refused(WITH("uid", "\xd9\x41"
			    "00000000000000000000000000000000000000000000000000000000000000000"),
		"uid");
	refused(WITH("type", "\xa0"), "type");
	refused(WITH("type", "\xa3"
			     "a b"),
		"type");
	refused(WITH("org", "\xab"
			    "32050800000"),
		"org");
	refused(WITH("org", "\xac"
			    "32050800000x"),
		"org");
	refused(WITH("private", "\x01"), "private");
	refused(WITH("private", "\xa4true"), "private");
	refused(WITH("urgent", "\x01"), "urgent");
	refused(WITH("retracts", "\xa0"), "retracts");
	refused(WITH("corrects", "\x01"), "corrects");
	refused(WITH("not_before", "\xa1"
				   "1"),
		"not_before");
	refused(WITH("not_before", "\xff"), "not_before");
	refused(WITH("not_before", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "not_before");
	refused(WITH("not_before", "\xcb\x7f\xf0\0\0\0\0\0\0"), "not_before");
	refused(WITH("not_before", "\xcb\x7f\xf8\0\0\0\0\0\0"), "not_before");
	refused(WITH("retracts", "\xa1"
				 "a"),
		"an event cannot take itself back");
	assert_number(command("DBSIZE"), 0);
}

static void an_event_with_binary_in_it_is_read_too(void **state)
{
	struct sample s = {
		.uid = "a", .type = "penalty", .trace = "000102030405060708090a0b0c0d0e0f"};

	(void)state;
	s.not_before = redis_ms() + 3600000;
	publish(s, "scheduled");
	assert_string_equal(got_channel, "private");
	assert_string_equal(record("a", "o"), GUSU);
	assert_string_equal(record("a", "b"), "A1");
}

#define T(f) cmocka_unit_test_setup(f, empty_redis)

int main(void)
{
	const struct CMUnitTest bytes[] = {
		T(bytes_that_are_no_event_are_refused_by_the_field),
		T(an_event_with_binary_in_it_is_read_too),
	};

	return cmocka_run_group_tests(bytes, start_redis, stop_redis);
}
