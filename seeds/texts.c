/* SPDX-License-Identifier: Apache-2.0 */
#include "texts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Columns of the lists, in the order in which the files have them; texts_load() compares. */
enum { NAMES_SET, NAMES_TEXT };
enum { AWARD_FOR, AWARD_CATEGORY };
enum { PENALTY_FOR };
enum { VISIT_CODE, VISIT_NAME, VISIT_BY, VISIT_WHERE, VISIT_GIFT, VISIT_AMOUNT };
enum { TAKEBACK_TYPE };

static size_t utf8_len(unsigned char first)
{
	return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static int add(struct pieces *p, const char *s, size_t len, unsigned weight)
{
	struct piece *at = realloc(p->at, (p->n + 1) * sizeof *at);

	if (!at)
		return -ENOMEM;
	p->at = at;
	at[p->n++] = (struct piece){.p = s, .len = len, .weight = weight};
	p->weight += weight;
	return 0;
}

static int cut_words(struct pieces *p, const char *s)
{
	int r = 0;

	for (s += strspn(s, " "); *s && !r; s += strspn(s, " ")) {
		size_t len = strcspn(s, " "), name = strcspn(s, " :");

		r = add(p, s, name, name < len ? (unsigned)atoi(s + name + 1) : 1);
		s += len;
	}
	return r;
}

static int cut_characters(struct pieces *p, const char *s)
{
	int r = 0;

	for (size_t n; *s && !r; s += n) {
		n = strnlen(s, utf8_len((unsigned char)*s));
		r = add(p, s, n, 1);
	}
	return r;
}

static int load_names(struct texts *x)
{
	const struct {
		const char *set;
		struct pieces *into;
		int (*cut)(struct pieces *, const char *);
	} sets[] = {
		{"surname", &x->surname, cut_words},	{"male", &x->male, cut_characters},
		{"female", &x->female, cut_characters}, {"either", &x->either, cut_characters},
		{"rare", &x->rare, cut_characters},	{"first", &x->first, cut_words},
		{"last", &x->last, cut_words},
	};
	const struct tsv *s = &x->names_tsv;
	int r = 0;

	for (size_t i = 0; i < sizeof sets / sizeof sets[0] && !r; i++) {
		for (size_t row = 0; row < s->n_rows && !r; row++)
			if (!strcmp(tsv_cell(s, row, NAMES_SET), sets[i].set))
				r = sets[i].cut(sets[i].into, tsv_cell(s, row, NAMES_TEXT));
		if (!r && !sets[i].into->weight)
			r = tsv_fault(s, s->n_rows ? s->n_rows - 1 : 0, "a set is missing");
	}
	return r;
}

static int load_visits(struct texts *x, const struct tables *t)
{
	const struct tsv *s = &x->visits_tsv;

	x->visits = calloc(s->n_rows, sizeof *x->visits);
	if (!x->visits)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_rows; i++) {
		struct visit *v = &x->visits[i];

		v->code = tsv_cell(s, i, VISIT_CODE);
		v->name = tsv_cell(s, i, VISIT_NAME);
		v->by = tsv_cell(s, i, VISIT_BY);
		v->where = tsv_cell(s, i, VISIT_WHERE);
		v->gift = tsv_cell(s, i, VISIT_GIFT);
		v->amount_fen = tsv_number(s, i, VISIT_AMOUNT, 0);
		if (v->amount_fen < 0)
			return -EINVAL;
		if (!tables_share(t, "visit", v->code))
			return tsv_fault(s, i, "code that shares.tsv does not have");
	}
	x->n_visits = s->n_rows;
	return 0;
}

/* Of the rows that suit, one by chance; n_rows if none does. */
static size_t choose(struct random *r, const struct tsv *s, int column, const char *code,
		     int category_column, const char *category)
{
	size_t chosen = s->n_rows, seen = 0;

	for (size_t i = 0; i < s->n_rows; i++) {
		const char *codes = tsv_cell(s, i, column);
		const char *duty = tsv_cell(s, i, category_column);

		if (strcmp(codes, "*") && !tables_lists(codes, ',', code))
			continue;
		if (category && *duty && strcmp(duty, "*") && strcmp(duty, category))
			continue;
		if (!random_below(r, ++seen))
			chosen = i;
	}
	return chosen;
}

size_t texts_award(struct random *r, const struct texts *x, const char *code, const char *category)
{
	size_t i = choose(r, &x->awards_tsv, AWARD_FOR, code, AWARD_CATEGORY, category);

	return i < x->awards_tsv.n_rows ? i : choose(r, &x->awards_tsv, AWARD_FOR, code, -1, NULL);
}

size_t texts_penalty(struct random *r, const struct texts *x, const char *code)
{
	return choose(r, &x->penalties_tsv, PENALTY_FOR, code, -1, NULL);
}

size_t texts_takeback(struct random *r, const struct texts *x, const char *type)
{
	return choose(r, &x->takebacks_tsv, TAKEBACK_TYPE, type, -1, NULL);
}

const struct visit *texts_visit(struct random *r, const struct texts *x, const char *code)
{
	return &x->visits[choose(r, &x->visits_tsv, VISIT_CODE, code, -1, NULL)];
}

