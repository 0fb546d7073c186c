/* SPDX-License-Identifier: Apache-2.0 */
/* What bearerbox says that it holds, as 1.4.5 writes it, and what is made of it. */
#include "../../clients/sms/kannel.h"
#include "../../clients/sms/text_hash.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HEAD "<?xml version=\"1.0\"?>\n<gateway>\n"
#define TAIL "</gateway>\n"
#define ENTRY(type, to, flags, data)                                                               \
	"\t<message>\n\t<id>d75b5fe6-6064-4c95-9c3d-8b24d6126ab3</id>\n\t<type>" type              \
	"</type>\n\t<time>2026-11-25 18:22:13</time>\n\t<sender>10690000</sender>\n"               \
	"\t<receiver>" to "</receiver>\n\t<smsc-id></smsc-id>\n\t<box-id></box-id>\n"              \
	"\t<flags>" flags "</flags>\n\t<udh-data></udh-data>\n\t<msg-data>" data                   \
	"</msg-data>\n\t</message>\n"
/* 【演示】短 &𠮷 in UTF-16BE, as Kannel encodes it */
#define TEXT	  "0%10o%14y%3A0%11w%ED%00+%00%26%D8B%DF%B7"
#define TEXT_UTF8 "【演示】短 &𠮷"
#define OURS	  ENTRY("MT-PUSH", "15400000001", "-1:2:-1:-1:31", TEXT)
#define RECEIPT	  ENTRY("DLR-MO", "15400000002", "-1:-1:-1:-1:8", "ACK%2F")

static struct kannel_entry seen[8];
static char texts[8][64];
static unsigned n_seen;

static void saw(const struct kannel_entry *e, void *userdata)
{
	(void)userdata;
	snprintf(texts[n_seen], sizeof texts[0], "%.*s", (int)e->text_len, e->text ? e->text : "");
	seen[n_seen++] = *e;
}

static int read_in_pieces(const char *text, size_t len, size_t piece)
{
	struct kannel_store *s = malloc(sizeof *s);
	int r;

	n_seen = 0;
	kannel_store_begin(s, saw, NULL);
	for (size_t i = 0; i < len; i += piece)
		(void)kannel_store_feed(s, text + i, len - i < piece ? len - i : piece);
	r = kannel_store_end(s);
	free(s);
	return r;
}

static int read_store(const char *text)
{
	return read_in_pieces(text, strlen(text), 1000);
}

static void a_text_is_known_by_its_number_and_its_characters(void **state)
{
	static const char text[] = HEAD OURS RECEIPT ENTRY("MO", "1069", "-1:0", "hi")
		ENTRY("MT-PUSH", "+8615400000003", "-1:0:-1:-1:0", "plain+text") TAIL;

	(void)state;
	for (size_t piece = 1; piece < sizeof text; piece += 1 + piece / 3) {
		assert_int_equal(read_in_pieces(text, sizeof text - 1, piece), 0);
		assert_int_equal(n_seen, 3);
		assert_string_equal(texts[0], TEXT_UTF8);
		assert_string_equal(seen[0].receiver, "15400000001");
		assert_false(seen[0].is_receipt);
		assert_true(seen[1].is_receipt);
		assert_string_equal(texts[1], "");
		assert_string_equal(texts[2], "plain text");
	}
	assert_int_equal(read_store(HEAD TAIL), 0);
	assert_int_equal(n_seen, 0);
}

static void what_is_cut_denied_or_something_else_is_not_an_empty_store(void **state)
{
	static const char *const bad[] = {
		"",
		HEAD,
		HEAD OURS,
		HEAD OURS "</gate",
		HEAD "Denied" TAIL,
		HEAD OURS "Denied" TAIL,
		HEAD OURS TAIL "more",
		"<html><body>no</body></html>",
		"<?xml version=\"1.0\"?>",
		OURS,
		HEAD "<message><type>MT-PUSH</type></message>" TAIL,
	};
	char *long_one = malloc(3 * KANNEL_ENTRY_MAX);

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(read_store(bad[i]), -EBADMSG);
	snprintf(long_one, 3 * KANNEL_ENTRY_MAX, HEAD "<message>%0*d</message>" TAIL,
		 2 * KANNEL_ENTRY_MAX, 0);
	assert_int_equal(read_store(long_one), -EBADMSG);
	free(long_one);
	/* Not a text of ours, but no reason to give up the rest. */
	assert_int_equal(read_store(HEAD ENTRY("MT-PUSH", "15400000001", "-1:2", "%D8%00") ENTRY(
				 "MT-PUSH", "15400000001", "-1:2", "%zz") OURS TAIL),
			 0);
	assert_int_equal(n_seen, 1);
}

/* ---- questions ---- */

static struct {
	char id[DRIVER_ID_MAX + 1];
	enum driver_holds holds;
	const char *why;
} told[8];
static unsigned n_told;

static void on_holds(struct driver *d, const char *id, unsigned attempt, enum driver_holds holds,
		     const char *why, void *userdata)
{
	(void)d, (void)attempt, (void)userdata;
	snprintf(told[n_told].id, sizeof told[0].id, "%s", id);
	told[n_told].holds = holds;
	told[n_told++].why = why;
}

static const uint8_t key[TEXT_KEY_BYTES] = "a key";
static struct driver driver = {.opt.on_holds = on_holds, .opt.text_key = key};

static void ask(struct kannel_questions *q, const char *id, const char *phone, const char *text)
{
	char hash[TEXT_HASH_MAX];

	text_hash(hash, key, text, strlen(text));
	assert_int_equal(kannel_questions_add(q, &(struct driver_question){.id = id,
									   .attempt = 1,
									   .phone = phone,
									   .hash = hash}),
			 0);
}

