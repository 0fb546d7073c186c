/* SPDX-License-Identifier: Apache-2.0 */
#include "../../daemon/access.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#define KEY1 "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define KEY2 "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define KEY3 "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
#define NOW  INT64_C(1795447940996)

static char errors[1 << 20];

static int load(struct access **ret, const char *text)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	FILE *out = fmemopen(errors, sizeof errors, "w");
	int r;

	assert_non_null(in);
	assert_non_null(out);
	errors[0] = '\0';
	r = access_parse(ret, in, "f", out);
	fclose(in);
	fclose(out);
	return r;
}

static void refused(const char *text, const char *error)
{
	struct access *a = NULL;

	assert_int_equal(load(&a, text), -EINVAL);
	assert_null(a);
	if (!strstr(errors, error))
		fail_msg("expected \"%s\" in \"%s\"", error, errors);
}

static struct access *loaded(const char *text)
{
	struct access *a = NULL;

	if (load(&a, text) < 0)
		fail_msg("refused: %s", errors);
	return a;
}

static struct dibao_str str(const char *s)
{
	return (struct dibao_str){s, s ? strlen(s) : 0};
}

static struct access_answer allows(const struct access_entry *e, const char *type, const char *org,
				   int channel)
{
	return access_allows(e, str(type), org, org ? strlen(org) : 0, channel, NOW);
}

#define BOARD                                                                                      \
	"[board-1]\nkind = board\npublic_key = " KEY1 "\ntypes = promotion award\n"                \
	"orgs = 320508 320506\n"
#define GATEWAY                                                                                    \
	"[sms]\nkind = gateway\npublic_key = " KEY2 " " KEY3 "\ntypes = *\norgs = *\n"             \
	"durable = sms-1\nhold = 3d\nwindow = 1M\nrate = 500\nexpires = 2027-01-31\n"

static void names_are_found_by_each_of_their_keys(void **state)
{
	struct access *a = loaded(GATEWAY BOARD);
	const struct access_entry *e;

	(void)state;
	assert_ptr_equal(access_by_key(a, KEY2), access_find(a, "sms"));
	assert_ptr_equal(access_by_key(a, KEY3), access_find(a, "sms"));
	assert_ptr_equal(access_by_key(a, KEY1), access_find(a, "board-1"));
	assert_null(access_by_key(a, "local"));
	assert_null(access_find(a, "nobody"));
	e = access_find(a, "sms");
	assert_int_equal(e->kind, ACCESS_GATEWAY);
	assert_string_equal(e->durable, "sms-1");
	assert_int_equal(e->hold_ms, 3 * 86400000);
	assert_int_equal(e->window_bytes, 1 << 20);
	assert_int_equal(e->rate, 500);
	assert_in_range((uint64_t)e->expires_ms, UINT64_C(1801353600000),
			UINT64_C(1801526400000)); /* the end of that day, in any zone */
	access_free(a);
}

static void a_decision_names_the_line_that_decides(void **state)
{
	struct access *a = loaded("# head\n" BOARD);
	const struct access_entry *e = access_find(a, "board-1");
	struct access_answer r = allows(e, "award", "320508530000", DIBAO_CHANNEL_PUBLIC);

	(void)state;
	assert_true(r.yes);
	assert_int_equal(r.line, 6);
	r = allows(e, "penalty", NULL, -1);
	assert_false(r.yes);
	assert_int_equal(r.line, 5);
	assert_string_equal(r.why, "types: penalty is not granted");
	r = allows(e, "award", "320507000000", -1);
	assert_false(r.yes);
	assert_int_equal(r.line, 6);
	r = allows(e, NULL, NULL, DIBAO_CHANNEL_PRIVATE);
	assert_false(r.yes);
	assert_int_equal(r.line, 2); /* nothing about channels: the section */
	access_free(a);
}

static void a_type_or_organisation_is_matched_exactly_and_by_prefix_of_the_grant_alone(void **state)
{
	struct access *a = loaded(BOARD);
	const struct access_entry *e = access_find(a, "board-1");
	static const char *const types[] = {"Award", "AWARD", "award ", "awar", "awards", "*", ""};
	static const char *const orgs[] = {"3205", "32050", "", "320509", "32050"};

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		assert_false(allows(e, types[i], NULL, -1).yes);
	for (size_t i = 0; i < sizeof orgs / sizeof orgs[0]; i++)
		assert_false(allows(e, "award", orgs[i], -1).yes);
	assert_true(allows(e, "award", "320508", -1).yes);
	assert_true(allows(e, "award", "3205085", -1).yes);
	access_free(a);
}

