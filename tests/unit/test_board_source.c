/* SPDX-License-Identifier: Apache-2.0 */
/* Where the wall's content comes from: the board's source in a real loop, and this test as its
 * daemon on a real socket. What takes minutes or days is in tests/e2e/95-board.t. */
#include "../../clients/board/source.h"

#include "wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <zmq.h>
#include "board_fixture.h"
#include "loop.h"

enum { DEADLINE_MS = 80000, VIEWS_MAX = 8 };

static struct fixture {
	sd_event *event;
	void *zmq, *router;
	uint8_t id[5]; /* of the subscriber's connection that spoke last */
	uint8_t message[4096];
	int len; /* of message; 0: none */
	struct board_config *config;
	struct rules rules;
	struct source *source;
	int64_t now_ms; /* what the board knows */
	unsigned n_begun, n_reconciled, n_withdrawn, n_reopened, n_confirmed, n_taken;
	unsigned n_views;
	int64_t published_ms[VIEWS_MAX];
	uint64_t confirmed;
	uint64_t number[DIBAO_CHANNEL_COUNT];
	bool takes; /* what on_turn answers */
} f;

/* ---- the board around it ---- */

static int64_t known_now(void *userdata)
{
	(void)userdata;
	return f.now_ms;
}

static void on_begin(void *userdata)
{
	(void)userdata;
	f.n_begun++;
}

static void on_reconciled(void *userdata)
{
	(void)userdata;
	f.n_reconciled++;
}

static void on_view(const void *view, size_t len, int64_t published_ms, void *userdata)
{
	(void)userdata;
	assert_int_equal(len, 4);
	assert_memory_equal(view, "view", 4);
	assert_in_range(f.n_views, 0, VIEWS_MAX - 1);
	f.published_ms[f.n_views++] = published_ms;
}

static void on_withdrawn(const uint8_t pid[DIBAO_PID_BYTES], void *userdata)
{
	(void)userdata;
	assert_memory_equal(pid, "0123456789abcdef", DIBAO_PID_BYTES);
	f.n_withdrawn++;
}

static bool on_turn(bool was_delivered, void *userdata)
{
	(void)was_delivered;
	(void)userdata;
	return f.takes;
}

static void on_confirmed(uint64_t id, bool was_taken, void *userdata)
{
	(void)userdata;
	f.confirmed = id;
	f.n_confirmed++;
	f.n_taken += was_taken;
}

static void on_reopened(void *userdata)
{
	(void)userdata;
	f.n_reopened++;
}

static int set_up(void **state)
{
	int linger = 0;

	(void)state;
	memset(&f, 0, sizeof f);
	f.takes = true;
	f.rules = (struct rules){.promotion_ms = 60 * DAY,
				 .award_ms = 365 * DAY,
				 .own = STATION,
				 .district = "320508",
				 .bureau = "3205"};
	f.zmq = zmq_ctx_new();
	f.router = zmq_socket(f.zmq, ZMQ_ROUTER);
	zmq_setsockopt(f.router, ZMQ_LINGER, &linger, sizeof linger);
	return sd_event_new(&f.event) < 0 || zmq_bind(f.router, "tcp://127.0.0.1:*") < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	source_free(f.source);
	board_config_free(f.config);
	zmq_close(f.router);
	zmq_ctx_term(f.zmq);
	sd_event_unref(f.event);
	return 0;
}

static void start_known(int64_t known_until_ms, enum item_area area)
{
	struct source_options o = {.event = f.event,
				   .rules = &f.rules,
				   .now_ms = known_now,
				   .on_begin = on_begin,
				   .on_reconciled = on_reconciled,
				   .on_view = on_view,
				   .on_withdrawn = on_withdrawn,
				   .on_turn = on_turn,
				   .on_confirmed = on_confirmed,
				   .on_reopened = on_reopened};
	char endpoint[64], text[256], errors[256];
	size_t len = sizeof endpoint;
	FILE *in, *out;
	void *loaded;

	assert_int_equal(zmq_getsockopt(f.router, ZMQ_LAST_ENDPOINT, endpoint, &len), 0);
	snprintf(text, sizeof text, "[daemon]\nendpoints = %s\ndurable = wall\n[board]\norg = %s\n",
		 endpoint, STATION);
	in = fmemopen(text, strlen(text), "r");
	out = fmemopen(errors, sizeof errors, "w");
	assert_int_equal(options_parse(&loaded, &board_options, in, "test", out), 0);
	fclose(in);
	fclose(out);
	o.config = f.config = loaded;
	assert_int_equal(source_new(&f.source, &o, known_until_ms, area), 0);
}

static void start(void)
{
	start_known(0, AREA_NONE);
}

/* ---- the daemon ---- */

