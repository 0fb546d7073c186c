/* SPDX-License-Identifier: Apache-2.0 */
/* Each message of the protocol as bytes: golden ones that must never change, and what a decoder
 * must refuse. The examples of dibao-protocol(7) are among them. */
#include "wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum { BYTES_MAX = 1024 };

struct bytes {
	size_t n;
	uint8_t *p; /* malloc()ed to its exact size, so that a sanitizer sees a read past the end */
};

static struct bytes from_hex(const char *hex)
{
	struct bytes b = {0, malloc(strlen(hex) + 1)};

	for (; *hex; hex++) {
		char two[3] = {hex[0], hex[1], 0};

		if (*hex == ' ' || *hex == '\n')
			continue;
		b.p[b.n++] = (uint8_t)strtoul(two, NULL, 16);
		hex++;
	}
	b.p = realloc(b.p, b.n ? b.n : 1);
	return b;
}

static struct bytes exactly(const void *p, size_t n)
{
	struct bytes b = {n, malloc(n ? n : 1)};

	memcpy(b.p, p, n);
	return b;
}

static void assert_is_hex(const uint8_t *p, int n, const char *hex)
{
	struct bytes b = from_hex(hex);

	if (n != (int)b.n || memcmp(p, b.p, b.n) != 0) {
		for (int i = 0; i < n; i++)
			print_message("%02x", p[i]);
		print_message("\n");
	}
	assert_int_equal(n, (int)b.n);
	assert_memory_equal(p, b.p, b.n);
	free(b.p);
}

static void assert_str(struct dibao_str s, const char *text)
{
	assert_int_equal(s.len, strlen(text));
	assert_memory_equal(s.p, text, s.len);
}

#define STR(text) ((struct dibao_str){text, sizeof text - 1})

/* ---- golden bytes ---- */

static const char hello_hex[] =
	"48 8b a4706d696e 01 a4706d6178 01 a466656174 90 a6627572656175 a433323035"
	"a4696e7374 c410 000102030405060708090a0b0c0d0e0f a57479706573 91 a56177617264"
	"a46f726773 91 a6333230353038 a466726f6d a474696d65 a3617267 cf 0000019f30f1c400"
	"a476696577 a466756c6c a377696e ce 00080000";
static const char data_hex[] =
	"44 02 01 00 00000001 0000000000000001 0102030405060708 0000019f30f1c400";
static const char payload_hex[] =
	"02 00 001f 82 a3706964 c410 000102030405060708090a0b0c0d0e0f a3756964 a3752d31";
static const char ack_hex[] = "41 01 01 0000000000000001 0102030405060708";

static void a_hello_has_its_golden_bytes(void **state)
{
	struct wire_hello h = {.proto_min = 1,
			       .proto_max = 1,
			       .bureau = STR("3205"),
			       .n_types = 1,
			       .n_orgs = 1,
			       .from = DIBAO_START_TIME,
			       .from_arg = 1783232578560,
			       .window_bytes = 524288},
			  out;
	uint8_t buf[BYTES_MAX];
	struct bytes b;

	(void)state;
	for (int i = 0; i < 16; i++)
		h.instance[i] = (uint8_t)i;
	h.types[0] = STR("award");
	h.orgs[0] = STR("320508");
	assert_is_hex(buf, wire_hello_pack(buf, sizeof buf, &h), hello_hex);
	b = from_hex(hello_hex);
	assert_int_equal(wire_hello_unpack(&out, b.p, b.n, NULL), 0);
	assert_int_equal(out.proto_min, 1);
	assert_int_equal(out.proto_max, 1);
	assert_str(out.bureau, "3205");
	assert_null(out.durable.p);
	assert_memory_equal(out.instance, h.instance, 16);
	assert_int_equal(out.n_types, 1);
	assert_str(out.types[0], "award");
	assert_int_equal(out.n_orgs, 1);
	assert_str(out.orgs[0], "320508");
	assert_int_equal(out.from, DIBAO_START_TIME);
	assert_int_equal(out.from_arg, 1783232578560);
	assert_false(out.public_view);
	assert_int_equal(out.window_bytes, 524288);
	free(b.p);
}