static void what_a_type_tells_a_log_is_cut_and_clean(void **state)
{
	struct access *a = loaded(BOARD);
	char type[200];
	struct access_answer r;

	(void)state;
	memset(type, '\n', sizeof type - 1);
	type[sizeof type - 1] = '\0';
	r = allows(access_find(a, "board-1"), type, NULL, -1);
	assert_false(r.yes);
	assert_null(strchr(r.why, '\n'));
	access_free(a);
}

static void a_board_with_a_private_grant_does_not_load(void **state)
{
	static const char head[] = "[b]\nkind = board\npublic_key = " KEY1 "\n";
	char text[512];

	(void)state;
#define WITH(more) (snprintf(text, sizeof text, "%s%s", head, more), text)
	refused(WITH("orgs = *\ntypes = award penalty\n"),
		"f:5: types: a board cannot get penalty");
	refused(WITH("orgs = *\ntypes = welfare_visit\n"),
		"f:5: types: a board cannot get welfare");
	refused(WITH("orgs = *\ntypes = mailbox_reply\n"),
		"f:5: types: a board cannot get mailbox");
	refused(WITH("orgs = *\ntypes = *\n"), "f:5: types: a board cannot get *");
	refused(WITH("orgs = *\ntypes = Award\n"), "private for it is unknown");
	refused(WITH("orgs = *\ntypes = training\n"), "private for it is unknown");
	refused(WITH("orgs = *\ntypes = award\nchannels = public public-now private private-now\n"),
		"f:6: channels: a board cannot get private ones");
	refused(WITH("orgs = *\ntypes = award\nchannels = public public-now private-now\n"),
		"f:6: channels: a board cannot get private ones");
	/* Also where the kind stands last. */
	refused("[b]\ntypes = penalty\norgs = *\npublic_key = " KEY1 "\nkind = board\n",
		"f:2: types: a board cannot get penalty");
#undef WITH
}

static void a_fault_names_file_and_line(void **state)
{
	(void)state;
	refused("kind = board\n", "f:1: kind: expected a section");
	refused("[a]\nkind = boss\n", "f:2: kind: expected board, gateway");
	refused("[a]\npublic_key = short\n", "f:2: public_key: expected 40 characters of Z85");
	refused("[a]\npublic_key = " KEY1 " " KEY2 " " KEY3 "\n",
		"f:2: public_key: expected at most 2");
	refused("[a]\ntypes = award\ntypes = award\n", "f:3: types is set twice");
	refused("[a]\norgs = 3205x\n", "f:2: orgs: expected codes");
	refused("[a]\nchannels = Public\n", "f:2: channels: expected public,");
	refused("[a]\ndurable = a b\n", "f:2: durable: expected 1 to 64");
	refused("[a]\nwindow = 1\n", "f:2: window: expected 131072 to 16777216 bytes");
	refused("[a]\nhold = 9x\n", "f:2: hold: expected");
	refused("[a]\nexpires = 2026-02-30\n", "f:2: expires: expected a day");
	refused("[a]\nmask_names = 1\n", "f:2: mask_names: expected yes or no");
	refused("[a]\ncolour = red\n", "f:2: unknown option: colour");
	refused("[a b]\n", "f:1: [a b]: expected a name");
	refused("[a]\nnonsense\n", "f:2: expected [NAME], option = value");
	refused("[a]\nkind = admin\n", "f:1: [a] public_key: missing");
	refused("[a]\npublic_key = " KEY1 "\n", "f:1: [a] kind: missing");
	refused("[a]\nkind = reader\npublic_key = " KEY1 "\norgs = *\n", "f:1: [a] types: missing");
	refused("[a]\nkind = reader\npublic_key = " KEY1 "\ntypes = *\n", "f:1: [a] orgs: missing");
	refused("[local]\nkind = admin\npublic_key = " KEY1 "\n",
		"f:1: [local] public_key: this name");
	refused("[a]\nkind = admin\npublic_key = " KEY1 "\nhold = 1d\n",
		"[a] hold: expected a durable");
	refused("[a]\nkind = reader\npublic_key = " KEY1
		"\ntypes = *\norgs = *\nchannels = public\n",
		"f:6: channels: public without public-now");
}

