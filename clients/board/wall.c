/* SPDX-License-Identifier: Apache-2.0 */
#include "wall.h"
#include "day.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64, STAYS_MS = DAY_MS };

struct wall {
	struct wall_options opt;
	struct item **slots; /* open table by the pid's first bytes, at most half full */
	size_t cap;
	unsigned n, n_shown;
	uint32_t reconciliation;
	uint64_t n_let_go;
	int64_t next_end_ms;
};

/* ---- the table ---- */

static size_t home(const struct wall *w, const uint8_t *pid)
{
	uint64_t h;

	/* A pid is a keyed hash already. */
	memcpy(&h, pid, sizeof h);
	return (size_t)h & (w->cap - 1);
}

static size_t place(const struct wall *w, const uint8_t *pid)
{
	size_t i = home(w, pid);

	while (w->slots[i] && memcmp(w->slots[i]->pid, pid, DIBAO_PID_BYTES) != 0)
		i = (i + 1) & (w->cap - 1);
	return i;
}

static int grow(struct wall *w)
{
	struct item **was = w->slots;
	size_t was_cap = w->cap;

	w->slots = calloc(2 * was_cap, sizeof *w->slots);
	if (!w->slots) {
		w->slots = was;
		return -ENOMEM;
	}
	w->cap = 2 * was_cap;
	for (size_t i = 0; i < was_cap; i++)
		if (was[i])
			w->slots[place(w, was[i]->pid)] = was[i];
	free(was);
	return 0;
}

/* Closes the gap, so that no search ends too early. */
static void unlink_at(struct wall *w, size_t i)
{
	size_t k = i;

	for (;;) {
		size_t h;

		k = (k + 1) & (w->cap - 1);
		if (!w->slots[k])
			break;
		h = home(w, w->slots[k]->pid);
		if (((k - h) & (w->cap - 1)) < ((k - i) & (w->cap - 1)))
			continue;
		w->slots[i] = w->slots[k];
		i = k;
	}
	w->slots[i] = NULL;
	w->n--;
}

struct item *wall_find(const struct wall *w, const uint8_t pid[DIBAO_PID_BYTES])
{
	return w->slots[place(w, pid)];
}

struct item *wall_each(const struct wall *w, size_t *at)
{
	while (*at < w->cap)
		if (w->slots[(*at)++])
			return w->slots[*at - 1];
	return NULL;
}

/* ---- in and out ---- */

int wall_new(struct wall **ret, const struct wall_options *opt)
{
	struct wall *w = calloc(1, sizeof *w);

	if (!w)
		return -ENOMEM;
	w->opt = *opt;
	w->cap = FIRST_CAP;
	w->next_end_ms = INT64_MAX;
	w->slots = calloc(w->cap, sizeof *w->slots);
	if (!w->slots) {
		free(w);
		return -ENOMEM;
	}
	*ret = w;
	return 0;
}

struct wall *wall_free(struct wall *w)
{
	if (!w)
		return NULL;
	for (size_t i = 0; i < w->cap; i++)
		free(w->slots[i]);
	free(w->slots);
	free(w);
	return NULL;
}

static void hide(struct wall *w, struct item *i)
{
	if (!i->is_shown)
		return;
	i->is_shown = false;
	w->n_shown--;
	w->opt.on_hidden(i->pid, w->opt.userdata);
}

bool wall_remove(struct wall *w, const uint8_t pid[DIBAO_PID_BYTES])
{
	size_t at = place(w, pid);
	struct item *i = w->slots[at];

	if (!i)
		return false;
	hide(w, i);
	unlink_at(w, at);
	w->opt.on_removed(i->pid, w->opt.userdata);
	free(i);
	return true;
}

int wall_take(struct wall *w, struct item *take)
{
	size_t at;

	if (2 * (w->n + 1) > w->cap && grow(w) < 0) {
		free(take);
		return -ENOMEM;
	}
	at = place(w, take->pid);
	if (w->slots[at]) {
		free(take);
		return -EEXIST;
	}
	take->area = rules_area(w->opt.rules, take);
	take->seen = w->reconciliation;
	w->slots[at] = take;
	w->n++;
	return 0;
}

int wall_put(struct wall *w, const void *view, size_t len, int64_t published_ms)
{
	struct item *fresh, *had;
	int r = item_new(&fresh, view, len);

	if (r < 0)
		return r;
	fresh->published_ms = published_ms;
	had = wall_find(w, fresh->pid);
	if (!had)
		return wall_take(w, fresh);
	had->seen = w->reconciliation;
	if (had->len == fresh->len && !memcmp(had->view, fresh->view, fresh->len)) {
		free(fresh);
		return 0;
	}
	/* Another view of the same event: names are masked now, or not any more. */
	fresh->published_ms = had->published_ms;
	fresh->shown_ms = had->shown_ms;
	fresh->is_confirmed = had->is_confirmed;
	fresh->seen = had->seen;
	fresh->area = rules_area(w->opt.rules, fresh);
	fresh->is_shown = had->is_shown;
	fresh->is_changed = true;
	w->slots[place(w, fresh->pid)] = fresh;
	free(had);
	return 0;
}

void wall_reconcile_begin(struct wall *w)
{
	w->reconciliation++;
}

