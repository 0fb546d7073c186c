/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of random policies and requests, held against a few lines that say the same in another
 * way: over every event of a small world, one by one. DIBAO_SEED repeats a run. */
#include "../../daemon/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#define KEY "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define NOW INT64_C(1795447940996)

enum { CASES = 20000, N_TYPES = 7, N_ORGS = 10, N_PREFIXES = 9, LIST_MAX = 4 };

/* The last two types are in no grant's list, and for each prefix there is an organisation that is
 * in it and in no longer one: what is narrower in general is so in this world too. */
static const char *const types[N_TYPES] = {"promotion",	    "award",	"penalty", "welfare_visit",
					   "mailbox_reply", "training", "pen"};
static const char *const prefixes[N_PREFIXES] = {
	"3", "32", "3205", "320508", "320508530000", "320506", "320581", "3205815", "11"};
static const char *const orgs[N_ORGS] = {
	"390000000000", "329000000000", "320590000000", "320508900000", "320508530000",
	"320506900000", "320581900000", "320581590000", "119000000000", "900000000000"};

struct grant {
	bool board, all_types, all_orgs, mask;
	unsigned n_types, n_orgs;
	const char *types[LIST_MAX], *orgs[LIST_MAX];
	unsigned channels, window;
};

struct ask {
	bool public_view;
	unsigned n_types, n_orgs;
	const char *types[LIST_MAX], *orgs[LIST_MAX];
};

static uint64_t state;

static unsigned below(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 33) % n;
}

static unsigned pick(const char **to, const char *const *from, unsigned n, unsigned least)
{
	unsigned k = least + below(LIST_MAX + 1 - least);

	for (unsigned i = 0; i < k; i++)
		to[i] = from[below(n)];
	return k;
}

/* ---- the reference ---- */

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static bool listed(const char *const *list, unsigned n, const char *what, bool prefix)
{
	for (unsigned i = 0; i < n; i++)
		if (prefix ? starts(what, list[i]) : !strcmp(what, list[i]))
			return true;
	return false;
}

static bool grants(const struct grant *g, const char *type, const char *org, unsigned channel)
{
	return (g->all_types || listed(g->types, g->n_types, type, false)) &&
	       (g->all_orgs || listed(g->orgs, g->n_orgs, org, true)) && g->channels >> channel & 1;
}

static bool asks(const struct ask *a, const char *type, const char *org, unsigned channel)
{
	return (!a->n_types || listed(a->types, a->n_types, type, false)) &&
	       (!a->n_orgs || listed(a->orgs, a->n_orgs, org, true)) &&
	       (!a->public_view || channel == DIBAO_CHANNEL_PUBLIC ||
		channel == DIBAO_CHANNEL_PUBLIC_NOW);
}

static bool refuses(const struct grant *g, const struct ask *a)
{
	for (unsigned i = 0; i < a->n_types; i++)
		if (!g->all_types && !listed(g->types, g->n_types, a->types[i], false))
			return true;
	for (unsigned i = 0; i < a->n_orgs; i++)
		if (!g->all_orgs && !listed(g->orgs, g->n_orgs, a->orgs[i], true))
			return true;
	return (g->board && !a->public_view) || (a->public_view && !(g->channels & 5));
}

/* ---- making them ---- */

static struct grant random_grant(void)
{
	static const unsigned channels[] = {15, 15, 5, 10};
	static const unsigned windows[] = {0, 0, 128 << 10, 512 << 10};
	struct grant g = {.board = below(3) == 0,
			  .mask = below(3) == 0,
			  .window = windows[below(4)],
			  .all_orgs = below(4) == 0};

	g.all_types = !g.board && below(4) == 0;
	g.channels = g.board ? 5 : channels[below(4)];
	g.n_types = pick(g.types, types, g.board ? 2 : N_TYPES - 2, 1);
	g.n_orgs = pick(g.orgs, prefixes, N_PREFIXES, 1);
	return g;
}

static struct ask random_ask(const struct grant *g)
{
	struct ask a = {.public_view = below(3) == 0 || (g->board && below(8))};
	bool within = below(4) > 0;

	if (below(2))
		a.n_types = within && !g->all_types ? pick(a.types, g->types, g->n_types, 1)
						    : pick(a.types, types, N_TYPES, 1);
	if (below(2))
		a.n_orgs = within && !g->all_orgs ? pick(a.orgs, g->orgs, g->n_orgs, 1)
			   : below(2)		  ? pick(a.orgs, orgs, N_ORGS, 1)
						  : pick(a.orgs, prefixes, N_PREFIXES, 1);
	return a;
}

static void write_list(FILE *f, const char *name, bool all, const char *const *list, unsigned n)
{
	fprintf(f, "%s =", name);
	for (unsigned i = 0; i < n && !all; i++) {
		bool twice = listed(list, i, list[i], false);

		fprintf(f, "%s%s", twice ? "" : " ", twice ? "" : list[i]);
	}
	fprintf(f, "%s\n", all ? " *" : "");
}

static struct access *load(const struct grant *g)
{
	static const char *const channels[16] = {
		[5] = "public public-now", [10] = "private private-now"};
	char text[2048], errors[512] = "";
	FILE *f = fmemopen(text, sizeof text, "w"), *err;
	struct access *a = NULL;