static void look(struct kannel_questions *q, const struct kannel_entry *entries, unsigned n,
		 const char *why)
{
	n_told = 0;
	kannel_questions_look(q);
	for (unsigned i = 0; i < n; i++)
		kannel_questions_saw(&entries[i], q);
	kannel_questions_answer(q, why);
}

static void a_text_is_gone_after_two_looks_without_it_and_not_before(void **state)
{
	static const struct kannel_entry here[] = {
		{.receiver = "+8615400000001", .text = "aa", .text_len = 2},
		{.receiver = "15400000002", .text = "bb", .text_len = 2}};
	struct kannel_questions *q = kannel_questions_new(&driver);

	(void)state;
	ask(q, "there", "15400000001", "aa");
	ask(q, "other-number", "15400000009", "aa");
	ask(q, "other-text", "15400000002", "aa");
	ask(q, "any-number", "", "bb");
	ask(q, "there", "15400000001", "aa"); /* asked twice, answered once */
	look(q, here, 2, NULL);
	assert_int_equal(n_told, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(told[i].holds, DRIVER_HOLDS_TEXT);
		assert_true(!strcmp(told[i].id, "there") || !strcmp(told[i].id, "any-number"));
	}
	assert_string_not_equal(told[0].id, told[1].id);
	look(q, NULL, 0, NULL);
	assert_int_equal(n_told, 2);
	assert_int_equal(told[0].holds, DRIVER_HOLDS_NONE);
	assert_int_equal(told[1].holds, DRIVER_HOLDS_NONE);
	assert_false(kannel_questions_any(q));
	kannel_questions_free(q);
}

static void a_hash_is_known_with_its_key_and_an_old_one_without(void **state)
{
	static const struct kannel_entry here[] = {
		{.receiver = "15400000001", .text = TEXT_UTF8, .text_len = sizeof TEXT_UTF8 - 1}};
	static const char old[] = "9004a95484491ea2f98a6d453ab96df7";
	static const uint8_t other_key[TEXT_KEY_BYTES] = "another key";
	struct kannel_questions *q = kannel_questions_new(&driver);
	char hash[TEXT_HASH_MAX], other[TEXT_HASH_MAX];

	(void)state;
	text_hash(hash, key, TEXT_UTF8, sizeof TEXT_UTF8 - 1);
	text_hash(other, other_key, TEXT_UTF8, sizeof TEXT_UTF8 - 1);
	assert_string_not_equal(hash, other);
	assert_int_equal(strlen(hash), 22);
	assert_true(text_hash_is(hash, key, TEXT_UTF8, sizeof TEXT_UTF8 - 1));
	assert_false(text_hash_is(hash, other_key, TEXT_UTF8, sizeof TEXT_UTF8 - 1));
	assert_false(text_hash_is(hash, key, TEXT_UTF8, sizeof TEXT_UTF8 - 2));
	assert_true(text_hash_is(old, key, TEXT_UTF8, sizeof TEXT_UTF8 - 1));
	assert_false(text_hash_is(old, key, "else", 4));
	assert_false(text_hash_is("", key, "", 0));
	assert_int_equal(kannel_questions_add(q, &(struct driver_question){.id = "old",
									   .attempt = 1,
									   .phone = "15400000001",
									   .hash = old}),
			 0);
	look(q, here, 1, NULL);
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].holds, DRIVER_HOLDS_TEXT);
	kannel_questions_free(q);
}

static void a_look_that_failed_counts_for_nothing(void **state)
{
	static const struct kannel_entry receipt[] = {
		{.is_receipt = true, .receiver = "15400000001"}};
	struct kannel_questions *q = kannel_questions_new(&driver);

	(void)state;
	ask(q, "a", "15400000001", "aa");
	look(q, NULL, 0, "because");
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].holds, DRIVER_HOLDS_UNKNOWN);
	assert_string_equal(told[0].why, "because");
	ask(q, "a", "15400000001", "aa");
	look(q, NULL, 0, NULL);
	assert_int_equal(n_told, 0);
	look(q, receipt, 1, NULL);
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].holds, DRIVER_HOLDS_UNKNOWN);
	assert_non_null(strstr(told[0].why, "receipt"));
	kannel_questions_free(q);
}

static void what_is_asked_during_a_look_is_answered_by_the_next(void **state)
{
	struct kannel_questions *q = kannel_questions_new(&driver);
	char id[16];

	(void)state;
	ask(q, "before", "", "aa");
	look(q, NULL, 0, NULL);
	kannel_questions_look(q);
	ask(q, "during", "", "aa");
	n_told = 0;
	kannel_questions_answer(q, NULL);
	assert_int_equal(n_told, 1);
	assert_string_equal(told[0].id, "before");
	look(q, NULL, 0, NULL);
	assert_int_equal(n_told, 0);
	for (unsigned i = 1; i < KANNEL_QUESTIONS_MAX; i++) {
		snprintf(id, sizeof id, "q%u", i);
		ask(q, id, "", "aa");
	}
	assert_int_equal(
		kannel_questions_add(
			q, &(struct driver_question){.id = "too-many", .phone = "", .hash = ""}),
		-EAGAIN);
	kannel_questions_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_known_by_its_number_and_its_characters),
		cmocka_unit_test(what_is_cut_denied_or_something_else_is_not_an_empty_store),
		cmocka_unit_test(a_text_is_gone_after_two_looks_without_it_and_not_before),
		cmocka_unit_test(a_hash_is_known_with_its_key_and_an_old_one_without),
		cmocka_unit_test(a_look_that_failed_counts_for_nothing),
		cmocka_unit_test(what_is_asked_during_a_look_is_answered_by_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