static void an_option_stands_once_and_within_its_bounds(void **state)
{
	static const char *const good[] = {
		"kind = board",	  "types = award",   "orgs = *",      "channels = public public-now",
		"durable = a",	  "hold = 0",	     "hold = 36500d", "mask_names = no",
		"window = 128K",  "window = 16384K", "rate = 0",      "rate = 1000000",
		"expires = 2027-01-31"};
	static const char *const bad[][2] = {
		{"window = 16385K", "window: expected 131072 to 16777216 bytes"},
		{"window = 131071", "window: expected 131072 to 16777216 bytes"},
		{"hold = 36501d", "hold: expected 0 to 3153600000000 ms"},
		{"hold = -1", "hold: expected 0 to"},
		{"rate = 1000001", "rate: expected 0 to 1000000"},
		{"rate = 5s", "rate: expected 0 to 1000000"},
		{"kind = Board", "kind: expected board"},
		{"expires = 2027-1-31", "expires: expected a day"},
		{"durable = " KEY1 KEY2, "durable: expected 1 to 64"}};
	char text[512], wanted[96];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		snprintf(text, sizeof text, "[a]\n%s\n%s\n", good[i], good[i]);
		snprintf(wanted, sizeof wanted, "f:3: %.*s is set twice", (int)strcspn(good[i], " "),
			 good[i]);
		refused(text, wanted);
		assert_null(strstr(errors, "f:2: ")); /* by itself it is well */
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "[a]\n%s\n", bad[i][0]);
		snprintf(wanted, sizeof wanted, "f:2: %s", bad[i][1]);
		refused(text, wanted);
	}
	snprintf(text, sizeof text, "[%065d]\n", 0);
	refused(text, "f:1: [00000000000000000000000000000000]: expected a name of 1 to 64");
	snprintf(text, sizeof text, "[%064d]\n%s", 0, "kind = admin\npublic_key = " KEY1 "\n");
	access_free(loaded(text));
	refused("[insecure]\nkind = admin\npublic_key = " KEY1 "\n",
		"f:1: [insecure] public_key: this name");
}

/* "[a]", and a list of n words: a prefix and so many digits. */
static const char *list(char *text, const char *option, const char *prefix, int digits, int n)
{
	char *p = text + sprintf(text, "[a]\n%s =", option);

	for (int i = 0; i < n; i++)
		p += sprintf(p, " %s%0*d", prefix, digits, i);
	strcpy(p, "\n");
	return text;
}

static void a_list_or_a_line_or_a_file_that_is_too_long_is_refused(void **state)
{
	char *text = malloc(1 << 20), *p = text;
	struct access *a = NULL;

	(void)state;
	refused(list(text, "types", "t", 1, 33), "f:2: types: expected at most 32");
	refused(list(text, "types", "t", 1, 32), "[a] kind: missing");
	assert_null(strstr(errors, "f:2: types: expected"));
	refused(list(text, "types", "", 33, 1), "f:2: types: expected names of 1 to 32 bytes");
	refused(list(text, "types", "", 32, 1), "[a] kind: missing");
	assert_null(strstr(errors, "f:2: types: expected"));
	refused(list(text, "orgs", "32", 2, 65), "f:2: orgs: expected at most 64");
	refused(list(text, "orgs", "32", 2, 64), "[a] kind: missing");
	assert_null(strstr(errors, "f:2: orgs: expected"));
	refused(list(text, "types", "", 2100, 1), "f:2: expected lines of at most 2045 bytes");
	refused("[a] b\n", "f:1: expected nothing behind [NAME]");
	refused("[a]b\n", "f:1: expected nothing behind [NAME]");
	refused("[a] \t; a word\n", "f:1: [a] kind: missing");
	refused("[a]\ndurable = a\x01z\n", "f:2: durable: expected text without control");
	for (int i = 0; i <= ACCESS_ENTRIES_MAX; i++)
		p += sprintf(p, "[n%d]\nkind = admin\n", i);
	refused(text, "expected at most 20000 names");
	free(text);
	assert_int_equal(access_load(&a, "/", NULL), -EINVAL); /* opens, and cannot be read */
	assert_null(a);
}

static void all_faults_of_a_file_are_told(void **state)
{
	(void)state;
	refused(BOARD "colour = red\n[b]\nkind = boss\npublic_key = short\n", "f:6: unknown option");
	assert_non_null(strstr(errors, "f:8: kind: expected"));
	assert_non_null(strstr(errors, "f:9: public_key: expected"));
}