static void a_hello_of_a_durable_board_has_its_golden_bytes(void **state)
{
	static const char hex[] =
		"48 8a a4706d696e 01 a4706d6178 02 a466656174 90 a6627572656175 a433323035"
		"a46e616d65 a6626f6172642d a4696e7374 c410 ffffffffffffffffffffffffffffffff"
		"a466726f6d a6726573756d65 a3617267 00 a476696577 a67075626c6963 a377696e ce "
		"00100000";
	struct wire_hello h = {.proto_min = 1,
			       .proto_max = 2,
			       .bureau = STR("3205"),
			       .durable = STR("board-"),
			       .public_view = true,
			       .window_bytes = 1 << 20},
			  out;
	uint8_t buf[BYTES_MAX];
	struct bytes b;

	(void)state;
	memset(h.instance, 0xff, sizeof h.instance);
	assert_is_hex(buf, wire_hello_pack(buf, sizeof buf, &h), hex);
	b = from_hex(hex);
	assert_int_equal(wire_hello_unpack(&out, b.p, b.n, NULL), 0);
	assert_str(out.durable, "board-");
	assert_int_equal(out.from, DIBAO_START_RESUME);
	assert_true(out.public_view);
	assert_int_equal(out.n_types + out.n_orgs, 0);
	free(b.p);
}

static void a_welcome_has_its_golden_bytes(void **state)
{
	static const char hex[] = "57 8a a570726f746f 01 a466656174 90 a565706f6368 03 a3637472 cd "
				  "0102 a56c65617365 cd 3a98"
				  "a462656174 cd 1388 a377696e ce 00100000 a476696577 a466756c6c "
				  "a56368616e73 92 01 03"
				  "a5636c6f636b cf 0000019f30f1c400";
	struct wire_welcome w = {.proto = 1,
				 .epoch = 3,
				 .counter = 258,
				 .lease_ms = 15000,
				 .beat_ms = 5000,
				 .window_bytes = 1 << 20,
				 .channels = 2 | 8,
				 .clock_ms = 1783232578560},
			    out;
	uint8_t buf[BYTES_MAX];
	struct bytes b;

	(void)state;
	assert_is_hex(buf, wire_welcome_pack(buf, sizeof buf, &w), hex);
	b = from_hex(hex);
	assert_int_equal(wire_welcome_unpack(&out, b.p, b.n, NULL), 0);
	assert_int_equal(out.proto, 1);
	assert_int_equal(out.epoch, 3);
	assert_int_equal(out.counter, 258);
	assert_int_equal(out.lease_ms, 15000);
	assert_int_equal(out.beat_ms, 5000);
	assert_int_equal(out.window_bytes, 1 << 20);
	assert_int_equal(out.channels, 2 | 8);
	assert_int_equal(out.clock_ms, 1783232578560);
	assert_false(out.public_view);
	free(b.p);
}

