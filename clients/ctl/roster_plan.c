/* SPDX-License-Identifier: Apache-2.0 */
#include "roster_plan.h"

#include "../sms/person.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A row as it will be, whether it changes or not. */
struct after {
	const char *badge;
	struct roster_person p;	      /* borrows from the file or the old row */
	const struct roster_old *old; /* NULL: new */
};

struct maker {
	struct roster_plan *plan;
	const struct roster_old *old;
	size_t n_old;
	const struct roster_old **by_phone; /* old rows with a number, sorted by it */
	size_t n_by_phone;
	const struct roster_file *file;
	bool delta;
	int64_t now_ms;
	struct after *after;
	size_t n_after;
};

static struct dibao_str str(const char *s)
{
	return (struct dibao_str){s, strlen(s)};
}

static bool same(struct dibao_str a, struct dibao_str b)
{
	return a.len == b.len && (a.len == 0 || !memcmp(a.p, b.p, a.len));
}

static int compare(struct dibao_str a, struct dibao_str b)
{
	int c = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int old_by_phone(const void *a, const void *b)
{
	const struct roster_old *const *x = a, *const *y = b;

	return compare((*x)->person.phone, (*y)->person.phone);
}

static int after_by_phone(const void *a, const void *b)
{
	const struct after *const *x = a, *const *y = b;

	return compare((*x)->p.phone, (*y)->p.phone);
}

static int list(struct roster_badges *l, const char *badge)
{
	if (l->n++ >= ROSTER_PLAN_LIST_MAX)
		return 0;
	if (!l->at)
		l->at = calloc(ROSTER_PLAN_LIST_MAX, sizeof *l->at);
	if (!l->at)
		return -ENOMEM;
	strcpy(l->at[l->n - 1], badge);
	return 0;
}

/* Did another person have this number? */
static bool was_anothers(const struct maker *m, const char *badge, const struct roster_person *p)
{
	size_t low = 0, high = m->n_by_phone;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (compare(m->by_phone[mid]->person.phone, p->phone) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < m->n_by_phone && same(m->by_phone[low]->person.phone, p->phone); low++) {
		const struct roster_old *o = m->by_phone[low];

		/* One badge: its holder was somebody else, for phone_since changed. Another: not
		 * so if it is the same person's, who has left it. */
		if (!strcmp(o->badge, badge)
			    ? !person_name_equals(o->person.name, p->name)
			    : o->person.active || !person_name_equals(o->person.name, p->name))
			return true;
	}
	return false;
}

/* ---- who is in the file ---- */

static void count_change(struct roster_plan *plan, const struct roster_person *was,
			 const struct roster_person *is)
{
	plan->number_changed += !same(was->phone, is->phone);
	plan->moved_org += !same(was->org, is->org) || !same(was->unit, is->unit);
	plan->left += was->active && !is->active;
	plan->back += !was->active && is->active;
}

static int take_item(struct maker *m, const struct roster_item *it, const struct roster_old *o)
{
	struct roster_plan *plan = m->plan;
	struct roster_person p = {.name = str(it->name),
				  .phone = str(it->phone),
				  .phone_since = m->now_ms,
				  .org = str(it->org),
				  .unit = str(it->unit),
				  .opted_out = str(it->opted_out),
				  .active = it->active,
				  .left_on = it->left_on};
	bool renamed = o && !person_name_equals(o->person.name, p.name);

	if (o && !m->file->has_org)
		p.org = o->person.org;
	if (o && !m->file->has_unit)
		p.unit = o->person.unit;
	/* What somebody wanted is not the wish of who has the badge now. */
	if (o && !m->file->has_opted_out && !renamed)
		p.opted_out = o->person.opted_out;
	if (!p.active && !p.left_on && o)
		p.left_on = o->person.active ? m->now_ms : o->person.left_on;
	if (o && !renamed && same(o->person.phone, p.phone)) {
		p.phone_since = o->person.phone_since;
		p.moved = o->person.moved;
	} else if (p.phone.len) {
		p.moved = was_anothers(m, it->badge, &p);
	}
	if (p.phone.len == 0)
		plan->no_number += p.active;
	m->after[m->n_after++] = (struct after){.badge = it->badge, .p = p, .old = o};
	if (!o) {
		plan->added++;
		return 0;
	}
	count_change(plan, &o->person, &p);
	plan->renamed += renamed;
	return renamed ? list(&plan->renames, it->badge) : 0;
}

/* ---- who is not ---- */

static int keep_old(struct maker *m, const struct roster_old *o, bool in_file)
{
	const int64_t keep_ms = ROSTER_KEEP_DAYS * 86400 * INT64_C(1000);
	struct roster_person p = o->person;
	struct roster_plan *plan = m->plan;

	if (!m->delta && !in_file) {
		if (p.active) {
			plan->missing++;
			p.active = false;
			p.left_on = m->now_ms;
		}
		if (!p.lacking_since)
			p.lacking_since = m->now_ms;
		if (m->now_ms - p.lacking_since > keep_ms) {
			plan->removed++;
			strcpy(plan->writes[plan->n_writes].badge, o->badge);
			plan->writes[plan->n_writes++].row = NULL;
			return 0;
		}
	}
	m->after[m->n_after++] = (struct after){.badge = o->badge, .p = p, .old = o};
	return 0;
}

/* Both lists by badge, side by side. */
static int merge(struct maker *m)
{
	size_t i = 0, k = 0;
	int e = 0;

	while (e == 0 && (i < m->n_old || k < m->file->n)) {
		const struct roster_old *o = i < m->n_old ? &m->old[i] : NULL;
		const struct roster_item *it = k < m->file->n ? &m->file->items[k] : NULL;
		int c = !o ? 1 : !it ? -1 : strcmp(o->badge, it->badge);

		if (c < 0) {
			e = keep_old(m, o, false);
		} else if (it->refused) {
			if (c == 0)
				e = keep_old(m, o, true);
		} else {
			e = take_item(m, it, c == 0 ? o : NULL);
		}
		i += c <= 0;
		k += c >= 0;
	}
	return e;
}

/* ---- the whole ---- */

static int mark_shared(struct maker *m)
{
	const struct after **by = calloc(m->n_after + 1, sizeof *by);
	size_t n = 0;
	int e = 0;

	if (!by)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_after; i++) {
		m->after[i].p.shared = false;
		if (m->after[i].p.active && m->after[i].p.phone.len)
			by[n++] = &m->after[i];
	}
	qsort(by, n, sizeof *by, after_by_phone);
	for (size_t i = 0, k; i < n && e == 0; i = k) {
		for (k = i + 1; k < n && same(by[k]->p.phone, by[i]->p.phone); k++)
			;
		for (size_t j = i; j < k && k - i > 1 && e == 0; j++) {
			((struct after *)by[j])->p.shared = true;
			e = list(&m->plan->shared, by[j]->badge);
		}
	}
	free(by);
	return e;
}