static void nobody_stands_twice_and_no_key_serves_two(void **state)
{
	(void)state;
	refused("[a]\nkind = admin\npublic_key = " KEY1 "\n[a]\nkind = admin\npublic_key = " KEY2
		"\n",
		"f:4: [a] stands twice");
	refused("[a]\nkind = admin\npublic_key = " KEY1 "\n[b]\nkind = admin\npublic_key = " KEY1
		"\n",
		"have one key");
	refused("[a]\nkind = admin\npublic_key = " KEY1 " " KEY1 "\n",
		"public_key: the same twice");
}

static void without_a_section_local_may_all_and_insecure_nothing(void **state)
{
	struct access *a = loaded(BOARD), *none = NULL;

	(void)state;
	assert_true(allows(access_find(a, ACCESS_LOCAL), "penalty", "3", 1).yes);
	assert_null(access_find(a, ACCESS_INSECURE));
	access_free(a);
	assert_int_equal(access_parse(&none, NULL, NULL, NULL), 0);
	assert_true(allows(access_find(none, ACCESS_LOCAL), "penalty", "3", 1).yes);
	assert_true(allows(access_find(none, ACCESS_INSECURE), "penalty", "3", 1).yes);
	access_free(none);
	a = loaded("[local]\nkind = reader\ntypes = award\norgs = *\n");
	assert_false(allows(access_find(a, ACCESS_LOCAL), "penalty", "3", 1).yes);
	access_free(a);
}

static void who_is_granted_nothing_gets_nothing(void **state)
{
	struct access *a = loaded("[relay]\nkind = publisher-relay\npublic_key = " KEY1 "\n");
	struct access_request rq = {.durable = ""};

	(void)state;
	assert_false(allows(access_find(a, "relay"), "award", "3", -1).yes);
	assert_false(access_narrow(access_find(a, "relay"), &rq, NOW).yes);
	access_free(a);
}

static void a_name_ends_with_its_day(void **state)
{
	struct access *a = loaded(GATEWAY);
	const struct access_entry *e = access_find(a, "sms");
	struct access_answer r;

	(void)state;
	assert_true(access_allows(e, str("penalty"), "3", 1, 0, e->expires_ms - 1).yes);
	r = access_allows(e, str("penalty"), "3", 1, 0, e->expires_ms);
	assert_false(r.yes);
	assert_int_equal(r.line, 10);
	access_free(a);
}

/* The shipped file as it is, and with its examples made true; each option stands in it and in the
 * manual. */
static void the_shipped_policy_loads_and_shows_every_option(void **state)
{
	static const char *const options[] = {"kind",	  "public_key", "types",  "orgs",
					      "channels", "durable",	"hold",	  "mask_names",
					      "window",	  "rate",	"expires"};
	char *text = calloc(2, 65536), *manual = text + 65536, wanted[64];
	struct access *a;
	FILE *f = fopen("config/access.conf", "re");

	(void)state;
	assert_non_null(f);
	assert_in_range(fread(text, 1, 65535, f), 100, 65534);
	fclose(f);
	f = fopen("lib/dibao-access.7", "re");
	assert_non_null(f);
	assert_in_range(fread(manual, 1, 65535, f), 100, 65534);
	fclose(f);
	a = loaded(text);
	assert_int_equal(a->n, 1); /* local, which nobody wrote */
	access_free(a);
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		snprintf(wanted, sizeof wanted, "\n#%s = ", options[i]);
		assert_non_null(strstr(text, wanted));
		snprintf(wanted, sizeof wanted, "\n.It Cm %s\n", options[i]);
		assert_non_null(strstr(manual, wanted));
	}
	for (char *l = text; (l = strstr(l, "\n#")); l++)
		if (l[2] != ' ' && l[2] != '\n')
			l[1] = ' ';
	a = loaded(text);
	assert_int_equal(a->n, 5);
	assert_true(allows(access_find(a, "sms-1"), "penalty", "320508530000", 1).yes);
	assert_false(allows(access_find(a, ACCESS_INSECURE), "penalty", "320508530000", -1).yes);
	access_free(a);
	free(text);
}

/* ---- HELLO ---- */

static struct access_request asks(bool public_view, const char *type, const char *org)
{
	struct access_request rq = {.durable = "", .window_bytes = 1 << 22};

	rq.filter.public_view = public_view;
	if (type)
		assert_int_equal(filter_add_type(&rq.filter, str(type)), 0);
	if (org)
		assert_int_equal(filter_add_org(&rq.filter, str(org)), 0);
	return rq;
}