static void data_and_its_ack_have_their_golden_bytes(void **state)
{
	struct wire_data d = {.flags = WIRE_DATA_REPLAY,
			      .channel = 1,
			      .count = 1,
			      .number = 1,
			      .token = 0x0102030405060708,
			      .clock_ms = 1783232578560},
			 out;
	struct wire_ack a = {.n = 1, .at = {{1, 1, 0x0102030405060708}}}, ack_out;
	uint8_t buf[BYTES_MAX], pid[16], *p;
	struct wire_item it;
	struct bytes b;
	int n;

	(void)state;
	for (int i = 0; i < 16; i++)
		pid[i] = (uint8_t)i;
	wire_data_pack(buf, &d);
	assert_is_hex(buf, WIRE_HEADER_BYTES, data_hex);
	b = from_hex(data_hex);
	assert_int_equal(wire_data_unpack(&out, b.p, b.n), 0);
	assert_int_equal(out.flags, d.flags);
	assert_int_equal(out.channel, d.channel);
	assert_int_equal(out.count, d.count);
	assert_int_equal(out.number, d.number);
	assert_int_equal(out.token, d.token);
	assert_int_equal(out.clock_ms, d.clock_ms);
	free(b.p);

	n = wire_withdrawn_pack(buf + 4, sizeof buf - 4, pid, "u-1", 3);
	p = wire_item_pack(buf, DIBAO_ITEM_WITHDRAWN, 0, (uint16_t)n);
	assert_ptr_equal(p, buf + 4);
	assert_is_hex(buf, 4 + n, payload_hex);
	b = from_hex(payload_hex);
	assert_int_equal(wire_payload_check(b.p, b.n, 1), 0);
	assert_ptr_equal(wire_item_next(b.p, &it), b.p + b.n);
	assert_int_equal(it.kind, DIBAO_ITEM_WITHDRAWN);
	assert_int_equal(it.len, n);
	free(b.p);

	assert_is_hex(buf, (int)wire_ack_pack(buf, &a), ack_hex);
	b = from_hex(ack_hex);
	assert_int_equal(wire_ack_unpack(&ack_out, b.p, b.n), 0);
	assert_int_equal(ack_out.n, 1);
	assert_int_equal(ack_out.at[0].channel, 1);
	assert_int_equal(ack_out.at[0].number, 1);
	assert_int_equal(ack_out.at[0].token, 0x0102030405060708);
	free(b.p);
}

static void the_small_messages_have_their_golden_bytes(void **state)
{
	struct wire_lost l = {2, 3600000, 7200000, STR("old")}, l_out;
	struct wire_receipt r = {7, STR("u-1"), DIBAO_RECEIPT_SHOWN, 1783232578560, STR("ok")},
			    r_out;
	struct wire_goodbye g = {DIBAO_REASON_BUSY, STR("later")}, g_out;
	uint8_t buf[BYTES_MAX];
	int64_t clock;
	uint64_t id;
	int n, err;

	(void)state;
	n = wire_standby_pack(buf, sizeof buf, 1783232578560);
	assert_is_hex(buf, n, "53 81 a5636c6f636b cf 0000019f30f1c400");
	assert_int_equal(wire_standby_unpack(&clock, buf, (size_t)n), 0);
	assert_int_equal(clock, 1783232578560);

	n = wire_lost_pack(buf, sizeof buf, &l);
	assert_is_hex(
		buf, n,
		"4c 84 a26368 02 a466726f6d ce 0036ee80 a2746f ce 006ddd00 a3776879 a36f6c64");
	assert_int_equal(wire_lost_unpack(&l_out, buf, (size_t)n, NULL), 0);
	assert_int_equal(l_out.channel, 2);
	assert_int_equal(l_out.from_ms, 3600000);
	assert_int_equal(l_out.to_ms, 7200000);
	assert_str(l_out.reason, "old");

	n = wire_receipt_pack(buf, sizeof buf, &r);
	assert_is_hex(buf, n,
		      "52 85 a26964 07 a36b6579 c403 752d31 a27374 01 a26174 cf 0000019f30f1c400 "
		      "a164 a26f6b");
	assert_int_equal(wire_receipt_unpack(&r_out, buf, (size_t)n, NULL), 0);
	assert_int_equal(r_out.id, 7);
	assert_str(r_out.key, "u-1");
	assert_int_equal(r_out.state, DIBAO_RECEIPT_SHOWN);
	assert_int_equal(r_out.at_ms, 1783232578560);
	assert_str(r_out.detail, "ok");

	n = wire_confirm_pack(buf, sizeof buf, 7, -EIO);
	assert_is_hex(buf, n, "43 82 a26964 07 a3657272 01");
	assert_int_equal(wire_confirm_unpack(&id, &err, buf, (size_t)n), 0);
	assert_int_equal(id, 7);
	assert_int_equal(err, 1);

	n = wire_goodbye_pack(buf, sizeof buf, WIRE_GOODBYE, &g);
	assert_is_hex(buf, n, "47 82 a3776879 08 a474657874 a56c61746572");
	assert_int_equal(wire_goodbye_unpack(&g_out, buf, (size_t)n), 0);
	assert_int_equal(g_out.reason, DIBAO_REASON_BUSY);
	assert_str(g_out.text, "later");
	n = wire_goodbye_pack(buf, sizeof buf, WIRE_BYE, &g);
	assert_int_equal(buf[0], 'B');
	assert_int_equal(wire_goodbye_unpack(&g_out, buf, (size_t)n), 0);
}