/* Every code that can come up finds a text. */
static int check(const struct texts *x, const struct tables *t)
{
	const struct tsv *s = &t->shares_tsv;
	struct random r = {0};

	for (size_t i = 0; i < s->n_rows; i++) {
		const char *of = tsv_cell(s, i, 0), *code = tsv_cell(s, i, 1);

		if ((!strcmp(of, "award") &&
		     texts_award(&r, x, code, NULL) == x->awards_tsv.n_rows) ||
		    (!strcmp(of, "penalty") &&
		     texts_penalty(&r, x, code) == x->penalties_tsv.n_rows) ||
		    (!strcmp(of, "visit") &&
		     choose(&r, &x->visits_tsv, VISIT_CODE, code, -1, NULL) == x->n_visits))
			return tsv_fault(s, i, "code that no list of texts has");
	}
	if (!x->letters_tsv.n_rows || texts_takeback(&r, x, "") == x->takebacks_tsv.n_rows)
		return tsv_fault(s, 0, "letters.tsv is empty, or takebacks.tsv has no row for *");
	return 0;
}

int texts_load(struct texts *ret, const struct tables *t, const char *seeds)
{
	struct texts x = {0};
	const struct {
		struct tsv *into;
		const char *name, *columns;
	} lists[] = {
		{&x.names_tsv, "names.tsv", "set text"},
		{&x.awards_tsv, "award-reasons.tsv", "for category reason public_reason"},
		{&x.penalties_tsv, "penalty-reasons.tsv", "for reason"},
		{&x.visits_tsv, "visits.tsv", "code name by where gift amount_fen"},
		{&x.letters_tsv, "letters.tsv", "mailbox question answered_by reply"},
		{&x.takebacks_tsv, "takebacks.tsv", "type reason"},
	};
	int r = 0;

	for (size_t i = 0; i < sizeof lists / sizeof lists[0] && !r; i++) {
		const struct tsv *s = lists[i].into;
		size_t column = 0;

		r = tsv_load(lists[i].into, seeds, lists[i].name);
		for (const char *p = lists[i].columns; p && !r; column++) {
			size_t n = strcspn(p, " ");

			if (column >= s->n_columns || strlen(s->column[column]) != n ||
			    strncmp(s->column[column], p, n))
				r = tsv_fault(s, 0, "the columns above are not those expected");
			p = p[n] ? p + n + 1 : NULL;
		}
	}
	if (!r)
		r = load_names(&x);
	if (!r)
		r = load_visits(&x, t);
	if (!r)
		r = check(&x, t);
	if (r) {
		texts_done(&x);
		return r;
	}
	*ret = x;
	return 0;
}

void texts_done(struct texts *x)
{
	free(x->surname.at);
	free(x->male.at);
	free(x->female.at);
	free(x->either.at);
	free(x->rare.at);
	free(x->first.at);
	free(x->last.at);
	free(x->visits);
	tsv_done(&x->names_tsv);
	tsv_done(&x->awards_tsv);
	tsv_done(&x->penalties_tsv);
	tsv_done(&x->visits_tsv);
	tsv_done(&x->letters_tsv);
	tsv_done(&x->takebacks_tsv);
	memset(x, 0, sizeof *x);
}

const struct piece *texts_pick(struct random *r, const struct pieces *p)
{
	uint64_t at = random_below(r, p->weight);
	size_t i = 0;

	while (at >= p->at[i].weight)
		at -= p->at[i++].weight;
	return &p->at[i];
}

/* The chosen alternative of "{a|b}", and where the text goes on. */
static const char *alternative(struct random *r, const char *open, const char **ret_p,
			       size_t *ret_len)
{
	const char *end = strchr(open, '}'), *p = open + 1;
	size_t n = 1;

	if (!end)
		return NULL;
	for (const char *q = p; q < end; q++)
		n += *q == '|';
	for (n = random_below(r, n); n; n--)
		p = strchr(p, '|') + 1;
	*ret_p = p;
	*ret_len = strcspn(p, "|}");
	return end + 1;
}

static const char *filled_in(const struct texts_person *who, const char *word, size_t len)
{
	const struct {
		const char *word, *value;
	} words[] = {{"<station>", who->station}, {"<unit>", who->unit}, {"<post>", who->post}};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strlen(words[i].word) == len && !memcmp(words[i].word, word, len))
			return words[i].value;
	return NULL;
}

int texts_expand(struct random *r, const char *text, const struct texts_person *who, char *buf,
		 size_t cap)
{
	size_t n = 0;

	while (*text) {
		const char *p = text, *next;
		size_t len = strcspn(text, "{<");

		if (len) {
			next = text + len;
		} else if (*text == '{') {
			next = alternative(r, text, &p, &len);
			if (!next)
				return -EINVAL;
		} else {
			len = strcspn(text, ">");
			if (!text[len])
				return -EINVAL;
			next = text + len + 1;
			p = filled_in(who, text, len + 1);
			if (!p)
				return -EINVAL;
			len = strlen(p);
		}
		if (n + len >= cap)
			return -ENOBUFS;
		memcpy(buf + n, p, len);
		n += len;
		text = next;
	}
	buf[n] = '\0';
	return (int)n;
}