static void what_a_hello_leaves_open_becomes_what_is_granted(void **state)
{
	struct access *a = loaded(BOARD "mask_names = yes\nwindow = 256K\n");
	const struct access_entry *e = access_find(a, "board-1");
	struct access_request rq = asks(true, NULL, NULL);

	(void)state;
	assert_true(access_narrow(e, &rq, NOW).yes);
	assert_int_equal(rq.filter.n_types, 2);
	assert_int_equal(rq.filter.n_orgs, 2);
	assert_true(rq.filter.mask_names);
	assert_int_equal(rq.channels, 1u << DIBAO_CHANNEL_PUBLIC | 1u << DIBAO_CHANNEL_PUBLIC_NOW);
	assert_int_equal(rq.window_bytes, 256 << 10);
	rq = asks(true, "award", "320508530000");
	assert_true(access_narrow(e, &rq, NOW).yes);
	assert_int_equal(rq.filter.n_types, 1);
	assert_int_equal(rq.filter.orgs[0].len, 12);
	access_free(a);
}

static void more_than_is_granted_is_refused_whole(void **state)
{
	struct access *a = loaded(BOARD GATEWAY);
	const struct access_entry *e = access_find(a, "board-1");
	struct access_request rq = asks(false, "award", "320508");

	(void)state;
	assert_string_equal(access_narrow(e, &rq, NOW).why,
			    "kind: a board gets the public view alone");
	rq = asks(true, "penalty", "320508");
	assert_false(access_narrow(e, &rq, NOW).yes);
	rq = asks(true, "award", "3205"); /* broader than the grant */
	assert_false(access_narrow(e, &rq, NOW).yes);
	rq = asks(true, "award", "320508");
	rq.durable = "sms-1";
	assert_false(access_narrow(e, &rq, NOW).yes);
	rq = asks(false, NULL, NULL);
	rq.durable = "sms-1";
	assert_true(access_narrow(access_find(a, "sms"), &rq, NOW).yes);
	assert_int_equal(rq.filter.n_types, 0); /* all, for all is granted */
	access_free(a);
}

static bool still(const char *before, const char *after, bool public_view, const char *name)
{
	struct access *a = loaded(before), *b = loaded(after);
	struct access_request rq = asks(public_view, NULL, NULL);
	bool yes;

	assert_true(access_narrow(access_find(a, name), &rq, NOW).yes);
	yes = access_still(access_find(b, name), &rq, NOW).yes;
	access_free(a);
	access_free(b);
	return yes;
}

static void each_narrowing_is_noticed_and_a_widening_is_none(void **state)
{
#define G "[g]\nkind = gateway\npublic_key = " KEY1 "\n"
	(void)state;
	assert_true(still(G "types = award\norgs = 3205\n", G "types = *\norgs = *\n", false, "g"));
	assert_true(still(G "types = *\norgs = *\n", G "types = *\norgs = *\n", false, "g"));
	assert_false(still(G "types = *\norgs = *\n", G "types = award penalty\norgs = *\n", false,
			   "g"));
	assert_false(still(G "types = *\norgs = *\n", G "types = *\norgs = 3205\n", false, "g"));
	assert_false(still(G "types = award penalty\norgs = *\n", G "types = award\norgs = *\n",
			   false, "g"));
	assert_false(
		still(G "types = *\norgs = 3205\n", G "types = *\norgs = 320508\n", false, "g"));
	assert_false(still(G "types = *\norgs = *\n",
			   G "types = *\norgs = *\nchannels = public public-now\n", false, "g"));
	assert_false(still(G "types = *\norgs = *\n", G "types = *\norgs = *\nwindow = 128K\n",
			   false, "g"));
	assert_false(still(G "types = *\norgs = *\n",
			   G "types = *\norgs = *\nexpires = 2020-01-01\n", false, "g"));
	assert_false(still(G "types = award\norgs = *\n",
			   G "types = award\norgs = *\nmask_names = yes\n", true, "g"));
	assert_false(still(G "types = award\norgs = *\n",
			   "[g]\nkind = board\npublic_key = " KEY1 "\ntypes = award\norgs = *\n",
			   false, "g"));
#undef G
}

/* ---- a property ---- */

static unsigned seed = 7;

