/* SPDX-License-Identifier: Apache-2.0 */
#include "access.h"

#include <stdarg.h>
#include <stdlib.h>

const char *access_kind_name(enum access_kind k)
{
	static const char *const names[] = {"board", "gateway", "reader", "publisher-relay",
					    "admin"};

	return names[k];
}

struct access *access_free(struct access *a)
{
	if (a) {
		free(a->entries);
		free(a->keys);
		free(a);
	}
	return NULL;
}

/* ---- who ---- */

static int by_name(const void *name, const void *entry)
{
	return strcmp(name, ((const struct access_entry *)entry)->name);
}

const struct access_entry *access_find(const struct access *a, const char *name)
{
	return a->n ? bsearch(name, a->entries, a->n, sizeof *a->entries, by_name) : NULL;
}

static int by_key(const void *z85, const void *key)
{
	return strcmp(z85, ((const struct access_key *)key)->key);
}

const struct access_entry *access_by_key(const struct access *a, const char *z85)
{
	const struct access_key *k =
		a->n_keys ? bsearch(z85, a->keys, a->n_keys, sizeof *a->keys, by_key) : NULL;

	return k ? &a->entries[k->entry] : NULL;
}

const struct access_entry *access_who(const struct access *a, const char *who)
{
	bool keyless = !strcmp(who, ACCESS_LOCAL) || !strcmp(who, ACCESS_INSECURE);

	return keyless ? access_find(a, who) : access_by_key(a, who);
}

/* ---- what ---- */

__attribute__((format(printf, 4, 5))) static struct access_answer
answer(const struct access_entry *e, bool yes, unsigned line, const char *fmt, ...)
{
	struct access_answer a = {.yes = yes, .line = line ? line : e->line};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a.why, sizeof a.why, fmt, ap);
	va_end(ap);
	return a;
}

static bool has_type(const struct access_entry *e, const char *name, size_t len)
{
	if (e->all_types)
		return true;
	for (unsigned i = 0; i < e->grant.n_types; i++)
		if (e->grant.types[i].len == len && !memcmp(e->grant.types[i].name, name, len))
			return true;
	return false;
}

static bool has_org(const struct access_entry *e, const char *org, size_t len)
{
	if (e->all_orgs)
		return true;
	for (unsigned i = 0; i < e->grant.n_orgs; i++)
		if (dibao_org_within(org, len, e->grant.orgs[i].code, e->grant.orgs[i].len))
			return true;
	return false;
}

/* Names of types come from peers: what goes into a text is cut and cleaned. */
static void clean(char ret[FILTER_TYPE_MAX + 1], const char *name, size_t len)
{
	size_t n = len < FILTER_TYPE_MAX ? len : FILTER_TYPE_MAX;

	for (size_t i = 0; i < n; i++)
		ret[i] = name[i] > 0x20 && name[i] < 0x7f ? name[i] : '?';
	ret[n] = '\0';
}

static struct access_answer no_type(const struct access_entry *e, const char *name, size_t len)
{
	char text[FILTER_TYPE_MAX + 1];

	clean(text, name, len);
	return answer(e, false, e->types_line, "types: %s is not granted", text);
}

static struct access_answer no_org(const struct access_entry *e, const char *org, size_t len)
{
	char text[FILTER_TYPE_MAX + 1];

	clean(text, org, len);
	return answer(e, false, e->orgs_line, "orgs: %s is not granted", text);
}

struct access_answer access_allows(const struct access_entry *e, struct dibao_str type,
				   const char *org, size_t org_len, int channel, int64_t now_ms)
{
	if (now_ms >= e->expires_ms)
		return answer(e, false, e->expires_line, "expires: the date is past");
	if (!e->all_types && !e->grant.n_types)
		return answer(e, false, e->types_line, "types: none are granted");
	if (type.p && !has_type(e, type.p, type.len))
		return no_type(e, type.p, type.len);
	if (!e->all_orgs && !e->grant.n_orgs)
		return answer(e, false, e->orgs_line, "orgs: none are granted");
	if (org && !has_org(e, org, org_len))
		return no_org(e, org, org_len);
	if (channel >= 0 && !(e->channels >> channel & 1))
		return answer(e, false, e->channels_line, "channels: %s is not granted",
			      dibao_channel_name((enum dibao_channel)channel));
	return answer(e, true, org ? e->orgs_line : e->types_line, "granted");
}

/* ---- sessions ---- */

struct access_answer access_narrow(const struct access_entry *e, struct access_request *rq,
				   int64_t now_ms)
{
	struct filter *f = &rq->filter;
	struct access_answer a = access_allows(e, (struct dibao_str){NULL, 0}, NULL, 0, -1, now_ms);

	if (!a.yes)
		return a;
	if (e->kind == ACCESS_PUBLISHER_RELAY)
		return answer(e, false, e->kind_line, "kind: a publisher-relay receives nothing");
	if (e->kind == ACCESS_BOARD && !f->public_view)
		return answer(e, false, e->kind_line, "kind: a board gets the public view alone");
	for (unsigned i = 0; i < f->n_types; i++)
		if (!has_type(e, f->types[i].name, f->types[i].len))
			return no_type(e, f->types[i].name, f->types[i].len);
	for (unsigned i = 0; i < f->n_orgs; i++)
		if (!has_org(e, f->orgs[i].code, f->orgs[i].len))
			return no_org(e, f->orgs[i].code, f->orgs[i].len);
	if (!(e->channels & filter_channels(f)))
		return answer(e, false, e->channels_line, "channels: none that was asked for");
	if (rq->durable[0] && !e->any_durable && strcmp(rq->durable, e->durable) != 0)
		return answer(e, false, e->durable_line, "durable: that name is not granted");
	if (!f->n_types && !e->all_types) {
		memcpy(f->types, e->grant.types, sizeof f->types);
		f->n_types = e->grant.n_types;
	}
	if (!f->n_orgs && !e->all_orgs) {
		memcpy(f->orgs, e->grant.orgs, sizeof f->orgs);
		f->n_orgs = e->grant.n_orgs;
	}
	f->mask_names = f->public_view && e->mask_names;
	rq->channels = e->channels & filter_channels(f);
	if (e->window_bytes && rq->window_bytes > e->window_bytes)
		rq->window_bytes = e->window_bytes;
	return answer(e, true, e->line, "granted");
}

struct access_answer access_still(const struct access_entry *e, const struct access_request *held,
				  int64_t now_ms)
{
	struct access_request again = *held;
	struct access_answer a = access_narrow(e, &again, now_ms);

	if (!a.yes)
		return a;
	/* Names in full are more than is held, and come when it begins anew. */
	again.filter.mask_names |= held->filter.mask_names;
	/* "All" is held by who was granted all; by now it may be less. */
	if (!filter_equal(&again.filter, &held->filter))
		return answer(e, false,
			      again.filter.mask_names != held->filter.mask_names ? e->line
			      : again.filter.n_types != held->filter.n_types	 ? e->types_line
										 : e->orgs_line,
			      "less is granted than before");
	if (held->channels & ~again.channels)
		return answer(e, false, e->channels_line,
			      "channels: fewer are granted than before");
	if (again.window_bytes < held->window_bytes)
		return answer(e, false, e->window_line, "window: less is granted than before");
	return a;
}
