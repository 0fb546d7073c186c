/* SPDX-License-Identifier: Apache-2.0 */
/* The event's bytes: what is made, what is taken, and what is refused with which field named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "spoil.h"
#include "text.h"

/* ---- allocations of the whole program, counted ---- */

static size_t allocations;

#if defined __SANITIZE_ADDRESS__
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
					      void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *p, size_t n)
{
	(void)p;
	(void)n;
	allocations++;
}

static void on_free(const volatile void *p)
{
	(void)p;
}

static int count_allocations(void **state)
{
	(void)state;
	return __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0 ? 0 : -1;
}
#else
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t each);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	allocations++;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t each)
{
	allocations++;
	return __libc_calloc(n, each);
}

void *realloc(void *p, size_t n)
{
	allocations++;
	return __libc_realloc(p, n);
}

static int count_allocations(void **state)
{
	void *(*volatile allocate)(size_t) = malloc;
	size_t before = allocations;

	(void)state;
	free(allocate(1));
	return allocations > before ? 0 : -1;
}
#endif

/* ---- golden bytes ---- */

static void golden_bytes_are_what_the_builder_makes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		struct dibao_error err = {0};
		size_t n, m;
		char *golden = golden_read(goldens[i].name, "mp", &n);
		uint8_t *made = golden_build(&goldens[i], &m, &err);

		if (!made)
			fail_msg("%s: %s %s", goldens[i].name, err.field, err.reason);
		assert_non_null(golden);
		assert_int_equal(m, n);
		assert_memory_equal(made, golden, n);
		free(golden);
		free(made);
	}
}

static void golden_bytes_yield_every_field_that_went_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		const struct golden *g = &goldens[i];
		struct dibao_error err;
		struct dibao_event ev;
		size_t n;
		char *bytes = golden_read(g->name, "mp", &n);

		assert_non_null(bytes);
		assert_int_equal(parse(bytes, n, &ev, &err), 0);
		assert_int_equal(ev.type, dibao_type_find(g->type, strlen(g->type)));
		assert_int_equal(ev.n_unknown, 0);
		for (const struct golden_field *f = g->fields; f->path; f++) {
			struct dibao_str s;
			int64_t v;
			bool b;

			if (dibao_event_bool(&ev, f->path, &b) == 0) {
				assert_string_equal(b ? "true" : "false", f->text);
			} else if (dibao_event_int(&ev, f->path, &v) == 0) {
				assert_int_equal(v, atoll(f->text));
			} else {
				assert_int_equal(dibao_event_str(&ev, f->path, &s), 0);
				if (strcmp(f->path, "trace") == 0) {
					assert_int_equal(s.len, DIBAO_TRACE_BYTES);
					assert_int_equal((uint8_t)s.p[15], 0xff);
				} else {
					assert_int_equal(s.len, strlen(f->text));
					assert_memory_equal(s.p, f->text, s.len);
				}
			}
		}
		free(bytes);
	}
}

static const struct golden *golden_of_all;

static void field_is_in_the_golden_event(const char *type, const char *path,
					 const struct dibao_field_spec *spec)
{
	static const char *const left_out[] = {"v", "type", "retracts", "ext"};

	(void)type;
	for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
		if (strcmp(path, left_out[i]) == 0)
			return;
	/* A promotion and an award share the first proposal's reference. */
	if (spec->kind == DIBAO_KIND_MAP || !strcmp(path, "corrects") || !strcmp(path, "follows"))
		return;
	for (const struct golden_field *f = golden_of_all->fields; f->path; f++)
		if (strcmp(f->path, path) == 0)
			return;
	fail_msg("the golden %s lacks %s", golden_of_all->name, path);
}

static void golden_events_have_every_field_of_their_type(void **state)
{
	size_t n;

	(void)state;
	(void)dibao_types(&n);
	assert_int_equal(n, N_GOLDEN_TYPES);
	for (size_t i = 0; i < N_GOLDEN_TYPES; i++) {
		golden_of_all = &goldens[i];
		each_field(goldens[i].type, field_is_in_the_golden_event);
	}
}