static void the_numbers_of_the_protocol_stay_as_they_are(void **state)
{
	(void)state;
	assert_string_equal(
		((char[]){WIRE_HELLO, WIRE_ACK, WIRE_ALIVE, WIRE_RECEIPT, WIRE_BYE, WIRE_WELCOME,
			  WIRE_STANDBY, WIRE_DATA, WIRE_LOST, WIRE_CONFIRM, WIRE_GOODBYE, 0}),
		"HAPRBWSDLCG");
	assert_int_equal(WIRE_DATA_MAY_REPEAT, 1);
	assert_int_equal(WIRE_DATA_REPLAY, 2);
	assert_int_equal(WIRE_ITEM_IS_WITHDRAWN, 1);
	assert_int_equal(DIBAO_ITEM_EVENT, 0);
	assert_int_equal(DIBAO_ITEM_VIEW, 1);
	assert_int_equal(DIBAO_ITEM_WITHDRAWN, 2);
	assert_int_equal(DIBAO_CHANNEL_PRIVATE_NOW, 3);
	assert_int_equal(DIBAO_REASON_CLOSING, 9);
	assert_int_equal(DIBAO_RECEIPT_DROPPED, 8);
}

/* Does the manual show these bytes, its line breaks and blanks aside? */
static bool manual_shows(const char *text, const char *hex)
{
	const char *h = hex;

	while (*h == ' ')
		h++;
	for (const char *at = strchr(text, *h); at; at = strchr(at + 1, *h)) {
		const char *a = at, *b = h;

		while (*b) {
			if (*b == ' ')
				b++;
			else if (*a == ' ' || *a == '\n')
				a++;
			else if (*a == *b)
				a++, b++;
			else
				break;
		}
		if (!*b)
			return true;
	}
	return false;
}

static void the_manual_shows_the_golden_bytes(void **state)
{
	FILE *f = fopen("lib/dibao-protocol.7", "re");
	char *text = NULL;
	size_t cap = 0;

	(void)state;
	assert_non_null(f);
	assert_true(getdelim(&text, &cap, '\0', f) > 0);
	fclose(f);
	assert_true(manual_shows(text, hello_hex));
	assert_true(manual_shows(text, data_hex));
	assert_true(manual_shows(text, payload_hex));
	assert_true(manual_shows(text, ack_hex));
	free(text);
}

/* ---- what must be refused ---- */

/* Every decoder on these bytes. The number of those that take them. */
static int taken(const uint8_t *p, size_t n)
{
	struct wire_goodbye g;
	struct wire_hello h;
	struct wire_welcome w;
	struct wire_receipt r;
	struct wire_lost l;
	struct wire_data d;
	struct wire_ack a;
	int64_t clock;
	uint64_t id;
	int err;

	return (wire_hello_unpack(&h, p, n, NULL) == 0) +
	       (wire_welcome_unpack(&w, p, n, NULL) == 0) +
	       (wire_standby_unpack(&clock, p, n) == 0) + (wire_lost_unpack(&l, p, n, NULL) == 0) +
	       (wire_receipt_unpack(&r, p, n, NULL) == 0) +
	       (wire_confirm_unpack(&id, &err, p, n) == 0) + (wire_goodbye_unpack(&g, p, n) == 0) +
	       (wire_ack_unpack(&a, p, n) == 0) + (wire_data_unpack(&d, p, n) == 0);
}