static int write_row(struct maker *m, const struct after *a)
{
	struct roster_plan *plan = m->plan;
	struct roster_write *w = &plan->writes[plan->n_writes];
	char row[ROSTER_ROW_MAX];
	int n = roster_encode(&a->p, row, sizeof row);

	if (n < 0)
		return -EINVAL;
	plan->rows++;
	plan->active += a->p.active;
	plan->demo += roster_phone_is_demo(a->p.phone);
	if (a->old && !strcmp(a->old->row, row)) {
		plan->unchanged++;
		return 0;
	}
	w->row = strdup(row);
	if (!w->row)
		return -ENOMEM;
	strcpy(w->badge, a->badge);
	plan->n_writes++;
	return a->p.moved && a->p.phone_since == m->now_ms ? list(&plan->moved, a->badge) : 0;
}

static int begin(struct maker *m)
{
	size_t most = m->n_old + m->file->n + 1;

	m->plan->writes = calloc(most, sizeof *m->plan->writes);
	m->after = calloc(most, sizeof *m->after);
	m->by_phone = calloc(m->n_old + 1, sizeof *m->by_phone);
	if (!m->plan->writes || !m->after || !m->by_phone)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_old; i++) {
		m->plan->was_active += m->old[i].person.active;
		if (m->old[i].person.phone.len)
			m->by_phone[m->n_by_phone++] = &m->old[i];
	}
	qsort(m->by_phone, m->n_by_phone, sizeof *m->by_phone, old_by_phone);
	return 0;
}

int roster_plan_make(struct roster_plan *ret, const struct roster_old *old, size_t n_old,
		     const struct roster_file *file, bool delta, int64_t now_ms)
{
	struct maker m = {.plan = ret,
			  .old = old,
			  .n_old = n_old,
			  .file = file,
			  .delta = delta,
			  .now_ms = now_ms};
	int e;

	memset(ret, 0, sizeof *ret);
	e = begin(&m);
	if (e == 0)
		e = merge(&m);
	if (e == 0)
		e = mark_shared(&m);
	for (size_t i = 0; i < m.n_after && e == 0; i++)
		e = write_row(&m, &m.after[i]);
	free(m.after);
	free(m.by_phone);
	ret->losses = ret->left + ret->missing + ret->removed + ret->renamed;
	ret->allowed = ret->was_active * ROSTER_PERCENT / 100;
	if (e < 0)
		roster_plan_done(ret);
	return e;
}

void roster_plan_done(struct roster_plan *p)
{
	for (size_t i = 0; i < p->n_writes; i++)
		free(p->writes[i].row);
	free(p->writes);
	free(p->shared.at);
	free(p->moved.at);
	free(p->renames.at);
	memset(p, 0, sizeof *p);
}