static void the_view_of_a_subscriber_agrees_with_the_full_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		struct dibao_event a, b;
		struct dibao_error err;
		size_t n;
		char *bytes = golden_read(goldens[i].name, "mp", &n);

		assert_int_equal(parse(bytes, n, &a, &err), 0);
		assert_int_equal(dibao_event_view(&b, bytes, n), 0);
		assert_int_equal(a.type, b.type);
		assert_ptr_equal(a.uid.p, b.uid.p);
		assert_int_equal(a.at, b.at);
		assert_int_equal(a.not_before, b.not_before);
		assert_int_equal(a.expires, b.expires);
		assert_int_equal(a.is_private, b.is_private);
		assert_int_equal(a.urgent, b.urgent);
		assert_int_equal(a.record, b.record);
		assert_int_equal(a.badge.len, b.badge.len);
		assert_int_equal(a.retracts.len, b.retracts.len);
		assert_int_equal(a.corrects.len, b.corrects.len);
		assert_int_equal(a.follows.len, b.follows.len);
		free(bytes);
	}
}

static void parsing_allocates_nothing_also_when_it_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		struct dibao_error err;
		struct dibao_event ev;
		size_t n, before;
		char *bytes = golden_read(goldens[i].name, "mp", &n);

		assert_non_null(bytes);
		before = allocations;
		assert_int_equal(dibao_event_parse(&ev, bytes, n, &err), 0);
		assert_int_equal(dibao_event_view(&ev, bytes, n), 0);
		assert_int_not_equal(dibao_event_parse(&ev, bytes, n - 1, &err), 0);
		assert_int_equal(allocations - before, 0);
		free(bytes);
	}
}

/* ---- what is to come ---- */

static int parse_draft(struct draft *d, struct raw *raw, struct dibao_event *ret)
{
	struct dibao_error err;

	raw->n = 0;
	draft_encode(d, raw);
	return parse(raw->p, raw->n, ret, &err);
}

static void unknown_keys_are_allowed_and_counted(void **state)
{
	struct draft *d = golden_draft("award");
	struct raw *raw = calloc(1, sizeof *raw), value = {.n = 0};
	struct dibao_event ev;
	struct dibao_str s;

	(void)state;
	raw_str(&value, "a new thing", 11);
	for (uint32_t i = 0; i < 4; i++) {
		static const char *const at[] = {"later", "person.later", "body.later",
						 "body.kind.names"};

		draft_put(d, at[i], &value);
		assert_int_equal(parse_draft(d, raw, &ev), 0);
		assert_int_equal(ev.n_unknown, i + 1);
		assert_int_equal(dibao_event_str(&ev, at[i], &s), 0);
		assert_int_equal(s.len, 11);
		draft_to_front(d, at[i]);
		assert_int_equal(parse_draft(d, raw, &ev), 0);
		assert_int_equal(ev.n_unknown, i + 1);
	}
	free(raw);
	draft_free(d);
}

static void keys_in_any_order_make_the_same_event(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		struct draft *d = golden_draft(goldens[i].name);
		struct raw *raw = calloc(1, sizeof *raw);
		struct dibao_event a, b;

		assert_int_equal(parse_draft(d, raw, &a), 0);
		for (unsigned k = 0; k < d->n; k++) {
			draft_to_front(d, d->kids[k]->key);
			assert_int_equal(parse_draft(d, raw, &b), 0);
			assert_int_equal(b.type, a.type);
			assert_int_equal(b.at, a.at);
			assert_int_equal(b.n_unknown, 0);
			assert_int_equal(b.badge.len, a.badge.len);
			for (unsigned s = 0; s < DIBAO_FIELDS_MAX; s++)
				assert_int_equal(b.slot_[s].len, a.slot_[s].len);
		}
		free(raw);
		draft_free(d);
	}
}