	fprintf(f, "[n]\nkind = %s\npublic_key = %s\n", g->board ? "board" : "reader", KEY);
	write_list(f, "types", g->all_types, g->types, g->n_types);
	write_list(f, "orgs", g->all_orgs, g->orgs, g->n_orgs);
	if (channels[g->channels])
		fprintf(f, "channels = %s\n", channels[g->channels]);
	if (g->mask)
		fputs("mask_names = yes\n", f);
	if (g->window)
		fprintf(f, "window = %u\n", g->window);
	fclose(f);
	f = fmemopen(text, strlen(text), "r");
	err = fmemopen(errors, sizeof errors, "w");
	if (access_parse(&a, f, "f", err) < 0) {
		fclose(err);
		fail_msg("refused: %s\n%s", errors, text);
	}
	fclose(err);
	fclose(f);
	return a;
}

static struct access_request request(const struct ask *a)
{
	struct access_request rq = {.durable = "", .window_bytes = 512 << 10};

	rq.filter.public_view = a->public_view;
	for (unsigned i = 0; i < a->n_types; i++)
		assert_int_equal(
			filter_add_type(&rq.filter,
					(struct dibao_str){a->types[i], strlen(a->types[i])}),
			0);
	for (unsigned i = 0; i < a->n_orgs; i++)
		assert_int_equal(filter_add_org(&rq.filter,
						(struct dibao_str){a->orgs[i], strlen(a->orgs[i])}),
				 0);
	return rq;
}

/* ---- ---- */

#define EACH_EVENT(t, o, c)                                                                        \
	for (unsigned t = 0; t < N_TYPES; t++)                                                     \
		for (unsigned o = 0; o < N_ORGS; o++)                                              \
			for (unsigned c = 0; c < DIBAO_CHANNEL_COUNT; c++)

static bool delivers(const struct access_request *rq, unsigned t, unsigned o, unsigned c)
{
	return rq->channels >> c & 1 &&
	       filter_matches(&rq->filter, (struct dibao_str){types[t], strlen(types[t])}, orgs[o]);
}

static uint64_t seed(void)
{
	const char *s = getenv("DIBAO_SEED");

	return s ? strtoull(s, NULL, 10) : (uint64_t)time(NULL);
}

static void a_session_is_delivered_what_is_granted_and_asked_for_and_nothing_else(void **unused)
{
	uint64_t started = seed();
	unsigned n_refused = 0, n_delivered = 0;

	(void)unused;
	state = started * 2654435761u + 1;
	for (int k = 0; k < CASES; k++) {
		struct grant g = random_grant();
		struct ask a = random_ask(&g);
		struct access *policy = load(&g);
		const struct access_entry *e = access_find(policy, "n");
		struct access_request rq = request(&a);
		struct access_answer said = access_narrow(e, &rq, NOW);

		if (said.yes == refuses(&g, &a))
			fail_msg("DIBAO_SEED=%llu case %d: %s", (unsigned long long)started, k,
				 said.why);
		n_refused += !said.yes;
		EACH_EVENT(t, o, c)
		{
			bool want = said.yes && grants(&g, types[t], orgs[o], c) &&
				    asks(&a, types[t], orgs[o], c);
			struct access_answer one =
				access_allows(e, (struct dibao_str){types[t], strlen(types[t])},
					      orgs[o], 12, (int)c, NOW);

			if (one.yes != grants(&g, types[t], orgs[o], c) ||
			    (said.yes && delivers(&rq, t, o, c) != want))
				fail_msg("DIBAO_SEED=%llu case %d: %s of %s in channel %u",
					 (unsigned long long)started, k, types[t], orgs[o], c);
			n_delivered += want;
		}
		access_free(policy);
	}
	assert_true(n_refused > CASES / 10 && n_refused < CASES * 9 / 10 && n_delivered > CASES);
}

static void a_session_lives_on_just_while_all_that_it_holds_is_granted(void **unused)
{
	uint64_t started = seed();
	unsigned n_held = 0, n_kept = 0;

	(void)unused;
	state = started * 40503u + 7;
	for (int k = 0; k < CASES; k++) {
		struct grant g = random_grant(), h = below(4) ? g : random_grant();
		struct ask a = random_ask(&g);
		struct access *before = load(&g), *after;
		struct access_request rq = request(&a);
		bool want = true;

		/* One field in four changes, mostly. */
		if (below(4) == 0)
			h.n_types = pick(h.types, types, h.board ? 2 : N_TYPES - 2, 1);
		if (below(4) == 0)
			h.n_orgs = pick(h.orgs, prefixes, N_PREFIXES, 1);
		if (below(4) == 0)
			h.mask = !h.mask;
		if (below(4) == 0)
			h.window = below(2) ? 128 << 10 : 0;
		after = load(&h);
		if (access_narrow(access_find(before, "n"), &rq, NOW).yes) {
			n_held++;
			EACH_EVENT(t, o, c)
			want &= !delivers(&rq, t, o, c) || grants(&h, types[t], orgs[o], c);
			want &= !refuses(&h, &a);
			/* Who holds all must be granted all, not all that this world has. */
			want &= rq.filter.n_types || h.all_types;
			want &= rq.filter.n_orgs || h.all_orgs;
			want &= !a.public_view || !h.mask || rq.filter.mask_names;
			want &= !h.window || h.window >= rq.window_bytes;
			want &= !(rq.channels & ~h.channels);
			if (access_still(access_find(after, "n"), &rq, NOW).yes != want)
				fail_msg("DIBAO_SEED=%llu case %d: %s", (unsigned long long)started,
					 k, want ? "ended without need" : "goes on");
			n_kept += want;
		}
		access_free(before);
		access_free(after);
	}
	assert_true(n_kept > n_held / 10 && n_kept < n_held * 9 / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_session_is_delivered_what_is_granted_and_asked_for_and_nothing_else),
		cmocka_unit_test(a_session_lives_on_just_while_all_that_it_holds_is_granted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