static unsigned dice(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static const char *const some_types[] = {"promotion", "award", "penalty", "mailbox_reply", "new"};
static const char *const some_orgs[] = {"3", "3205", "320508", "320508530000", "320506"};

static bool is(const char *text, const char *name, size_t len)
{
	return strlen(text) == len && !memcmp(text, name, len);
}

/* What access says of one event and a session, in other words. */
static bool reference(const struct access_entry *e, const struct access_request *asked,
		      const char *type, const char *org, int channel)
{
	bool t = e->all_types, o = e->all_orgs, at = !asked->filter.n_types,
	     ao = !asked->filter.n_orgs;

	for (unsigned i = 0; i < e->grant.n_types; i++)
		t |= is(type, e->grant.types[i].name, e->grant.types[i].len);
	for (unsigned i = 0; i < e->grant.n_orgs; i++)
		o |= !strncmp(e->grant.orgs[i].code, org, e->grant.orgs[i].len);
	for (unsigned i = 0; i < asked->filter.n_types; i++)
		at |= is(type, asked->filter.types[i].name, asked->filter.types[i].len);
	for (unsigned i = 0; i < asked->filter.n_orgs; i++)
		ao |= !strncmp(asked->filter.orgs[i].code, org, asked->filter.orgs[i].len);
	return t && o && at && ao && e->channels >> channel & 1 &&
	       !(asked->filter.public_view && channel % 2);
}

static void random_sessions_get_what_a_few_lines_say(void **state)
{
	unsigned n_yes = 0, n_refused = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct access_entry e = {.expires_ms = INT64_MAX,
					 .kind = dice(2) ? ACCESS_BOARD : ACCESS_GATEWAY,
					 .channels = dice(2) ? 5 : 15};
		struct access_request rq = {.durable = ""}, asked;
		const char *org = "320508530000", *type;
		int channel;

		e.all_types = !dice(4);
		e.all_orgs = !dice(4);
		for (unsigned i = dice(4); i; i--)
			filter_add_type(&e.grant, str(some_types[dice(5)]));
		for (unsigned i = dice(4); i; i--)
			filter_add_org(&e.grant, str(some_orgs[dice(5)]));
		for (unsigned i = dice(3); i; i--)
			filter_add_type(&rq.filter, str(some_types[dice(5)]));
		for (unsigned i = dice(3); i; i--)
			filter_add_org(&rq.filter, str(some_orgs[dice(5)]));
		rq.filter.public_view = dice(2);
		asked = rq;
		if (!access_narrow(&e, &rq, NOW).yes) {
			n_refused++;
			continue;
		}
		for (unsigned t = 0; t < 5; t++)
			for (channel = 0; channel < DIBAO_CHANNEL_COUNT; channel++) {
				bool got;

				type = some_types[t];
				got = filter_matches(&rq.filter, str(type), org) &&
				      rq.channels >> channel & 1;
				assert_int_equal(got, reference(&e, &asked, type, org, channel));
				assert_true(
					!got ||
					access_allows(&e, str(type), org, 12, channel, NOW).yes);
				n_yes += got;
			}
	}
	assert_in_range(n_yes, 1000, 1000000);
	assert_in_range(n_refused, 1000, 19000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_by_each_of_their_keys),
		cmocka_unit_test(a_decision_names_the_line_that_decides),
		cmocka_unit_test(
			a_type_or_organisation_is_matched_exactly_and_by_prefix_of_the_grant_alone),
		cmocka_unit_test(what_a_type_tells_a_log_is_cut_and_clean),
		cmocka_unit_test(a_board_with_a_private_grant_does_not_load),
		cmocka_unit_test(a_fault_names_file_and_line),
		cmocka_unit_test(an_option_stands_once_and_within_its_bounds),
		cmocka_unit_test(a_list_or_a_line_or_a_file_that_is_too_long_is_refused),
		cmocka_unit_test(all_faults_of_a_file_are_told),
		cmocka_unit_test(nobody_stands_twice_and_no_key_serves_two),
		cmocka_unit_test(without_a_section_local_may_all_and_insecure_nothing),
		cmocka_unit_test(who_is_granted_nothing_gets_nothing),
		cmocka_unit_test(a_name_ends_with_its_day),
		cmocka_unit_test(the_shipped_policy_loads_and_shows_every_option),
		cmocka_unit_test(what_a_hello_leaves_open_becomes_what_is_granted),
		cmocka_unit_test(more_than_is_granted_is_refused_whole),
		cmocka_unit_test(each_narrowing_is_noticed_and_a_widening_is_none),
		cmocka_unit_test(random_sessions_get_what_a_few_lines_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