static void an_unknown_type_is_private_and_its_envelope_alone_is_checked(void **state)
{
	struct draft *d = golden_draft("award");
	struct raw *raw = calloc(1, sizeof *raw), value = {.n = 0};
	struct dibao_event ev;

	(void)state;
	raw_str(&value, "awards", 6);
	draft_put(d, "type", &value);
	draft_drop(d, "body.kind");
	assert_int_equal(parse_draft(d, raw, &ev), 0);
	assert_int_equal(ev.type, DIBAO_TYPE_UNKNOWN);
	assert_true(ev.is_private);
	assert_int_equal(ev.type_name.len, 6);
	draft_drop(d, "person");
	assert_int_equal(parse_draft(d, raw, &ev), 0);
	assert_null(ev.badge.p);
	value.n = 0;
	raw_int(&value, 7);
	draft_put(d, "body", &value);
	assert_int_equal(parse_draft(d, raw, &ev), 0);
	value.n = 0;
	raw_str(&value, "\xff", 1);
	draft_put(d, "body", &value);
	expect((raw->n = 0, draft_encode(d, raw), raw), -EBADMSG, "body");
	draft_drop(d, "body");
	expect((raw->n = 0, draft_encode(d, raw), raw), -EINVAL, "body");
	free(raw);
	draft_free(d);
}

static void another_version_is_told_from_a_bad_one(void **state)
{
	(void)state;
	expect_number("award", "v", 0, -EPROTONOSUPPORT);
	expect_number("award", "v", 2, -EPROTONOSUPPORT);
	expect_number("award", "v", 255, -EPROTONOSUPPORT);
	expect_number("award", "v", 256, -EINVAL);
	expect_number("award", "v", -1, -EINVAL);
}

static void the_audience_follows_from_type_and_private(void **state)
{
	struct raw yes = {.p = {0xc3}, .n = 1}, *raw = calloc(1, sizeof *raw);

	(void)state;
	for (size_t i = 0; i < N_GOLDEN_TYPES; i++) {
		struct draft *d = golden_draft(goldens[i].type);
		bool public =
			!strcmp(goldens[i].type, "promotion") || !strcmp(goldens[i].type, "award");
		struct dibao_event ev;

		assert_int_equal(parse_draft(d, raw, &ev), 0);
		assert_int_equal(ev.is_private, !public);
		draft_put(d, "private", &yes);
		assert_int_equal(parse_draft(d, raw, &ev), 0);
		assert_true(ev.is_private);
		draft_free(d);
	}
	free(raw);
}

/* ---- the rest of the interface ---- */

static void a_failure_leaves_the_result_alone_and_repeats_no_value(void **state)
{
	struct draft *d = golden_draft("award");
	struct raw *raw = calloc(1, sizeof *raw), name = {.n = 0};
	struct dibao_event ev, before;
	struct dibao_error err;

	(void)state;
	raw_str(&name, "secret\x01", 7);
	draft_put(d, "person.name", &name);
	draft_put(d, "secret", &name);
	memset(&before, 0x5a, sizeof before);
	ev = before;
	draft_encode(d, raw);
	assert_int_equal(dibao_event_parse(&ev, raw->p, raw->n, &err), -EINVAL);
	assert_memory_equal(&ev, &before, sizeof ev);
	assert_null(strstr(err.reason, "secret"));
	assert_null(strstr(err.field, "secret"));
	assert_int_equal(dibao_event_parse(&ev, raw->p, raw->n, NULL), -EINVAL);
	free(raw);
	draft_free(d);
}