static bool heard(enum wire_kind kind)
{
	f.len = 0;
	if (zmq_recv(f.router, f.id, sizeof f.id, ZMQ_DONTWAIT) < 0)
		return false;
	f.len = zmq_recv(f.router, f.message, sizeof f.message, 0);
	return f.len > 0 && f.message[0] == kind;
}

static void say(const void *p, int len, const void *payload, size_t more)
{
	assert_true(len > 0);
	assert_int_equal(zmq_send(f.router, f.id, sizeof f.id, ZMQ_SNDMORE), sizeof f.id);
	assert_int_equal(zmq_send(f.router, p, (size_t)len, payload ? ZMQ_SNDMORE : 0), len);
	if (payload)
		assert_int_equal(zmq_send(f.router, payload, more, 0), more);
}

/* The next HELLO; its texts are borrowed until the next message. */
static struct wire_hello hello(void)
{
	struct wire_hello h;

	wait_until(&f, heard(WIRE_HELLO));
	assert_int_equal(wire_hello_unpack(&h, f.message, (size_t)f.len, NULL), 0);
	return h;
}

static bool is_text(struct dibao_str s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.p, text, s.len);
}

static void welcome(void)
{
	struct wire_welcome w = {.proto = 1,
				 .lease_ms = 600000,
				 .beat_ms = 600000,
				 .window_bytes = WIRE_WINDOW_MIN,
				 .public_view = true,
				 .channels =
					 1 << DIBAO_CHANNEL_PUBLIC | 1 << DIBAO_CHANNEL_PUBLIC_NOW,
				 .clock_ms = T0};
	uint8_t buf[512];

	memset(f.number, 0, sizeof f.number);
	say(buf, wire_welcome_pack(buf, sizeof buf, &w), NULL, 0);
}

static void goodbye(enum dibao_reason why)
{
	struct wire_goodbye g = {.reason = why, .text = {"not granted", 11}};
	uint8_t buf[256];

	say(buf, wire_goodbye_pack(buf, sizeof buf, WIRE_GOODBYE, &g), NULL, 0);
}

/* A frame: of one item, or of none (p NULL). */
static void frame(enum dibao_channel channel, enum dibao_item_kind kind, const void *p, size_t n,
		  uint8_t flags)
{
	struct wire_data d = {.flags = flags,
			      .channel = channel,
			      .count = p != NULL,
			      .number = ++f.number[channel],
			      .token = 7,
			      .clock_ms = T0 + 1000};
	uint8_t header[WIRE_HEADER_BYTES], payload[512];

	wire_data_pack(header, &d);
	if (p)
		memcpy(wire_item_pack(payload, kind, 0, (uint16_t)n), p, n);
	say(header, sizeof header, p ? payload : NULL, WIRE_ITEM_HEADER_BYTES + n);
}

static void view(uint8_t flags)
{
	frame(DIBAO_CHANNEL_PUBLIC, DIBAO_ITEM_VIEW, "view", 4, flags);
}

/* All that was published has been told. */
static void position(void)
{
	frame(DIBAO_CHANNEL_PUBLIC, DIBAO_ITEM_EVENT, NULL, 0, 0);
	frame(DIBAO_CHANNEL_PUBLIC_NOW, DIBAO_ITEM_EVENT, NULL, 0, 0);
}

static void become_current(void)
{
	hello();
	welcome();
	position();
	wait_until(&f, source_is_current(f.source));
}

/* Nobody connects for longer than it takes to ask anew. */
static void stays(unsigned ms)
{
	for (int64_t end = now_ms() + ms; now_ms() < end;) {
		assert_false(heard(WIRE_HELLO));
		assert_true(sd_event_run(f.event, 20000) >= 0);
	}
}

/* ---- tests ---- */

static void without_a_time_the_first_connection_only_asks_for_it(void **state)
{
	struct wire_hello h;

	(void)state;
	start();
	h = hello();
	assert_int_equal(h.from, DIBAO_START_NEW);
	assert_null(h.durable.p); /* the place of its name stays where it is */
	assert_true(h.public_view);
	assert_int_equal(f.n_begun, 0);
	welcome();
	position();
	f.now_ms = T0;
	h = hello();
	assert_int_equal(f.n_begun, 1);
	assert_int_equal(h.from, DIBAO_START_TIME);
	assert_int_equal(h.from_arg, T0 - 400 * DAY);
	assert_true(is_text(h.durable, "wall"));
	assert_false(source_is_current(f.source));
	welcome();
	position();
	wait_until(&f, f.n_reconciled == 1);
	assert_true(source_is_current(f.source));
	assert_int_equal(source_heartbeat_ms(f.source), T0 + 1000);
	assert_string_equal(source_link(f.source), "active");
}