static void each_message_is_refused_when_cut_or_lengthened_anywhere(void **state)
{
	static const char *const all[] = {hello_hex,
					  data_hex,
					  ack_hex,
					  "53 81 a5636c6f636b 01",
					  "43 82 a26964 07 a3657272 01",
					  "47 82 a3776879 08 a474657874 a56c61746572"};

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		struct bytes whole = from_hex(all[i]), more = exactly(whole.p, whole.n);

		assert_int_equal(taken(whole.p, whole.n), 1);
		for (size_t n = 0; n < whole.n; n++) {
			struct bytes cut = exactly(whole.p, n);

			assert_int_equal(taken(cut.p, cut.n), 0);
			free(cut.p);
		}
		more.p = realloc(more.p, more.n + 1);
		more.p[more.n] = 0;
		assert_int_equal(taken(more.p, more.n + 1), 0);
		free(whole.p);
		free(more.p);
	}
}

static void a_hello_is_refused_with_the_name_of_what_is_wrong(void **state)
{
	/* After the four that are required. */
	static const char head[] = "a4706d696e 01 a4706d6178 01 a6627572656175 a433323035"
				   "a4696e7374 c410 000102030405060708090a0b0c0d0e0f";
	static const struct {
		int n_keys;
		const char *hex, *why;
	} bad[] = {
		{5, "a46e616d65 a0", "name: expected 1 to 64 bytes"},
		{5, "a46e616d65 a3 612f62", "name: expected A-Z a-z 0-9 . _ -"},
		{5, "a46e616d65 a4 61620063", "name: expected A-Z a-z 0-9 . _ -"},
		{5, "a466726f6d a3 6f6c64", "from: expected resume, new, time or last"},
		{5, "a476696577 a3 616c6c", "view: expected full or public"},
		{5, "a3617267 a131", "arg: expected an integer"},
		{5, "a3617267 cfffffffffffffffff", "arg: expected an integer"},
		{5, "a377696e cf0000000100000000", "win: expected bytes"},
		{5, "a57479706573 91 a0", "types: expected at most 32 names of 1 to 32 bytes"},
		{5, "a57479706573 ddffffffff", "expected one msgpack map"},
		{5, "a46f726773 91 01", "orgs: expected at most 64 codes of 1 to 12 digits"},
		{5, "a46f726773 91 ad 31323334353637383930313233",
		 "orgs: expected at most 64 codes of 1 to 12 digits"},
		{5, "a4706d696e 01", "expected one msgpack map"}, /* twice */
		{6, "a178 9191919191919191919101 a179 01",
		 "expected one msgpack map"},			/* too deep */
		{5, "01 01", "expected one msgpack map"},	/* a key that is no string */
		{5, "a178 a2c328", "expected one msgpack map"}, /* not UTF-8 */
	};
	char hex[1024];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *why = "";
		struct wire_hello h;
		struct bytes b;

		snprintf(hex, sizeof hex, "48 8%d %s %s", bad[i].n_keys, head, bad[i].hex);
		b = from_hex(hex);
		assert_int_equal(wire_hello_unpack(&h, b.p, b.n, &why), -EBADMSG);
		assert_string_equal(why, bad[i].why);
		free(b.p);
	}
	snprintf(hex, sizeof hex, "48 83 a4706d696e 01 a4706d6178 01 a6627572656175 a433323035");
	struct bytes b = from_hex(hex);
	struct wire_hello h;
	const char *why = "";

	assert_int_equal(wire_hello_unpack(&h, b.p, b.n, &why), -EBADMSG);
	assert_string_equal(why, "expected pmin, pmax, bureau and inst");
	free(b.p);
}

static void unknown_keys_are_ignored_and_defaults_stand(void **state)
{
	struct bytes b = from_hex("48 85 a4706d696e 01 a4706d6178 01 a6627572656175 a433323035"
				  "a4696e7374 c410 000102030405060708090a0b0c0d0e0f"
				  "a3787878 82a162c0a16193c2c3cb3ff0000000000000");
	struct wire_hello h;

	(void)state;
	assert_int_equal(wire_hello_unpack(&h, b.p, b.n, NULL), 0);
	assert_int_equal(h.from, DIBAO_START_NEW);
	assert_int_equal(h.window_bytes, WIRE_WINDOW_DEFAULT);
	assert_false(h.public_view);
	assert_null(h.durable.p);
	free(b.p);
}