static void fields_are_told_apart_by_kind_and_presence(void **state)
{
	size_t n;
	char *bytes = golden_read("award", "mp", &n);
	struct dibao_str s = {"untouched", 9};
	struct dibao_error err;
	struct dibao_event ev;
	int64_t v = 77;
	bool b = true;

	(void)state;
	assert_int_equal(parse(bytes, n, &ev, &err), 0);
	assert_int_equal(dibao_event_str(&ev, "body.amount", &s), -EINVAL);
	assert_int_equal(dibao_event_str(&ev, "body.nothing", &s), -ENOENT);
	assert_int_equal(dibao_event_str(&ev, "body.kind.code.more", &s), -ENOENT);
	assert_int_equal(dibao_event_str(&ev, "", &s), -ENOENT);
	assert_int_equal(dibao_event_str(&ev, "body", &s), -EINVAL);
	assert_int_equal(dibao_event_int(&ev, "uid", &v), -EINVAL);
	assert_int_equal(dibao_event_int(&ev, "retracts", &v), -ENOENT);
	assert_int_equal(dibao_event_bool(&ev, "at", &b), -EINVAL);
	assert_string_equal(s.p, "untouched");
	assert_int_equal(v, 77);
	assert_true(b);
	free(bytes);
}

static void an_organisation_lies_within_its_prefixes(void **state)
{
	const char *org = "320508530000";

	(void)state;
	assert_true(dibao_org_within(org, 12, "", 0));
	assert_true(dibao_org_within(org, 12, "3205", 4));
	assert_true(dibao_org_within(org, 12, org, 12));
	assert_false(dibao_org_within(org, 12, "320509", 6));
	assert_false(dibao_org_within(org, 4, org, 12));
}

static void the_hash_tells_any_two_byte_strings_apart(void **state)
{
	uint8_t a[16], b[16];

	(void)state;
	dibao_event_hash("abc", 3, a);
	/* BLAKE2b with a digest of 16 bytes, as of RFC 7693's algorithm. */
	static const uint8_t want[16] = {0xcf, 0x4a, 0xb7, 0x91, 0xc6, 0x2b, 0x8d, 0x2b,
					 0x21, 0x09, 0xc9, 0x02, 0x75, 0x28, 0x78, 0x16};

	assert_memory_equal(a, want, sizeof want);
	dibao_event_hash("abd", 3, b);
	assert_memory_not_equal(a, b, sizeof a);
}

static void the_slots_of_the_envelope_are_where_their_names_say(void **state)
{
	static const char *const paths[] = {
		[SLOT_V] = "v",
		[SLOT_UID] = "uid",
		[SLOT_TYPE] = "type",
		[SLOT_AT] = "at",
		[SLOT_ORG] = "org",
		[SLOT_PERSON] = "person",
		[SLOT_BADGE] = "person.badge",
		[SLOT_NAME] = "person.name",
		[SLOT_RANK] = "person.rank",
		[SLOT_RANK_CODE] = "person.rank.code",
		[SLOT_RANK_NAME] = "person.rank.name",
		[SLOT_UNIT] = "person.unit",
		[SLOT_POST] = "person.post",
		[SLOT_ISSUER] = "issuer",
		[SLOT_REF] = "ref",
		[SLOT_PRIVATE] = "private",
		[SLOT_URGENT] = "urgent",
		[SLOT_RECORD] = "record",
		[SLOT_NOT_BEFORE] = "not_before",
		[SLOT_EXPIRES] = "expires",
		[SLOT_RETRACTS] = "retracts",
		[SLOT_CORRECTS] = "corrects",
		[SLOT_FOLLOWS] = "follows",
		[SLOT_TRACE] = "trace",
		[SLOT_EXT] = "ext",
		[SLOT_BODY] = "body",
	};

	(void)state;
	for (int type = FLAT_RETRACTION; type < (int)N_GOLDEN_TYPES; type++)
		for (int i = 0; i <= SLOT_BODY; i++)
			assert_string_equal(types_flat(type)->paths[i], paths[i]);
}