static void what_a_probe_is_told_does_not_come_onto_the_wall(void **state)
{
	(void)state;
	start();
	hello();
	welcome();
	view(0);
	position();
	f.now_ms = T0;
	hello();
	assert_int_equal(f.n_views, 0);
	assert_int_equal(f.n_reconciled, 0);
}

static void all_is_reconciled_once_it_has_come_and_not_before(void **state)
{
	(void)state;
	f.now_ms = T0;
	start();
	hello();
	welcome();
	view(WIRE_DATA_REPLAY);
	view(WIRE_DATA_REPLAY);
	wait_until(&f, f.n_views == 2);
	assert_int_equal(f.n_begun, 1);
	assert_int_equal(f.n_reconciled, 0);
	assert_string_equal(source_link(f.source), "catching-up");
	position();
	wait_until(&f, f.n_reconciled == 1);
	position();
	view(0);
	wait_until(&f, f.n_views == 3);
	assert_int_equal(f.n_reconciled, 1);
}

static void when_something_was_published_is_known_as_well_as_it_can_be(void **state)
{
	(void)state;
	f.now_ms = T0;
	/* Of the district all was known until a while ago, and of the bureau nothing. */
	start_known(T0 - HOUR, AREA_DISTRICT);
	hello();
	welcome();
	view(WIRE_DATA_REPLAY);
	wait_until(&f, f.n_views == 1);
	assert_int_equal(f.published_ms[0], 0);
	goodbye(DIBAO_REASON_REFUSED);
	hello();
	welcome();
	view(WIRE_DATA_REPLAY);
	position();
	view(0);
	wait_until(&f, f.n_views == 3);
	assert_int_equal(f.published_ms[1], T0 - HOUR);
	assert_int_equal(f.published_ms[2], T0 + 1000);
}

static void a_board_that_is_refused_asks_for_less_and_says_why(void **state)
{
	struct wire_hello h;

	(void)state;
	f.now_ms = T0;
	start();
	h = hello();
	assert_int_equal(h.n_orgs, 1); /* the bureau's prefix stands for all in it */
	assert_true(is_text(h.orgs[0], "3205"));
	assert_int_equal(h.n_types, 2);
	goodbye(DIBAO_REASON_REFUSED);
	h = hello();
	assert_true(h.n_orgs == 1 && is_text(h.orgs[0], "320508"));
	goodbye(DIBAO_REASON_REFUSED);
	h = hello();
	assert_true(h.n_orgs == 1 && is_text(h.orgs[0], STATION));
	assert_int_equal(source_area(f.source), AREA_OWN);
	assert_string_equal(source_refusal(f.source), "not granted");
	welcome();
	position();
	wait_until(&f, source_is_current(f.source));
	/* The policy has changed: all that may be had is asked for again. */
	goodbye(DIBAO_REASON_REVOKED);
	h = hello();
	assert_true(h.n_orgs == 1 && is_text(h.orgs[0], "3205"));
	assert_int_equal(source_area(f.source), AREA_BUREAU);
}

static void without_a_district_it_asks_for_its_own_next_and_refused_even_that_it_waits(void **state)
{
	struct wire_hello h;

	(void)state;
	f.now_ms = T0;
	*f.rules.district = '\0';
	strcpy(f.rules.bureau, "3206"); /* does not hold the station */
	start();
	h = hello();
	assert_int_equal(h.n_orgs, 2);
	assert_true(is_text(h.orgs[0], "3206") && is_text(h.orgs[1], STATION));
	goodbye(DIBAO_REASON_REFUSED);
	h = hello();
	assert_true(h.n_orgs == 1 && is_text(h.orgs[0], STATION));
	goodbye(DIBAO_REASON_REFUSED);
	wait_until(&f, !strcmp(source_link(f.source), "refused"));
	stays(500);
}

static void what_is_taken_back_is_told_by_its_id_and_nonsense_is_not(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} others[] = {
		{"\x81\xa3pid\xc4\x01x", 8}, /* too short */
		{"\x81\xa3pid\xb0"
		 "0123456789abcdef",
		 22}, /* a text */
		{"\x82\xa1"
		 "a\x01",
		 4}, /* ends early */
		{"\xc0", 1},
	};
	uint8_t buf[64];
	int n = wire_withdrawn_pack(buf, sizeof buf, (const uint8_t *)"0123456789abcdef", NULL, 0);

	(void)state;
	f.now_ms = T0;
	start();
	become_current();
	for (unsigned i = 0; i < 4; i++)
		frame(DIBAO_CHANNEL_PUBLIC_NOW, DIBAO_ITEM_WITHDRAWN, others[i].bytes, others[i].n,
		      0);
	frame(DIBAO_CHANNEL_PUBLIC_NOW, DIBAO_ITEM_WITHDRAWN, buf, (size_t)n, 0);
	wait_until(&f, f.n_withdrawn > 0);
	assert_int_equal(f.n_withdrawn, 1);
	assert_int_equal(f.n_views, 0);
}