static unsigned remove_if(struct wall *w,
			  bool (*is_due)(const struct wall *w, const struct item *i, int64_t arg),
			  int64_t arg)
{
	uint8_t(*gone)[DIBAO_PID_BYTES] = NULL;
	unsigned n = 0, cap = 0;
	struct item *i;

	/* Removing moves others in the table. */
	for (size_t at = 0; (i = wall_each(w, &at));) {
		if (!is_due(w, i, arg))
			continue;
		if (n == cap) {
			void *p = realloc(gone, (cap ? 2 * cap : 64) * sizeof *gone);

			if (!p)
				break; /* these now, the others the next time */
			gone = p;
			cap = cap ? 2 * cap : 64;
		}
		memcpy(gone[n++], i->pid, DIBAO_PID_BYTES);
	}
	for (unsigned k = 0; k < n; k++)
		wall_remove(w, gone[k]);
	free(gone);
	return n;
}

static bool is_unseen(const struct wall *w, const struct item *i, int64_t arg)
{
	(void)arg;
	return i->seen != w->reconciliation;
}

unsigned wall_reconcile_end(struct wall *w)
{
	return remove_if(w, is_unseen, 0);
}

/* ---- the bound ---- */

static int compare_items(const void *a, const void *b)
{
	return item_compare(*(struct item *const *)a, *(struct item *const *)b);
}

static void let_go(struct wall *w)
{
	struct item **all = NULL, *i;
	unsigned n = 0;

	if (w->n <= w->opt.items_max + w->opt.items_max / 8)
		return;
	all = malloc(w->n * sizeof *all);
	if (!all)
		return;
	for (size_t at = 0; (i = wall_each(w, &at));)
		all[n++] = i;
	qsort(all, n, sizeof *all, compare_items);
	for (unsigned k = w->opt.items_max; k < n; k++) {
		uint8_t pid[DIBAO_PID_BYTES];

		memcpy(pid, all[k]->pid, sizeof pid);
		wall_remove(w, pid);
		w->n_let_go++;
	}
	free(all);
}

/* ---- what hangs ---- */

static bool is_long_over(const struct wall *w, const struct item *i, int64_t now_ms)
{
	return now_ms - STAYS_MS >= rules_end_ms(w->opt.rules, i);
}

static void mark_followed(struct wall *w)
{
	struct item *i, *proposal;

	for (size_t at = 0; (i = wall_each(w, &at));)
		i->is_followed = false;
	for (size_t at = 0; (i = wall_each(w, &at));) {
		if (!i->has_follows || i->is_proposed)
			continue;
		proposal = wall_find(w, i->follows);
		if (proposal && proposal->is_proposed)
			proposal->is_followed = true;
	}
}

static int compare_names(const void *a, const void *b)
{
	const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
	size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int c = memcmp(x->view + x->name.at, y->view + y->name.at, n);

	return c ? c : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

/* Of those to be shown: whose name another one has who is of another organisation or unit? */
static void mark_equal_names(struct item **v, unsigned n, bool *units)
{
	for (unsigned from = 0, to; from < n; from = to) {
		bool differ = false;

		for (to = from + 1; to < n && compare_names(&v[from], &v[to]) == 0; to++)
			differ |= !item_text_equal(v[from], v[from]->org, v[to], v[to]->org) ||
				  !item_text_equal(v[from], v[from]->unit, v[to], v[to]->unit);
		for (unsigned k = from; k < to; k++)
			units[k] = differ;
	}
}

void wall_refresh(struct wall *w, int64_t now_ms, bool is_trusted, bool hold_new)
{
	const struct rules *rules = w->opt.rules;
	struct item **v, *i;
	bool *units;
	unsigned n = 0;

	if (is_trusted)
		remove_if(w, is_long_over, now_ms);
	let_go(w);
	mark_followed(w);
	w->next_end_ms = INT64_MAX;
	v = malloc((w->n + 1) * sizeof *v);
	units = calloc(w->n + 1, sizeof *units);
	for (size_t at = 0; v && units && (i = wall_each(w, &at));) {
		int64_t end = rules_end_ms(rules, i);

		if (i->is_followed || !rules_visible(rules, i, now_ms, is_trusted)) {
			hide(w, i);
			continue;
		}
		if (end < w->next_end_ms)
			w->next_end_ms = end;
		v[n++] = i;
	}
	if (v && units) {
		qsort(v, n, sizeof *v, compare_names);
		mark_equal_names(v, n, units);
	}
	for (unsigned k = 0; k < n; k++) {
		i = v[k];
		if (i->is_shown ? i->show_unit == units[k] && !i->is_changed : hold_new)
			continue;
		i->is_changed = false;
		w->n_shown += !i->is_shown;
		i->is_shown = true;
		i->show_unit = units[k];
		w->opt.on_shown(i, w->opt.userdata);
	}
	free(v);
	free(units);
}

int64_t wall_next_end_ms(const struct wall *w)
{
	return w->next_end_ms;
}

int wall_shown(const struct wall *w, const struct item ***ret, size_t *ret_n)
{
	const struct item **v = malloc((w->n_shown + 1) * sizeof *v);
	struct item *i;
	size_t n = 0;

	if (!v)
		return -ENOMEM;
	for (size_t at = 0; (i = wall_each(w, &at));)
		if (i->is_shown)
			v[n++] = i;
	qsort(v, n, sizeof *v, compare_items);
	*ret = v;
	*ret_n = n;
	return 0;
}

struct wall_counts wall_counts(const struct wall *w)
{
	return (struct wall_counts){w->n, w->n_shown, w->n_let_go};
}