static void the_builder_refuses_what_the_table_does_not_know(void **state)
{
	struct dibao_builder *b = NULL;
	uint8_t *bytes = NULL;
	size_t n = 0;
	struct dibao_error err;

	(void)state;
	assert_int_equal(dibao_builder_new(&b, "nothing"), -ENOENT);
	assert_int_equal(dibao_builder_new(&b, "award"), 0);
	assert_int_equal(dibao_builder_str(b, "body.nothing", "x", 1), -ENOENT);
	assert_int_equal(dibao_builder_str(b, "body.to.code", "x", 1), -ENOENT);
	assert_int_equal(dibao_builder_str(b, "at", "x", 1), -EINVAL);
	assert_int_equal(dibao_builder_int(b, "uid", 1), -EINVAL);
	assert_int_equal(dibao_builder_bool(b, "at", true), -EINVAL);
	assert_int_equal(dibao_builder_bin(b, "uid", "x", 1), -EINVAL);
	assert_int_equal(dibao_builder_text(b, "at", "tomorrow", &err), -EINVAL);
	assert_string_equal(err.field, "at");
	assert_int_equal(dibao_builder_text(b, "private", "maybe", &err), -EINVAL);
	assert_int_equal(dibao_builder_text(b, "trace", "0g", &err), -EINVAL);
	assert_int_equal(dibao_builder_text(b, "body.amount", "1.5", &err), -EINVAL);
	assert_string_equal(err.field, "body.amount");
	assert_int_equal(dibao_builder_encode(b, &bytes, &n, &err), -EINVAL);
	assert_string_equal(err.field, "uid");
	assert_null(bytes);
	dibao_builder_free(b);
}

static void times_are_read_with_their_zone(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-23T09:30:00+08:00", 1795397400000},
		{"2026-11-23 09:30+08:00", 1795397400000},
		{"2026-11-23T01:30:00.250z", 1795397400250},
		{"2024-02-29T00:00Z", 1709164800000},
		{"9999-12-31T23:59:59.999Z", 253402300799999},
	};
	static const char *const bad[] = {
		"",
		"2026-11-23",
		"2026-11-23T09:30:00",
		"2026-02-30T00:00Z",
		"2026-13-01T00:00Z",
		"2026-11-23T24:00Z",
		"2026-11-23T09:60Z",
		"2026-11-23T09:30:61Z",
		"2026-11-23T09:30:nanZ",
		"2026-11-23T09:30:infZ",
		"2026-11-23T09:30:0x1Z",
		"2026-11-23T09:30: 1Z",
		"2026-11-23T09:30:+1Z",
		"2026-11-23T09:30:1e1Z",
		"2026-11-23T09:30Zx",
		"2026-11-23T09:30+08",
		"2026-11-23T09:30+24:00",
		"2026-11-23T09:30+-8:00",
		" 2026-11-23T09:30Z",
		"2026- 1-23T09:30Z",
		"+026-11-23T09:30Z",
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(time_from_text(good[i].text, &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (time_from_text(bad[i], &ms) == 0)
			fail_msg("\"%s\" was taken as a time", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_are_what_the_builder_makes),
		cmocka_unit_test(golden_bytes_yield_every_field_that_went_in),
		cmocka_unit_test(golden_events_have_every_field_of_their_type),
		cmocka_unit_test(the_view_of_a_subscriber_agrees_with_the_full_check),
		cmocka_unit_test(parsing_allocates_nothing_also_when_it_refuses),
		cmocka_unit_test(unknown_keys_are_allowed_and_counted),
		cmocka_unit_test(keys_in_any_order_make_the_same_event),
		cmocka_unit_test(an_unknown_type_is_private_and_its_envelope_alone_is_checked),
		cmocka_unit_test(another_version_is_told_from_a_bad_one),
		cmocka_unit_test(the_audience_follows_from_type_and_private),
		cmocka_unit_test(a_failure_leaves_the_result_alone_and_repeats_no_value),
		cmocka_unit_test(fields_are_told_apart_by_kind_and_presence),
		cmocka_unit_test(an_organisation_lies_within_its_prefixes),
		cmocka_unit_test(the_hash_tells_any_two_byte_strings_apart),
		cmocka_unit_test(the_slots_of_the_envelope_are_where_their_names_say),
		cmocka_unit_test(the_builder_refuses_what_the_table_does_not_know),
		cmocka_unit_test(times_are_read_with_their_zone),
	};

	return cmocka_run_group_tests(tests, count_allocations, NULL);
}