static void what_the_board_has_not_taken_over_is_not_acknowledged(void **state)
{
	struct wire_ack a;
	int64_t end;

	(void)state;
	f.now_ms = T0;
	f.takes = false;
	start();
	become_current();
	view(0);
	wait_until(&f, f.n_views == 1);
	for (end = now_ms() + 300; now_ms() < end;) {
		assert_false(heard(WIRE_ACK) &&
			     wire_ack_unpack(&a, f.message, (size_t)f.len) == 0 &&
			     a.at[0].channel == DIBAO_CHANNEL_PUBLIC && a.at[0].number >= 2);
		assert_true(sd_event_run(f.event, 20000) >= 0);
	}
	f.takes = true;
	view(0);
	wait_until(&f, heard(WIRE_ACK) && wire_ack_unpack(&a, f.message, (size_t)f.len) == 0 &&
			       a.at[0].number == 3);
}

static void say_lost(int64_t to_ms)
{
	struct wire_lost l = {.channel = DIBAO_CHANNEL_PUBLIC,
			      .from_ms = to_ms - HOUR,
			      .to_ms = to_ms,
			      .reason = {"retention", 9}};
	uint8_t buf[128];

	say(buf, wire_lost_pack(buf, sizeof buf, &l), NULL, 0);
}

static void history_that_is_lost_brings_a_reconciliation_if_it_could_still_hang_there(void **state)
{
	(void)state;
	f.now_ms = T0;
	start();
	hello();
	welcome();
	say_lost(T0 - HOUR); /* while all is asked for anyway */
	position();
	wait_until(&f, f.n_reconciled == 1);
	say_lost(T0 - 366 * DAY);
	view(0);
	wait_until(&f, f.n_views == 1);
	stays(200);
	assert_int_equal(f.n_begun, 1);
	say_lost(T0 - 364 * DAY);
	become_current();
	assert_int_equal(f.n_begun, 2);
	assert_int_equal(f.n_reconciled, 2);
}

static void a_short_interruption_is_made_up_without_asking_for_all(void **state)
{
	(void)state;
	f.now_ms = T0;
	start();
	become_current();
	goodbye(DIBAO_REASON_DRAINING);
	wait_until(&f, !source_is_current(f.source));
	assert_string_equal(source_link(f.source), "connecting");
	become_current();
	assert_int_equal(f.n_begun, 1);
	assert_int_equal(f.n_reopened, 1);
}

static void a_receipt_goes_when_all_is_there_and_its_answer_comes_back(void **state)
{
	const uint8_t *pid = (const uint8_t *)"0123456789abcdef";
	struct wire_receipt r;
	uint8_t buf[64];
	uint64_t id;

	(void)state;
	f.now_ms = T0;
	start();
	assert_int_equal(source_receipt(f.source, pid, T0, &id), -EAGAIN);
	become_current();
	for (int err = 0; err < 2; err++) {
		assert_int_equal(source_receipt(f.source, pid, T0 + 3, &id), 0);
		wait_until(&f, heard(WIRE_RECEIPT));
		assert_int_equal(wire_receipt_unpack(&r, f.message, (size_t)f.len, NULL), 0);
		assert_int_equal(r.key.len, DIBAO_PID_BYTES);
		assert_memory_equal(r.key.p, pid, DIBAO_PID_BYTES);
		assert_int_equal(r.state, DIBAO_RECEIPT_SHOWN);
		assert_int_equal(r.at_ms, T0 + 3);
		assert_true(is_text(r.detail, "board " STATION));
		say(buf, wire_confirm_pack(buf, sizeof buf, r.id, err), NULL, 0);
		wait_until(&f, f.n_confirmed == (unsigned)err + 1);
		assert_int_equal(f.confirmed, id);
	}
	assert_int_equal(f.n_taken, 1);
}

#define t(x) cmocka_unit_test_setup_teardown(x, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		t(without_a_time_the_first_connection_only_asks_for_it),
		t(what_a_probe_is_told_does_not_come_onto_the_wall),
		t(all_is_reconciled_once_it_has_come_and_not_before),
		t(when_something_was_published_is_known_as_well_as_it_can_be),
		t(a_board_that_is_refused_asks_for_less_and_says_why),
		t(without_a_district_it_asks_for_its_own_next_and_refused_even_that_it_waits),
		t(what_is_taken_back_is_told_by_its_id_and_nonsense_is_not),
		t(what_the_board_has_not_taken_over_is_not_acknowledged),
		t(history_that_is_lost_brings_a_reconciliation_if_it_could_still_hang_there),
		t(a_short_interruption_is_made_up_without_asking_for_all),
		t(a_receipt_goes_when_all_is_there_and_its_answer_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