static void a_payload_ends_exactly_with_its_last_item(void **state)
{
	struct bytes b = from_hex("00 00 0002 6162 00 01 0000");
	struct bytes cut;

	(void)state;
	assert_int_equal(wire_payload_check(b.p, b.n, 2), 0);
	assert_int_equal(wire_payload_check(b.p, b.n, 1), -EBADMSG);
	assert_int_equal(wire_payload_check(b.p, b.n, 3), -EBADMSG);
	assert_int_equal(wire_payload_check(b.p, b.n, UINT32_MAX), -EBADMSG);
	assert_int_equal(wire_payload_check(b.p, b.n, 0), -EBADMSG);
	for (size_t n = 0; n < b.n; n++) {
		cut = exactly(b.p, n);
		assert_int_equal(wire_payload_check(cut.p, cut.n, 2), -EBADMSG);
		free(cut.p);
	}
	assert_int_equal(wire_payload_check(b.p, 0, 0), 0);
	free(b.p);
}

static void acks_of_no_channel_or_of_five_are_refused(void **state)
{
	static const char *const bad[] = {
		"41 00",
		"41 01 04 0000000000000001 0102030405060708",
		"41 05",
		"42 01 01 0000000000000001 0102030405060708",
	};
	struct wire_ack a;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct bytes b = from_hex(bad[i]);

		assert_int_equal(wire_ack_unpack(&a, b.p, b.n), -EBADMSG);
		free(b.p);
	}
}

static void data_of_another_length_or_channel_is_refused(void **state)
{
	struct bytes b = from_hex(data_hex);
	struct wire_data d;

	(void)state;
	b.p[2] = 4;
	assert_int_equal(wire_data_unpack(&d, b.p, b.n), -EBADMSG);
	b.p[2] = 3;
	assert_int_equal(wire_data_unpack(&d, b.p, b.n), 0);
	assert_int_equal(d.channel, 3);
	free(b.p);
}

static void a_packer_says_when_there_is_no_room(void **state)
{
	struct wire_receipt r = {7, STR("u-1"), DIBAO_RECEIPT_SHOWN, 1, STR("ok")};
	uint8_t buf[BYTES_MAX];
	int n = wire_receipt_pack(buf, sizeof buf, &r);

	(void)state;
	for (int cap = 0; cap < n; cap++) {
		uint8_t *small = malloc(cap ? (size_t)cap : 1);

		assert_int_equal(wire_receipt_pack(small, (size_t)cap, &r), -ENOBUFS);
		free(small);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_has_its_golden_bytes),
		cmocka_unit_test(a_hello_of_a_durable_board_has_its_golden_bytes),
		cmocka_unit_test(a_welcome_has_its_golden_bytes),
		cmocka_unit_test(data_and_its_ack_have_their_golden_bytes),
		cmocka_unit_test(the_small_messages_have_their_golden_bytes),
		cmocka_unit_test(the_numbers_of_the_protocol_stay_as_they_are),
		cmocka_unit_test(the_manual_shows_the_golden_bytes),
		cmocka_unit_test(each_message_is_refused_when_cut_or_lengthened_anywhere),
		cmocka_unit_test(a_hello_is_refused_with_the_name_of_what_is_wrong),
		cmocka_unit_test(unknown_keys_are_ignored_and_defaults_stand),
		cmocka_unit_test(a_payload_ends_exactly_with_its_last_item),
		cmocka_unit_test(acks_of_no_channel_or_of_five_are_refused),
		cmocka_unit_test(data_of_another_length_or_channel_is_refused),
		cmocka_unit_test(a_packer_says_when_there_is_no_room),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
